"""Dispatch namespaces. A name is unique over all accounts: queues and hostnames are made of it."""

import builtins
from typing import Any

import msgspec
from sqlalchemy import Row, Select, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cloister.errors import Conflict, Invalid, NotFound
from cloister.languages import RESTRICTED, Language, known
from cloister.limits import NO_LIMITS, Limits
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.models import Account, Namespace, Script
from cloister.registry.names import check_name, is_plain, new_uuid, plain_namespace
from cloister.registry.views import NamespaceDetail, NamespaceView, OutboundRule

OUTBOUND_PARAMETERS = 64
EGRESS_PATTERNS = 1_000

Unset = msgspec.UnsetType
UNSET = msgspec.UNSET


class Namespaces:
    """Makes, changes and deletes dispatch namespaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        account_id: str,
        name: str,
        *,
        trusted: bool = False,
        limits: Limits = NO_LIMITS,
        outbound: OutboundRule | None = None,
        egress_allow: builtins.list[str] | Unset = UNSET,
        egress_deny: builtins.list[str] | Unset = UNSET,
        fresh_isolates: bool = False,
    ) -> NamespaceDetail:
        """Make a namespace, in one transaction.

        Raises:
            Invalid: the name may not be one, or a list is too long.
            Conflict: the name is taken, in this account or another.
            NotFound: there is no such account, or no namespace that ``outbound`` names.
        """
        row = Namespace(
            id=new_uuid(),
            account_id=account_id,
            name=check_name(name, "Namespace name"),
            trusted=trusted,
            limits=limits,
            outbound=None,
            egress_allow=[],
            egress_deny=[],
            language=RESTRICTED,
            fresh_isolates=fresh_isolates,
            created_at=(now := now_ms()),
            modified_at=now,
        )
        try:
            with self._database.write() as work:
                if work.get(Account, account_id) is None:
                    raise NotFound("No account has this id.")
                _alone(work, account_id)
                row.outbound = _stored_rule(work, row, outbound)
                _assign(row, egress_allow=_few(egress_allow), egress_deny=_few(egress_deny))
                work.add(row)
                work.changed(name)
        except IntegrityError as exc:
            raise _taken(name) from exc
        return _detail(row, 0)

    def list(self, account_id: str) -> builtins.list[NamespaceDetail]:
        """The account's namespaces, by name."""
        mine = (Namespace.account_id == account_id) & (
            Namespace.name != plain_namespace(account_id)
        )
        query = _counted().where(mine).order_by(Namespace.name)
        with self._database.read() as session:
            return [_detail(row, count) for row, count in session.execute(query)]

    def names(self) -> builtins.list[str]:
        """The names of all namespaces of all accounts: what there is to consume."""
        with self._database.read() as session:
            return builtins.list(session.scalars(select(Namespace.name).order_by(Namespace.name)))

    def plain(self, account_id: str) -> NamespaceView:
        """Where the account's plain Workers are, made if missing. The platform's own are trusted.

        Raises:
            NotFound: there is no such account.
        """
        name = plain_namespace(account_id)
        query = select(Namespace).where(Namespace.name == name)
        with self._database.read() as session:
            row = session.scalar(query)
        if row is None:
            fresh = {
                "id": new_uuid(),
                "account_id": account_id,
                "name": name,
                "trusted": True,
                "limits": NO_LIMITS,
                "egress_allow": [],
                "egress_deny": [],
                "created_at": (now := now_ms()),
                "modified_at": now,
            }
            with self._database.write() as work:
                if work.get(Account, account_id) is None:
                    raise NotFound("No account has this id.")
                work.execute(work.insert(Namespace).values(fresh).on_conflict_do_nothing())
                work.changed(name)
                row = work.scalars(query).one()
        return namespace_view(row)

    def find(self, account_id: str, name: str) -> NamespaceView:
        """Find one, without a count of its scripts, which takes the longer the more they are.

        Raises:
            NotFound: the account has none of this name.
        """
        with self._database.read() as session:
            return namespace_view(namespace_row(session, account_id, name))

    def get(self, account_id: str, name: str) -> NamespaceDetail:
        """Find one, with all that is known of it.

        Raises:
            NotFound: the account has none of this name.
        """
        query = _counted().where(Namespace.account_id == account_id, Namespace.name == name)
        with self._database.read() as session:
            found = session.execute(query).one_or_none()
        if found is None or is_plain(name):
            raise _unknown(name)
        return _detail(*found)

    def update(
        self,
        account_id: str,
        name: str,
        *,
        new_name: str | Unset = UNSET,
        trusted: bool | Unset = UNSET,
        limits: Limits | Unset = UNSET,
        outbound: OutboundRule | Unset | None = UNSET,
        egress_allow: builtins.list[str] | Unset = UNSET,
        egress_deny: builtins.list[str] | Unset = UNSET,
        fresh_isolates: bool | Unset = UNSET,
    ) -> NamespaceDetail:
        """Change what is said, in one transaction.

        A new name moves the queue and the hostnames; invocations already queued under the old name
        end as "not found". Rules of other namespaces that name this one follow.

        Raises:
            NotFound: the account has no such namespace, or none that ``outbound`` names.
            Invalid: the new name may not be one, or a list is too long.
            Conflict: the new name is taken.
        """
        try:
            with self._database.write() as work:
                _alone(work, account_id)
                row = namespace_row(work, account_id, name, for_change=True)
                if outbound is not UNSET:
                    row.outbound = _stored_rule(work, row, outbound)
                _assign(row, trusted=trusted, limits=limits, fresh_isolates=fresh_isolates)
                _assign(row, egress_allow=_few(egress_allow), egress_deny=_few(egress_deny))
                if new_name is not UNSET and new_name != name:
                    _rename(work, row, check_name(new_name, "Namespace name"))
                row.modified_at = now_ms()
                work.changed(name)
        except IntegrityError as exc:
            raise _taken(str(new_name)) from exc
        return self.get(account_id, row.name)

    def set_language(self, name: str, language: Language) -> None:
        """Say what Python the workers of a namespace may be, of whichever account it is.

        For the operator only: no token of an account reaches this.

        Raises:
            NotFound: there is no such namespace.
            Invalid: there is no such language.
        """
        with self._database.write() as work:
            row = work.scalar(select(Namespace).where(Namespace.name == name).with_for_update())
            if row is None:
                raise NotFound(f"There is no namespace {name[:64]!r}.")
            row.language = known(language)
            row.modified_at = now_ms()
            work.changed(name)

    def delete(self, account_id: str, name: str) -> None:
        """Delete a namespace with all its scripts, their versions and the tokens restricted to it.

        Raises:
            NotFound: the account has no such namespace.
            Conflict: another namespace sends its fetch() calls to a script in here.
        """
        with self._database.write() as work:
            _alone(work, account_id)
            row = namespace_row(work, account_id, name, for_change=True)
            users = [user.name for user in _users(work, row)]
            if users:
                raise Conflict(f"The outbound rule of {', '.join(users)} names this namespace.")
            work.execute(delete(Namespace).where(Namespace.id == row.id))
            work.changed(name)


