"""Custom hostnames: names outside the platform's own domain, each of an account.

An account claims a name, and proves that it is its customer's (:mod:`cloister.registry.claims`).
Where it is the only account of the installation, it may vouch for a name instead: nobody else could
be meant.
"""

from typing import Any, Literal, cast

from sqlalchemy import Select, bindparam, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry.claims import Claims, noted, pend
from cloister.registry.cursors import decode_cursor, encode_cursor
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.fallbacks import FallbackOrigin, Fallbacks
from cloister.registry.hostname_filter import HostnameFilter
from cloister.registry.hostname_names import canonical_hostname, is_ours
from cloister.registry.models import Account, Hostname, Namespace
from cloister.registry.names import new_id, new_uuid
from cloister.registry.namespaces import namespace_row
from cloister.registry.views import HostnameRoute, HostnameStatus, HostnameView, Numbered, Page

LIST_LIMIT = 1_000
LARGEST_PAGE = 1_000_000
QUOTA_EXCEEDED = 1405

Target = tuple[str, str]
"""Namespace and script."""

# Said as they stand, so that the index of active names serves them.
_ACTIVE = text("custom_hostnames.status = 'active'")
_ELSE = aliased(Namespace)
_ROUTE = (
    select(
        Hostname.hostname,
        Namespace.name,
        Hostname.script,
        Hostname.custom_metadata,
        _ELSE.name,
        FallbackOrigin.script,
    )
    .outerjoin(Namespace, Hostname.namespace_id == Namespace.id)
    .outerjoin(FallbackOrigin, FallbackOrigin.account_id == Hostname.account_id)
    .outerjoin(_ELSE, FallbackOrigin.namespace_id == _ELSE.id)
    .where(Hostname.hostname == bindparam("hostname"), _ACTIVE)
)
_ROUTE_BELOW = _ROUTE.where(Hostname.wildcard)
_TOKEN = select(Hostname.token).where(Hostname.id == bindparam("id"), _ACTIVE)


