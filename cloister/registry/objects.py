"""Durable Objects: the classes of an account, the objects of each, and who runs an object."""

import builtins
from collections.abc import Sequence

import msgspec
from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry.cursors import decode_cursor, encode_cursor
from cloister.registry.database import Database, chunks, now_ms
from cloister.registry.models import Namespace, Script
from cloister.registry.objects_models import ObjectMigration, ObjectNamespace, StoredObject
from cloister.registry.views import Numbered, Page

PER_PAGE = 1_000
LIST_LIMIT = 10_000
LARGEST_PAGE = 1_000_000
OBJECTS = 1_000_000
"""Of one class."""


class ObjectNamespaceView(msgspec.Struct, frozen=True, kw_only=True):
    """A class with its objects. ``key`` makes their ids; it leaves no process of the platform."""

    id: str
    account_id: str
    namespace: str
    script: str
    class_name: str
    uses_sqlite: bool
    key: bytes

    def __repr__(self) -> str:
        """Without the key."""
        return f"ObjectNamespaceView({self.namespace}/{self.script}/{self.class_name})"


class ObjectView(msgspec.Struct, frozen=True, kw_only=True):
    """An object, as listings show it."""

    id: str
    is_stored: bool


class Ownership(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs an object, under which number, and whose directory has its files."""

    owner: str | None = None
    fence: int = 0
    home: str | None = None
    is_stored: bool = False


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """An object whose alarm is due, and whom to send that."""

    id: str
    namespace_id: str
    namespace: str
    script: str


class TooMany(Conflict):
    """The class has as many objects as it may have."""


class Objects:
    """Finds classes and objects, and hands objects from one owner to the next."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def namespaces(
        self, account_id: str, *, page: int = 1, per_page: int = PER_PAGE
    ) -> Numbered[ObjectNamespaceView]:
        """One page of an account's classes.

        Raises:
            Invalid: the page is below 1, or ``per_page`` not 1 to 1000.
        """
        if not (1 <= page <= LARGEST_PAGE and 1 <= per_page <= PER_PAGE):
            raise Invalid(f"page must be at least 1, per_page 1 to {PER_PAGE}.")
        mine = ObjectNamespace.account_id == account_id
        query = _NAMESPACES.where(mine).order_by(ObjectNamespace.id)
        with self._database.read() as session:
            total = session.scalar(select(func.count()).select_from(ObjectNamespace).where(mine))
            rows = session.execute(query.offset((page - 1) * per_page).limit(per_page))
            items = [ObjectNamespaceView(**row._mapping) for row in rows]
        return Numbered(items=items, total=total or 0)

    def namespace(self, namespace_id: str) -> ObjectNamespaceView | None:
        """The class of this id, whoever asks: a binding to it is the right to use it."""
        with self._database.read() as session:
            row = session.execute(_NAMESPACES.where(ObjectNamespace.id == namespace_id)).first()
            return None if row is None else ObjectNamespaceView(**row._mapping)

    def exist(self, namespace_ids: Sequence[str]) -> set[str]:
        """Those of these classes that there are."""
        query = select(ObjectNamespace.id).where(ObjectNamespace.id.in_(namespace_ids))
        with self._database.read() as session:
            return set(session.scalars(query))

    def migration_tags(self, script_ids: Sequence[str]) -> dict[str, str]:
        """The tags of the last migrations of those scripts that had any."""
        query = select(ObjectMigration.script_id, ObjectMigration.tag)
        with self._database.read() as session:
            return {
                id_: tag
                for some in chunks(script_ids)
                for id_, tag in session.execute(query.where(ObjectMigration.script_id.in_(some)))
            }

    def list(
        self,
        account_id: str,
        namespace_id: str,
        *,
        limit: int = PER_PAGE,
        cursor: str | None = None,
    ) -> Page[ObjectView]:
        """Objects of a class that store something, by id.

        Raises:
            NotFound: the account has no such class.
            Invalid: the limit is not 1 to 10000, or the cursor is not one of ours.
        """
        if not 1 <= limit <= LIST_LIMIT:
            raise Invalid(f"limit must be 1 to {LIST_LIMIT}.")
        found = self.namespace(namespace_id)
        if found is None or found.account_id != account_id:
            raise NotFound("The Durable Object namespace could not be found.")
        query = select(StoredObject.id).where(
            StoredObject.namespace_id == namespace_id, StoredObject.is_stored
        )
        if cursor:
            query = query.where(StoredObject.id > decode_cursor(cursor).decode(errors="replace"))
        with self._database.read() as session:
            ids = session.scalars(query.order_by(StoredObject.id).limit(limit + 1)).all()
        items = [ObjectView(id=each, is_stored=True) for each in ids[:limit]]
        more = len(ids) > limit
        return Page(items=items, cursor=encode_cursor(items[-1].id.encode()) if more else None)

    # Who runs an object:

    def ownership(self, object_id: str) -> Ownership:
        """Who runs it now, if anybody does."""
        query = select(
            StoredObject.owner, StoredObject.fence, StoredObject.home, StoredObject.is_stored
        ).where(StoredObject.id == object_id)
        with self._database.read() as session:
            row = session.execute(query).first()
            return Ownership() if row is None else Ownership(**row._mapping)

    def acquire(
        self, namespace_id: str, object_id: str, seen: Ownership, *, owner: str, home: str
    ) -> Ownership:
        """Make ``owner`` the one who runs it, unless somebody became so since it was ``seen``.

        Raises:
            Conflict: somebody did, or the files are of another home.
            NotFound: there is no such class any more.
            TooMany: it has too many objects.
        """
        try:
            with self._database.write() as work:
                fresh = {"id": object_id, "namespace_id": namespace_id, "fence": now_ms()}
                inserted = work.insert(StoredObject).values(fresh).on_conflict_do_nothing()
                if work.rows_changed(inserted):
                    counted = (
                        update(ObjectNamespace)
                        .where(
                            ObjectNamespace.id == namespace_id, ObjectNamespace.objects < OBJECTS
                        )
                        .values(objects=ObjectNamespace.objects + 1)
                    )
                    if not work.rows_changed(counted):
                        raise TooMany
                row = work.scalars(
                    select(StoredObject).where(StoredObject.id == object_id).with_for_update()
                ).one()
                if row.owner != seen.owner or row.home not in (None, home):
                    raise Conflict("Another executor runs this object.")
                if seen.fence not in (0, row.fence):
                    raise Conflict("Another executor has run this object meanwhile.")
                row.owner, row.home, row.fence = owner, home, row.fence + 1
                return Ownership(owner=owner, fence=row.fence, home=home, is_stored=row.is_stored)
        except IntegrityError as exc:
            raise NotFound("There is no such class of Durable Objects any more.") from exc

    def store(self, object_id: str, fence: int) -> bool:
        """Note that files are about to come to be; whether ``fence`` is still its number."""
        return self._change(object_id, fence, is_stored=True)

    def wake_at(self, object_id: str, fence: int, at_ms: int | None) -> bool:
        """Note when its alarm is due; whether ``fence`` is still its number."""
        return self._change(object_id, fence, alarm_at=at_ms)

    def release(self, object_id: str, fence: int) -> None:
        """Nobody runs it any more. One that stores nothing is forgotten."""
        mine = (StoredObject.id == object_id) & (StoredObject.fence == fence)
        unused = mine & ~StoredObject.is_stored & StoredObject.alarm_at.is_(None)
        with self._database.write() as work:
            namespace_id = work.scalar(select(StoredObject.namespace_id).where(mine))
            if work.rows_changed(delete(StoredObject).where(unused)):
                work.execute(
                    update(ObjectNamespace)
                    .where(ObjectNamespace.id == namespace_id)
                    .values(objects=ObjectNamespace.objects - 1)
                )
            else:
                work.execute(update(StoredObject).where(mine).values(owner=None))

    def take_due(self, now: int, again_at: int, limit: int) -> builtins.list[Due]:
        """Objects whose alarms are due. They are due again at ``again_at``, unless what is sent
        them comes to something."""
        with self._database.write() as work:
            query = (
                select(
                    StoredObject.id,
                    StoredObject.namespace_id,
                    Namespace.name.label("namespace"),
                    Script.name.label("script"),
                )
                .join(ObjectNamespace, StoredObject.namespace_id == ObjectNamespace.id)
                .join(Script, ObjectNamespace.script_id == Script.id)
                .join(Namespace, Script.namespace_id == Namespace.id)
                .where(StoredObject.alarm_at <= now)
                .order_by(StoredObject.alarm_at)
                .limit(limit)
                .with_for_update(of=StoredObject, skip_locked=True)
            )
            due = [Due(**row._mapping) for row in work.execute(query)]
            ids = [each.id for each in due]
            work.execute(
                update(StoredObject).where(StoredObject.id.in_(ids)).values(alarm_at=again_at)
            )
        return due

    def _change(self, object_id: str, fence: int, **values: object) -> bool:
        mine = (StoredObject.id == object_id) & (StoredObject.fence == fence)
        with self._database.write() as work:
            return bool(work.rows_changed(update(StoredObject).where(mine).values(**values)))


_NAMESPACES: Select[str, str, str, str, str, bool, bytes] = (
    select(
        ObjectNamespace.id,
        ObjectNamespace.account_id,
        Namespace.name.label("namespace"),
        Script.name.label("script"),
        ObjectNamespace.class_name,
        ObjectNamespace.uses_sqlite,
        ObjectNamespace.key,
    )
    .join(Script, ObjectNamespace.script_id == Script.id)
    .join(Namespace, Script.namespace_id == Namespace.id)
)
