"""Custom hostnames: names outside the platform's own domain, each leading to one script.

Whoever sets one vouches for it: that the name is its customer's is not verified here.
"""

import re
from functools import lru_cache

import idna
from sqlalchemy import Select, bindparam, select
from sqlalchemy.exc import IntegrityError

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry.cursors import decode_cursor, encode_cursor
from cloister.registry.database import Database, now_ms
from cloister.registry.models import Hostname, Namespace
from cloister.registry.namespaces import namespace_row
from cloister.registry.views import HostnameView, Page

HOSTNAME_CHARACTERS = 253
LIST_LIMIT = 1_000
HOSTNAME_INVALID = 1407

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A name whose last label is one of these is an IPv4 address to browsers, however it is written."""


_PLACE = (
    select(Namespace.name, Hostname.script)
    .join(Namespace, Hostname.namespace_id == Namespace.id)
    .where(Hostname.hostname == bindparam("hostname"))
)


class Hostnames:
    """Sets and finds custom hostnames. A name belongs to one account of all."""

    def __init__(self, database: Database, domain: str) -> None:
        self._database = database
        self._domain = domain

    def put(self, account_id: str, hostname: str, *, namespace: str, script: str) -> HostnameView:
        """Make a hostname lead to a script, wherever in this account it led before.

        Raises:
            Invalid: it may not be one.
            Conflict: another account has it.
            NotFound: the account has no such namespace, or the namespace no such script.
        """
        name = canonical_hostname(hostname, self._domain)
        with self._database.write() as work:
            # Locked: it is neither renamed nor loses the script before this is written.
            row = namespace_row(work, account_id, namespace, for_change=True)
            values = {"namespace_id": row.id, "script": script}
            mine = select(Namespace.id).where(Namespace.account_id == account_id)
            upsert = (
                work.insert(Hostname)
                .values(hostname=name, created_at=now_ms(), **values)
                .on_conflict_do_update(
                    index_elements=[Hostname.hostname],
                    set_=values,
                    where=Hostname.namespace_id.in_(mine),
                )
            )
            try:
                written = work.rows_changed(upsert)
            except IntegrityError as exc:
                raise NotFound(f"The namespace has no script {script[:64]!r}.") from exc
            if not written:
                raise Conflict(f"The hostname {name!r} belongs to another account.")
            work.changed_hostname(name, namespace, script)
        return self.get(account_id, name)

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
            found = [_view(row, name) for row, name in session.execute(query)]
        items = found[:limit]
        more = len(found) > limit
        return Page(
            items=items, cursor=encode_cursor(items[-1].hostname.encode()) if more else None
        )

    def get(self, account_id: str, hostname: str) -> HostnameView:
        """Find one.

        Raises:
            Invalid: it may not be one.
            NotFound: the account has it not.
        """
        name = canonical_hostname(hostname, self._domain)
        with self._database.read() as session:
            found = session.execute(_one(account_id, name)).one_or_none()
        if found is None:
            raise _unknown(name)
        return _view(*found)

    def delete(self, account_id: str, hostname: str) -> None:
        """Delete one. Raises as :meth:`get` does."""
        name = canonical_hostname(hostname, self._domain)
        with self._database.write() as work:
            found = work.execute(_one(account_id, name).with_for_update(of=Hostname)).one_or_none()
            if found is None:
                raise _unknown(name)
            row, namespace = found
            work.delete(row)
            work.changed_hostname(name, namespace, row.script)

    def resolve(self, hostname: str, *, wait: bool = True) -> tuple[str, str] | None:
        """Namespace and script of a canonical hostname of any account; None if there is none. For
        ``wait`` see ``Database.row``."""
        found = self._database.row(_PLACE, {"hostname": hostname}, wait=wait)
        return None if found is None else (found[0], found[1])


def canonical_hostname(text: str, domain: str) -> str:
    """The hostname as a Host header has it: lower case, punycode, no final dot.

    Raises:
        Invalid: a custom hostname of the platform of this domain cannot be that.
    """
    # Before anything else is done with it: encoding takes long for long texts.
    if len(text) > HOSTNAME_CHARACTERS + 1:
        raise _invalid(f"A hostname has at most {HOSTNAME_CHARACTERS} characters.")
    if "*" in text:
        raise _invalid("A wildcard cannot be a custom hostname: set each name on its own.")
    name = _ascii(text).lower().removesuffix(".")
    if len(name) > HOSTNAME_CHARACTERS:
        raise _invalid(f"A hostname has at most {HOSTNAME_CHARACTERS} characters, as punycode too.")
    if not _HOSTNAME.fullmatch(name):
        raise _invalid(
            f"{text[:64]!r} is not a hostname: two or more labels of letters, digits and dashes, "
            "each of up to 63 characters and not beginning or ending with a dash; no port."
        )
    if _is_address(name):
        raise _invalid("An IP address cannot be a custom hostname.")
    if _is_ours(name, domain):
        raise _invalid(f"{name!r} is of the platform's own domain, where workers are by name.")
    return name


@lru_cache(maxsize=4096)
def may_be_hostname(host: str, domain: str) -> bool:
    """Whether a custom hostname can be this, in lower case and without a final dot."""
    return (
        len(host) <= HOSTNAME_CHARACTERS
        and not _is_ours(host, domain)
        and _HOSTNAME.fullmatch(host) is not None
        and not _is_address(host)
    )


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    try:
        return idna.encode(text, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as exc:
        raise _invalid(f"{text[:64]!r} is not an internationalized hostname: {exc}.") from exc


def _is_address(name: str) -> bool:
    return _NUMBER.fullmatch(name.rpartition(".")[2]) is not None


def _is_ours(name: str, domain: str) -> bool:
    own = domain.lower().strip(".")
    return name == own or name.endswith(f".{own}")


def _of_account(account_id: str) -> Select[Hostname, str]:
    return (
        select(Hostname, Namespace.name)
        .join(Namespace, Hostname.namespace_id == Namespace.id)
        .where(Namespace.account_id == account_id)
    )


def _one(account_id: str, hostname: str) -> Select[Hostname, str]:
    return _of_account(account_id).where(Hostname.hostname == hostname)


def _view(row: Hostname, namespace: str) -> HostnameView:
    return HostnameView(
        hostname=row.hostname,
        namespace=namespace,
        script=row.script,
        created_at=row.created_at,
    )


def _invalid(message: str) -> Invalid:
    return Invalid(message, code=HOSTNAME_INVALID, pointer="/hostname")


def _unknown(hostname: str) -> NotFound:
    return NotFound(f"The account has no hostname {hostname!r}.")
