"""Secrets stores: secrets of an account, written once and bound to any number of its Workers.

Values are sealed as those of scripts are, each for its own row, and leave only towards a Worker of
the account that has a binding to them: what a Worker reads is the value of that moment.
"""

import builtins
import re
from collections.abc import Sequence

import msgspec
from sqlalchemy import Select, bindparam, delete, func, select
from sqlalchemy.exc import IntegrityError

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.models import Account
from cloister.registry.names import check_title, new_id
from cloister.registry.secret_store_models import SecretsStore, StoredSecret
from cloister.registry.views import Numbered
from cloister.secrets import Cipher

VALUE_BYTES = 64 * 1024
COMMENT_CHARACTERS = 1_024
STORES = 100
SECRETS = 1_000
"""Of an account."""

PER_PAGE = 1_000
LARGEST_PAGE = 1_000_000
NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")

WORKERS = "workers"
SCOPES = ("workers", "ai_gateway", "dex", "access", "containers", "websearch")
"""Of the product. Only the first means anything here: a Worker reads no other secret."""

_VALUE = (
    select(StoredSecret.id, StoredSecret.sealed, StoredSecret.scopes)
    .join(SecretsStore, SecretsStore.id == StoredSecret.store_id)
    .where(
        SecretsStore.account_id == bindparam("account_id"),
        SecretsStore.id == bindparam("store_id"),
        StoredSecret.name == bindparam("name"),
    )
)


class StoreView(msgspec.Struct, frozen=True, kw_only=True):
    """A store. Times are epoch milliseconds."""

    id: str
    account_id: str
    name: str
    created_at: int


class SecretView(msgspec.Struct, frozen=True, kw_only=True):
    """A secret without its value."""

    id: str
    store_id: str
    name: str
    comment: str
    scopes: list[str]
    created_at: int
    modified_at: int


class NewSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret to be written."""

    name: str
    value: str
    scopes: list[str]
    comment: str = ""

    def __repr__(self) -> str:
        """Without its value: a repr ends in logs."""
        return f"NewSecret({self.name})"


class SecretStores:
    """Makes and deletes stores and what is in them.

    Every method that takes a store raises:
        NotFound: the account has none of this id, or no such secret is in it.
    """

    def __init__(self, database: Database, cipher: Cipher) -> None:
        self._database = database
        self._cipher = cipher

    def create(self, account_id: str, name: str) -> StoreView:
        """Make a store.

        Raises:
            Invalid: it may not be called so.
            Conflict: the account has one of this name, or too many.
            NotFound: there is no such account.
        """
        row = SecretsStore(
            id=new_id(), account_id=account_id, name=_checked(name), created_at=now_ms()
        )
        mine = select(func.count()).where(SecretsStore.account_id == account_id)
        try:
            with self._database.write() as work:
                if work.get(Account, account_id, with_for_update=True) is None:
                    raise NotFound("No account has this id.")
                if work.scalars(mine).one() >= STORES:
                    raise Conflict(f"An account has at most {STORES} stores.")
                work.add(row)
        except IntegrityError as exc:
            raise Conflict(f"A store with the name {name!r} exists.") from exc
        return _store_view(row)

    def list(self, account_id: str, *, page: int = 1, per_page: int = 20) -> Numbered[StoreView]:
        """One page of the account's stores, by name. Raises Invalid for a page out of range."""
        _check_page(page, per_page)
        mine = SecretsStore.account_id == account_id
        query = select(SecretsStore).where(mine).order_by(SecretsStore.name)
        with self._database.read() as session:
            total = session.scalars(select(func.count()).select_from(SecretsStore).where(mine))
            rows = session.scalars(query.offset((page - 1) * per_page).limit(per_page))
            return Numbered(items=[_store_view(row) for row in rows], total=total.one())

    def get(self, account_id: str, store_id: str) -> StoreView:
        """Find one."""
        with self._database.read() as session:
            row = session.get(SecretsStore, store_id)
        if row is None or row.account_id != account_id:
            raise _no_store()
        return _store_view(row)

    def delete(self, account_id: str, store_id: str) -> None:
        """Delete a store with all its secrets."""
        with self._database.write() as work:
            row = _mine(work, account_id, store_id)
            work.execute(delete(SecretsStore).where(SecretsStore.id == row.id))

    def add(
        self, account_id: str, store_id: str, secrets: Sequence[NewSecret]
    ) -> builtins.list[SecretView]:
        """Write secrets: all of them or, on any error, none.

        Raises:
            Invalid: a name, value, scope or comment is not as it has to be.
            Conflict: the store has a secret of such a name, or the account too many.
        """
        now = now_ms()
        rows = [self._row(store_id, each, now) for each in secrets]
        try:
            with self._database.write() as work:
                _mine(work, account_id, store_id)
                self._check_count(work, account_id, len(rows))
                work.add_all(rows)
        except IntegrityError as exc:
            raise Conflict("The store has a secret of this name.") from exc
        return [_secret_view(row) for row in rows]

    def secrets(
        self, account_id: str, store_id: str, *, search: str = "", page: int = 1, per_page: int = 20
    ) -> Numbered[SecretView]:
        """One page of a store's secrets, by name; those with ``search`` in name or comment.

        Raises:
            Invalid: the page is out of range.
        """
        _check_page(page, per_page)
        self.get(account_id, store_id)
        wanted = StoredSecret.store_id == store_id
        if search:
            named = StoredSecret.name.contains(search, autoescape=True)
            wanted &= named | StoredSecret.comment.contains(search, autoescape=True)
        query = select(StoredSecret).where(wanted).order_by(StoredSecret.name)
        with self._database.read() as session:
            total = session.scalars(select(func.count()).select_from(StoredSecret).where(wanted))
            rows = session.scalars(query.offset((page - 1) * per_page).limit(per_page))
            return Numbered(items=[_secret_view(row) for row in rows], total=total.one())

    def secret(self, account_id: str, store_id: str, secret_id: str) -> SecretView:
        """One secret, without its value."""
        self.get(account_id, store_id)
        with self._database.read() as session:
            row = session.get(StoredSecret, secret_id)
        if row is None or row.store_id != store_id:
            raise _no_secret()
        return _secret_view(row)

    def edit(
        self,
        account_id: str,
        store_id: str,
        secret_id: str,
        *,
        value: str | None = None,
        scopes: builtins.list[str] | None = None,
        comment: str | None = None,
    ) -> SecretView:
        """Change what is given of a secret. Raises Invalid as :meth:`add`."""
        with self._database.write() as work:
            row = _secret_row(work, account_id, store_id, secret_id)
            if value is not None:
                row.sealed = self._sealed(row.id, value)
            row.scopes = row.scopes if scopes is None else _checked_scopes(scopes)
            row.comment = row.comment if comment is None else _checked_comment(comment)
            row.modified_at = now_ms()
        return _secret_view(row)

    def duplicate(
        self, account_id: str, store_id: str, secret_id: str, copy: NewSecret
    ) -> SecretView:
        """Write another secret of the same value; that of ``copy`` is ignored. Raises as
        :meth:`add`."""
        with self._database.read() as session:
            row = session.get(StoredSecret, secret_id)
        if row is None or row.store_id != store_id:
            raise _no_secret()
        value = self._cipher.open(row.sealed, about=row.id).decode()
        return self.add(account_id, store_id, [msgspec.structs.replace(copy, value=value)])[0]

    def remove(self, account_id: str, store_id: str, secret_id: str) -> SecretView:
        """Delete a secret; what it was."""
        with self._database.write() as work:
            row = _secret_row(work, account_id, store_id, secret_id)
            work.delete(row)
        return _secret_view(row)

    def count(self, account_id: str) -> int:
        """How many secrets the account has."""
        with self._database.read() as session:
            return session.scalars(_count(account_id)).one()

    def exists(self, account_id: str, store_id: str, name: str) -> bool:
        """Whether :meth:`value` finds one."""
        values = {"account_id": account_id, "store_id": store_id, "name": name}
        row = self._database.row(_VALUE, values, wait=True)
        return row is not None and WORKERS in row.scopes

    def value(self, account_id: str, store_id: str, name: str) -> str:
        """What a Worker of the account reads.

        Raises:
            NotFound: there is none, or it is not for Workers.
            NotReady: it is sealed under another key.
        """
        values = {"account_id": account_id, "store_id": store_id, "name": name}
        row = self._database.row(_VALUE, values, wait=True)
        if row is None or WORKERS not in row.scopes:
            raise _no_secret()
        return self._cipher.open(row.sealed, about=row.id).decode()

    def _row(self, store_id: str, secret: NewSecret, now: int) -> StoredSecret:
        id_ = new_id()
        return StoredSecret(
            id=id_,
            store_id=store_id,
            name=_checked(secret.name),
            comment=_checked_comment(secret.comment),
            scopes=_checked_scopes(secret.scopes),
            created_at=now,
            modified_at=now,
            sealed=self._sealed(id_, secret.value),
        )

    def _sealed(self, secret_id: str, value: str) -> bytes:
        try:
            data = value.encode()
        except UnicodeEncodeError as exc:
            raise Invalid("A secret must be valid Unicode text.", pointer="/value") from exc
        if not 0 < len(data) <= VALUE_BYTES:
            raise Invalid(f"A secret has 1 to {VALUE_BYTES} bytes.", pointer="/value")
        return self._cipher.seal(data, about=secret_id)

    def _check_count(self, work: Work, account_id: str, more: int) -> None:
        if work.scalars(_count(account_id)).one() + more > SECRETS:
            raise Conflict(f"An account has at most {SECRETS} secrets.")