class Hostnames:
    """Claims, changes and finds custom hostnames.

    Attributes:
        claims: what becomes of those that are to be proved.
        fallbacks: where those lead that name no worker.
    """

    def __init__(self, database: Database, domain: str) -> None:
        self._database = database
        self._domain = domain
        self.claims = Claims(database, domain)
        self.fallbacks = Fallbacks(database)

    def create(
        self,
        account_id: str,
        hostname: str,
        *,
        metadata: dict[str, str] | None = None,
        ssl: dict[str, Any] | None = None,
        wildcard: bool = False,
        target: Target | None = None,
        quota: int = 0,
    ) -> HostnameView:
        """Claim a hostname. It is pending until it is proved.

        Raises:
            Invalid: it may not be one, or the account has its ``quota`` (0 is none) of them.
            Conflict: the account has it already.
            NotFound: the account has no such namespace, or the namespace no such script.
        """
        name = canonical_hostname(hostname, self._domain)
        with self._database.write() as work:
            if work.scalar(_mine(account_id).where(Hostname.hostname == name)) is not None:
                raise Conflict(f"The hostname {name!r} has been added already.")
            _leave_room(work, account_id, quota)
            row = _new(account_id, name)
            row.custom_metadata = metadata or {}
            row.ssl = ssl or {}
            row.wildcard = wildcard
            work.add(row)
            _lead(work, row, target)
        return self.get(account_id, name)

    def put(
        self, account_id: str, hostname: str, *, namespace: str, script: str, quota: int = 0
    ) -> HostnameView:
        """Make a hostname lead to a script, wherever in this account it led before, and vouch for
        it if the account may.

        Raises:
            Invalid: it may not be one, or the account has its ``quota`` (0 is none) of them.
            Conflict: it is active for another account.
            NotFound: the account has no such namespace, or the namespace no such script.
        """
        name = canonical_hostname(hostname, self._domain)
        with self._database.write() as work:
            row = _claimed(work, account_id, name, quota)
            _lead(work, row, (namespace, script))
            if row.status != "active" and _is_only_account(work):
                row.status, row.vouched = "active", True
                row.since, row.next_check_at, row.errors = now_ms(), None, []
            noted(work, row)
        return self.get(account_id, name)

    def edit(
        self,
        account_id: str,
        hostname_id: str,
        *,
        metadata: dict[str, str] | None = None,
        ssl: dict[str, Any] | None = None,
        wildcard: bool | None = None,
        target: Target | None = None,
    ) -> HostnameView:
        """Change what is said, and have it checked soon; one that was given up is pending again.

        Raises:
            NotFound: the account has none of this id, or no such target.
        """
        with self._database.write() as work:
            row = work.scalar(_mine(account_id).where(Hostname.id == hostname_id).with_for_update())
            if row is None:
                raise _unknown_id()
            was_wildcard = row.wildcard
            if metadata is not None:
                row.custom_metadata = metadata
            if ssl is not None:
                row.ssl = ssl
            if wildcard is not None:
                row.wildcard = wildcard
            if target is not None:
                _lead(work, row, target)
            if not row.vouched:
                pend(row)
            noted(work, row, below=was_wildcard)
        return self.find(account_id, hostname_id)

    def list(
        self,
        account_id: str,
        *,
        namespace: str | None = None,
        script: str | None = None,
        limit: int = LIST_LIMIT,
        cursor: str | None = None,
    ) -> Page[HostnameView]:
        """The account's, by name: all, or those of a namespace or of scripts of one name.

        Raises:
            Invalid: the limit is not 1 to 1000, or the cursor is not one of ours.
        """
        if not 1 <= limit <= LIST_LIMIT:
            raise Invalid(f"limit must be 1 to {LIST_LIMIT}.")
        query = _of_account(account_id).order_by(Hostname.hostname).limit(limit + 1)
        if namespace is not None:
            query = query.where(Namespace.name == namespace)
        if script is not None:
            query = query.where(Hostname.script == script)
        if cursor is not None:
            query = query.where(Hostname.hostname > decode_cursor(cursor).decode(errors="replace"))
        with self._database.read() as session:
            found = [self._view(row, name) for row, name in session.execute(query)]
        items = found[:limit]
        more = len(found) > limit
        return Page(
            items=items, cursor=encode_cursor(items[-1].hostname.encode()) if more else None
        )

    def count(self, account_id: str) -> int:
        """How many the account has, whatever became of them."""
        with self._database.read() as session:
            return _count(session, account_id)

    def page(
        self,
        account_id: str,
        wanted: HostnameFilter,
        *,
        page: int = 1,
        per_page: int = 20,
        order: Literal["created_at", "status"] = "created_at",
        direction: Literal["asc", "desc"] = "asc",
    ) -> Numbered[HostnameView]:
        """One page of those that are wanted, and how many there are."""
        query = _of_account(account_id).where(*wanted.conditions(self._domain))
        first = Hostname.status if order == "status" else Hostname.created_at
        by = [column.desc() if direction == "desc" else column for column in (first, Hostname.id)]
        start = (min(page, LARGEST_PAGE) - 1) * per_page
        ids = query.with_only_columns(Hostname.id).subquery()
        with self._database.read() as session:
            total = session.scalar(select(func.count()).select_from(ids)) or 0
            rows = session.execute(query.order_by(*by).offset(start).limit(per_page))
            return Numbered(items=[self._view(row, name) for row, name in rows], total=total)

    def get(self, account_id: str, hostname: str) -> HostnameView:
        """Find one by its name.

        Raises:
            Invalid: it may not be one.
            NotFound: the account has it not.
        """
        name = canonical_hostname(hostname, self._domain)
        found = self._one(_of_account(account_id).where(Hostname.hostname == name))
        if found is None:
            raise _unknown(name)
        return found

    def find(self, account_id: str, hostname_id: str) -> HostnameView:
        """Find one by its id. Raises NotFound."""
        found = self._one(_of_account(account_id).where(Hostname.id == hostname_id))
        if found is None:
            raise _unknown_id()
        return found

    def delete(self, account_id: str, hostname: str) -> None:
        """Delete one by its name. Raises as :meth:`get` does."""
        name = canonical_hostname(hostname, self._domain)
        if not self._delete(_mine(account_id).where(Hostname.hostname == name)):
            raise _unknown(name)

    def discard(self, account_id: str, hostname_id: str) -> None:
        """Delete one by its id. Raises NotFound."""
        if not self._delete(_mine(account_id).where(Hostname.id == hostname_id)):
            raise _unknown_id()

    def resolve(self, hostname: str, *, wait: bool = True) -> HostnameRoute | None:
        """Where a canonical hostname leads, or ``*.`` and one that has its names below it along;
        None if it is active for nobody. For ``wait`` see ``Database.row``."""
        below = hostname.startswith("*.")
        query = _ROUTE_BELOW if below else _ROUTE
        found = self._database.row(query, {"hostname": hostname[2 * below :]}, wait=wait)
        if found is None:
            return None
        name, namespace, script, metadata, else_namespace, else_script = found
        if script is None and not metadata.get("worker"):
            namespace, script = else_namespace, else_script
        return HostnameRoute(
            hostname=name, namespace=namespace or "", script=script or "", metadata=metadata
        )

    def token(self, hostname_id: str) -> str | None:
        """The token of an active hostname: we show it where its name leads to us."""
        found = self._database.row(_TOKEN, {"id": hostname_id}, wait=True)
        return None if found is None else str(found[0])

    def _one(self, query: Select[Hostname, str]) -> HostnameView | None:
        with self._database.read() as session:
            found = session.execute(query).one_or_none()
        return None if found is None else self._view(*found)

    def _delete(self, query: Select[Hostname]) -> bool:
        with self._database.write() as work:
            row = work.scalar(query.with_for_update())
            if row is None:
                return False
            noted(work, row)
            work.delete(row)
        return True

    def _view(self, row: Hostname, namespace: str | None) -> HostnameView:
        status = "blocked" if is_ours(row.hostname, self._domain) else row.status
        return HostnameView(
            id=row.id,
            account_id=row.account_id,
            hostname=row.hostname,
            status=cast("HostnameStatus", status),
            wildcard=row.wildcard,
            vouched=row.vouched,
            token=row.token,
            metadata=row.custom_metadata,
            ssl=row.ssl,
            errors=row.errors,
            namespace=namespace,
            script=row.script,
            created_at=row.created_at,
        )