def namespace_row(
    session: Session, account_id: str, name: str, *, for_change: bool = False
) -> Namespace:
    """The row of an account's namespace; ``for_change`` locks it.

    Raises:
        NotFound: the account has none of this name. That of its plain Workers has no name.
    """
    query = select(Namespace).where(Namespace.account_id == account_id, Namespace.name == name)
    row = session.scalar(query.with_for_update() if for_change else query)
    if row is None or is_plain(name):
        raise _unknown(name)
    return row


def namespace_view(row: Namespace | Row[Any]) -> NamespaceView:
    """The row, or its columns, as a value."""
    return NamespaceView(**_fields(row))


def outbound_rule(kept: OutboundRule | None, namespace: str) -> OutboundRule | None:
    """A namespace's rule with the namespace that it names filled in."""
    if kept is None or kept.namespace:
        return kept
    return msgspec.structs.replace(kept, namespace=namespace)


def _detail(row: Namespace, script_count: int) -> NamespaceDetail:
    return NamespaceDetail(
        **_fields(row),
        created_at=row.created_at,
        modified_at=row.modified_at,
        script_count=script_count,
    )


def _fields(row: Namespace | Row[Any]) -> dict[str, Any]:
    plain = ("id", "account_id", "name", "trusted", "limits", "egress_allow", "egress_deny")
    fields = {name: getattr(row, name) for name in (*plain, "fresh_isolates")}
    rule = outbound_rule(row.outbound, row.name)
    return fields | {"outbound": rule, "language": known(row.language)}


def _counted() -> Select[Namespace, int]:
    count = (
        select(func.count())
        .select_from(Script)
        .where(Script.namespace_id == Namespace.id)
        .scalar_subquery()
    )
    return select(Namespace, count)


def _assign(row: Namespace, **values: object) -> None:
    for name, value in values.items():
        if value is not UNSET:
            setattr(row, name, value)


def _few(patterns: list[str] | Unset) -> list[str] | Unset:
    if patterns is not UNSET and len(patterns) > EGRESS_PATTERNS:
        raise Invalid(f"A namespace has at most {EGRESS_PATTERNS} egress patterns of a kind.")
    return patterns


def _alone(work: Work, account_id: str) -> None:
    """One such change of an account at a time: rules make it lock several namespaces, and two that
    did so in different orders would wait for each other for ever."""
    work.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))


def _stored_rule(work: Work, row: Namespace, rule: OutboundRule | None) -> OutboundRule | None:
    """The rule as it is kept. A rule may only name a namespace of the same account."""
    if rule is None:
        return None
    if len(rule.parameters) > OUTBOUND_PARAMETERS:
        raise Invalid(f"An outbound rule has at most {OUTBOUND_PARAMETERS} parameters.")
    check_name(rule.script, "Script name")
    if rule.namespace in {"", row.name}:
        return msgspec.structs.replace(rule, namespace="")
    if rule.namespace == plain_namespace(row.account_id):
        return rule
    # Locked, lest it be deleted or renamed before this rule can be seen.
    namespace_row(work, row.account_id, rule.namespace, for_change=True)
    return rule


def _users(work: Work, row: Namespace) -> list[Namespace]:
    """The other namespaces whose outbound rule names this one."""
    query = select(Namespace).where(
        Namespace.account_id == row.account_id, Namespace.outbound.is_not(None)
    )
    rows = work.scalars(query.order_by(Namespace.id).with_for_update())
    return [user for user in rows if user.outbound and user.outbound.namespace == row.name]


def _rename(work: Work, row: Namespace, new_name: str) -> None:
    for user in _users(work, row):
        assert user.outbound is not None  # noqa: S101 -- for the type checker: _users saw to it
        user.outbound = msgspec.structs.replace(user.outbound, namespace=new_name)
        work.changed(user.name)
    row.name = new_name
    work.flush()
    work.changed(new_name)


def _unknown(name: str) -> NotFound:
    return NotFound(f"The account has no namespace {name!r}.")


def _taken(name: str) -> Conflict:
    return Conflict(f"The namespace name {name!r} is taken.")