def _count(account_id: str) -> "Select[int]":
    return (
        select(func.count())
        .select_from(StoredSecret)
        .join(SecretsStore, SecretsStore.id == StoredSecret.store_id)
        .where(SecretsStore.account_id == account_id)
    )


def _mine(work: Work, account_id: str, store_id: str) -> SecretsStore:
    # The account is locked: two writers must not both be the last that fits.
    work.get(Account, account_id, with_for_update=True)
    row = work.get(SecretsStore, store_id, with_for_update=True)
    if row is None or row.account_id != account_id:
        raise _no_store()
    return row


def _secret_row(work: Work, account_id: str, store_id: str, secret_id: str) -> StoredSecret:
    _mine(work, account_id, store_id)
    row = work.get(StoredSecret, secret_id)
    if row is None or row.store_id != store_id:
        raise _no_secret()
    return row


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise Invalid(
            "A name is 1 to 255 letters, digits, dots, dashes and underscores.", pointer="/name"
        )
    return name


def _checked_comment(comment: str) -> str:
    return check_title(comment, "A comment", COMMENT_CHARACTERS) if comment else ""


def _checked_scopes(scopes: Sequence[str]) -> list[str]:
    if not scopes or not set(scopes) <= set(SCOPES):
        raise Invalid(f"scopes must be some of {', '.join(SCOPES)}.", pointer="/scopes")
    return sorted(set(scopes))


def _check_page(page: int, per_page: int) -> None:
    if not (1 <= page <= LARGEST_PAGE and 1 <= per_page <= PER_PAGE):
        raise Invalid(f"page must be at least 1, per_page 1 to {PER_PAGE}.")


def _store_view(row: SecretsStore) -> StoreView:
    return StoreView(id=row.id, account_id=row.account_id, name=row.name, created_at=row.created_at)


def _secret_view(row: StoredSecret) -> SecretView:
    return SecretView(
        **{name: getattr(row, name) for name in SecretView.__struct_fields__},
    )


def _no_store() -> NotFound:
    return NotFound("The account has no store of this id.")


def _no_secret() -> NotFound:
    return NotFound("The store has no such secret.")