def _new(account_id: str, hostname: str) -> Hostname:
    now = now_ms()
    return Hostname(
        id=new_id(),
        account_id=account_id,
        hostname=hostname,
        status="pending",
        wildcard=False,
        vouched=False,
        token=new_uuid(),
        custom_metadata={},
        ssl={},
        errors=[],
        created_at=now,
        since=now,
        next_check_at=now,
    )


def _claimed(work: Work, account_id: str, hostname: str, quota: int) -> Hostname:
    """The account's row, locked; made if missing."""
    named = Hostname.hostname == hostname
    others = select(Hostname.id).where(named, _ACTIVE, Hostname.account_id != account_id)
    if work.scalar(others) is not None:
        raise Conflict(f"The hostname {hostname!r} belongs to another account.")
    row = work.scalar(_mine(account_id).where(named).with_for_update())
    if row is None:
        _leave_room(work, account_id, quota)
        row = _new(account_id, hostname)
        work.add(row)
    elif not row.vouched:
        pend(row)
    return row


def _leave_room(work: Work, account_id: str, quota: int) -> None:
    """Raises Invalid: the account has all that it may."""
    if quota and _count(work, account_id) >= quota:
        raise Invalid(
            f"Quota exceeded: the account has {quota} custom hostnames.", code=QUOTA_EXCEEDED
        )


def _count(session: Session, account_id: str) -> int:
    query = select(func.count()).select_from(Hostname).where(Hostname.account_id == account_id)
    return session.scalar(query) or 0


def _lead(work: Work, row: Hostname, target: Target | None) -> None:
    """Make it lead there. Raises NotFound if that is nowhere."""
    script = None
    if target is not None:
        namespace, script = target
        # Locked: it is neither renamed nor loses the script before this is written.
        found = namespace_row(work, row.account_id, namespace, for_change=True)
        row.namespace_id, row.script = found.id, script
    try:
        work.flush()
    except IntegrityError as exc:
        if script is None or "UNIQUE" in str(exc.orig).upper():
            raise Conflict(f"The hostname {row.hostname!r} is being added already.") from exc
        raise NotFound(f"The namespace has no script {script[:64]!r}.") from exc


def _is_only_account(work: Work) -> bool:
    return work.scalar(select(func.count()).select_from(Account)) == 1


def _mine(account_id: str) -> Select[Hostname]:
    return select(Hostname).where(Hostname.account_id == account_id)


def _joined() -> Select[Hostname, str]:
    return select(Hostname, Namespace.name).outerjoin(
        Namespace, Hostname.namespace_id == Namespace.id
    )


def _of_account(account_id: str) -> Select[Hostname, str]:
    return _joined().where(Hostname.account_id == account_id)


def _unknown(hostname: str) -> NotFound:
    return NotFound(f"The account has no hostname {hostname!r}.")


def _unknown_id() -> NotFound:
    return NotFound("The account has no custom hostname of this id.")
