"""Scripts: a name in a namespace, its tags, and the version that is live under it."""

import builtins
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Text, cast, delete, or_, select
from sqlalchemy.orm import Session

from cloister.errors import Conflict, Invalid
from cloister.registry import assets, object_classes, unversioned
from cloister.registry.cursors import decode_cursor, encode_cursor
from cloister.registry.database import Database, Work, chunks, now_ms
from cloister.registry.deployments import Deployments
from cloister.registry.lookups import namespace_by_id, script_row, unknown_script
from cloister.registry.models import Namespace, Script, ScriptTag, Version
from cloister.registry.names import check_name, check_tags, is_plain, new_id
from cloister.registry.object_classes import Migration
from cloister.registry.rollout import WHOLE, Share, Traffic
from cloister.registry.tags import EVERY_SCRIPT, TagFilter
from cloister.registry.versions import Versions, view
from cloister.registry.views import NewVersion, Page, ScriptSummary, ScriptView, VersionView

LIST_LIMIT = 1_000
USERS_NAMED = 20
"""Scripts that an error names."""

NOT_FULLY_DEPLOYED = 10215
TWO_ARE_LIVE = "Two versions are live. Deploy one of them alone before you change anything else."

Change = Callable[[NewVersion | None], NewVersion]
"""From the live version (None for a new script) to the next one. Runs inside the transaction, on
SQLite with every other writer waiting: it must be quick and touch nothing else."""


class Scripts:
    """Makes, changes and deletes scripts. A namespace is named by id, which only its account knows
    the way to: ``namespaces.find(account_id, name).id``.

    Every method raises:
        NotFound: there is no such namespace, or no such script in it.
    """

    def __init__(self, database: Database, versions: Versions, deployments: Deployments) -> None:
        self._database = database
        self._versions = versions
        self._deployments = deployments

    def put_version(
        self,
        namespace_id: str,
        name: str,
        version: NewVersion | Change,
        *,
        tags: Iterable[str] | None = None,
        migration: Migration | None = None,
    ) -> ScriptView:
        """Write a version and make it live alone, the script too if it is new, and its classes of
        objects what ``migration`` makes of them: all or nothing.

        Uploads of one name at the same time follow one another; the last one is live. ``tags`` None
        leaves them as they are.

        Raises:
            Invalid: the name, the tags, the bindings or the migration break a rule.
        """
        change = version if callable(version) else lambda _live: version
        return self._put(namespace_id, name, change, tags, "upload", migration)

    def revise(
        self,
        namespace_id: str,
        name: str,
        change: Callable[[NewVersion], NewVersion],
        *,
        tags: Iterable[str] | None = None,
    ) -> ScriptView:
        """:meth:`put_version` for a script that must exist: settings, secrets, content alone.

        Raises:
            Invalid: also where two versions are live: which of them is meant?
        """

        def of_existing(live: NewVersion | None) -> NewVersion:
            if live is None:
                raise unknown_script(name)
            kept = {key: item for key, item in live.settings.items() if key != "annotations"}
            return change(msgspec.structs.replace(live, settings=kept))

        return self._put(namespace_id, name, of_existing, tags, "change")

    def add_version(
        self, namespace_id: str, name: str, change: Callable[[NewVersion], NewVersion]
    ) -> VersionView:
        """Write a version, made of the script's newest one, and leave live what is.

        Raises:
            Invalid: the bindings break a rule.
        """
        with self._database.write() as work:
            namespace = namespace_by_id(work, namespace_id)
            script = script_row(work, namespace_id, name)
            newest = self._versions.newest(work, script)
            new = change(self._versions.uploaded(newest))
            return view(self._versions.write(work, namespace, script, new))

    def _put(
        self,
        namespace_id: str,
        name: str,
        change: Change,
        tags: Iterable[str] | None,
        cause: Literal["upload", "change"],
        migration: Migration | None = None,
    ) -> ScriptView:
        check_name(name, "Script name")
        wanted = None if tags is None else check_tags(tags)
        with self._database.write() as work:
            namespace = namespace_by_id(work, namespace_id)
            script = _made(work, namespace, name)
            if cause == "change" and script.traffic is not None:
                raise Invalid(TWO_ARE_LIVE, code=NOT_FULLY_DEPLOYED)
            live = work.get(Version, script.version_id)
            new = change(self._versions.uploaded(live, script.settings) if live else None)
            if migration is not None:
                object_classes.migrate(work, namespace, script, migration)
            row = self._versions.write(work, namespace, script, new)
            script.settings = unversioned.picked(new.settings)
            alone = Traffic([Share(row.id, WHOLE)])
            self._deployments.deploy(work, namespace, script, alone, cause)
            if wanted is not None:
                _replace_tags(work, script, wanted)
            kept = _tags(work, [script])
        return _view(script, namespace.name, row, kept.get(script.id, []))

    def configure(
        self,
        namespace_id: str,
        name: str,
        changes: Mapping[str, Any],
        *,
        tags: Iterable[str] | None = None,
    ) -> ScriptView:
        """Change settings that are the script's and not a version's, whatever is live.

        Raises:
            Invalid: the tags break a rule.
        """
        wanted = None if tags is None else check_tags(tags)
        with self._database.write() as work:
            namespace = namespace_by_id(work, namespace_id)
            script = script_row(work, namespace_id, name)
            row = work.get_one(Version, script.version_id)
            now = unversioned.merged(row.settings, script.settings)
            script.settings = unversioned.picked({**now, **changes})
            script.modified_at = now_ms()
            if wanted is not None:
                _replace_tags(work, script, wanted)
            kept = _tags(work, [script])
            work.changed(namespace.name, script.name)
        return _view(script, namespace.name, row, kept.get(script.id, []))

    def uploaded(self, namespace_id: str, name: str) -> NewVersion | None:
        """The live version as uploaded, with its secrets; None if there is no such script."""
        query = (
            select(Version, Script.settings)
            .join(Script, Script.version_id == Version.id)
            .where(Script.namespace_id == namespace_id, Script.name == name)
        )
        with self._database.read() as session:
            row = session.execute(query).one_or_none()
            return None if row is None else self._versions.uploaded(*row)

    def newest(self, namespace_id: str, name: str) -> NewVersion:
        """The newest version as uploaded, live or not, with its secrets."""
        with self._database.read() as session:
            script = script_row(session, namespace_id, name, lock=False)
            return self._versions.uploaded(self._versions.newest(session, script))

    def get(self, namespace_id: str, name: str) -> ScriptView:
        """Find one, with its live version."""
        query = (
            select(Script, Namespace.name, Version)
            .join(Namespace, Script.namespace_id == Namespace.id)
            .join(Version, Script.version_id == Version.id)
            .where(Script.namespace_id == namespace_id, Script.name == name)
        )
        with self._database.read() as session:
            found = session.execute(query).one_or_none()
            if found is None:
                raise unknown_script(name)
            script, namespace, version = found
            return _view(script, namespace, version, _tags(session, [script]).get(script.id, []))

    def list(
        self,
        namespace_id: str,
        *,
        tags: TagFilter = EVERY_SCRIPT,
        limit: int = LIST_LIMIT,
        cursor: str | None = None,
    ) -> Page[ScriptSummary]:
        """Scripts by name. What is deployed meanwhile is in a later page or not at all.

        Raises:
            Invalid: the limit is not 1 to 1000, or the cursor is not one of ours.
        """
        if not 1 <= limit <= LIST_LIMIT:
            raise Invalid(f"limit must be 1 to {LIST_LIMIT}.")
        query = (
            select(
                Script,
                Version.digest,
                Version.handlers,
                Version.startup_ms,
                Version.main_module,
                Version.assets,
            )
            .join(Version, Script.version_id == Version.id)
            .limit(limit + 1)
        )
        query, name = tags.apply(query, namespace_id)
        if cursor is not None:
            query = query.where(name > decode_cursor(cursor).decode(errors="replace"))
        with self._database.read() as session:
            namespace = namespace_by_id(session, namespace_id, lock=False)
            rows = session.execute(query.order_by(name)).all()
            tagged = _tags(session, [row[0] for row in rows[:limit]])
        items = [
            ScriptSummary(
                **_fields(script, namespace.name, tagged.get(script.id, [])),
                digest=digest,
                handlers=handlers,
                startup_ms=startup_ms,
                has_code=bool(main_module),
                has_assets=site is not None,
            )
            for script, digest, handlers, startup_ms, main_module, site in rows[:limit]
        ]
        more = len(rows) > limit
        return Page(items=items, cursor=encode_cursor(items[-1].name.encode()) if more else None)

    def delete(self, namespace_id: str, name: str, *, force: bool = True) -> None:
        """Delete a script with its versions and tags.

        Raises:
            Conflict: not ``force``, and other scripts have service bindings to it.
        """
        with self._database.write() as work:
            namespace = namespace_by_id(work, namespace_id)
            mine = (Script.namespace_id == namespace_id) & (Script.name == name)
            if not work.rows_changed(delete(Script).where(mine)):
                raise unknown_script(name)
            users = [] if force else _users(work, namespace_id, name)
            if users:
                raise Conflict(f"{name} is the target of service bindings of {', '.join(users)}.")
            assets.forget(work, namespace_id, name)
            work.changed(namespace.name, name)

    def delete_tagged(self, namespace_id: str, tags: TagFilter) -> builtins.list[str]:
        """Delete every script that the filter lets through; their names.

        Raises:
            Invalid: the filter is empty, which would delete all.
        """
        if not tags:
            raise Invalid("A filter by tags is needed to delete scripts.")
        with self._database.write() as work:
            namespace = namespace_by_id(work, namespace_id)
            query, _ = tags.apply(select(Script.id, Script.name), namespace_id)
            found = work.execute(query.order_by(Script.id).with_for_update(of=Script)).all()
            for some in chunks(found):
                work.execute(delete(Script).where(Script.id.in_([row.id for row in some])))
                assets.forget(work, namespace_id, *(row.name for row in some))
            names = sorted(row.name for row in found)
            if names:
                work.changed(namespace.name, *names)
        return names

    def users(self, namespace_id: str, name: str) -> builtins.list[str]:
        """Scripts with service bindings to this one: their names, of some."""
        with self._database.read() as session:
            return _users(session, namespace_id, name)

    def producers(self, account_id: str, consumer: str) -> builtins.list[tuple[str, str]]:
        """Workers whose records a plain Worker is said to get: namespaces and names, of some."""
        query = (
            select(Namespace.name, Script.name, Version.settings, Script.settings)
            .join(Script, Script.namespace_id == Namespace.id)
            .join(Version, Script.version_id == Version.id)
            .where(Namespace.account_id == account_id)
            # Only a sieve, as that of :func:`_users`.
            .where(or_(*(_says(each, consumer) for each in (Version.settings, Script.settings))))
            .order_by(Namespace.name, Script.name)
            .limit(USERS_NAMED)
        )
        with self._database.read() as session:
            rows = session.execute(query).all()
        wanted = {(consumer, None), (consumer, "")}
        said = [
            (namespace, name, unversioned.merged(version, script).get("tail_consumers", []))
            for namespace, name, version, script in rows
        ]
        return [
            (namespace, name)
            for namespace, name, consumers in said
            if any((each.get("service"), each.get("namespace")) in wanted for each in consumers)
        ]

    def tags(self, namespace_id: str, name: str) -> builtins.list[str]:
        """The tags of a script, sorted."""
        return self.get(namespace_id, name).tags

    def set_tags(self, namespace_id: str, name: str, tags: Iterable[str]) -> builtins.list[str]:
        """Replace all tags.

        Raises:
            Invalid: there are too many, or one breaks a rule.
        """
        wanted = builtins.list(tags)
        return self._retag(namespace_id, name, lambda _old: wanted)

    def add_tag(self, namespace_id: str, name: str, tag: str) -> builtins.list[str]:
        """Add one tag; the tags after it. Raises as :meth:`set_tags`."""
        return self._retag(namespace_id, name, lambda old: [*old, tag])

    def remove_tag(self, namespace_id: str, name: str, tag: str) -> builtins.list[str]:
        """Remove one tag, which need not be there; the tags after it."""
        return self._retag(namespace_id, name, lambda old: [each for each in old if each != tag])

    def _retag(
        self,
        namespace_id: str,
        name: str,
        change: Callable[[builtins.list[str]], builtins.list[str]],
    ) -> builtins.list[str]:
        with self._database.write() as work:
            namespace_by_id(work, namespace_id)
            script = script_row(work, namespace_id, name)
            wanted = check_tags(change(_tags(work, [script]).get(script.id, [])))
            _replace_tags(work, script, wanted)
            script.modified_at = now_ms()
        return wanted


def _made(work: Work, namespace: Namespace, name: str) -> Script:
    """The script's row, locked; made if there is none, with no version yet.

    It is inserted first and read after, so that of two first uploads one waits here for the other,
    and then finds its version.
    """
    fresh = {
        "id": new_id(),
        "namespace_id": namespace.id,
        "name": name,
        "version_id": "",
        "created_at": now_ms(),
        "modified_at": now_ms(),
    }
    work.execute(work.insert(Script).values(fresh).on_conflict_do_nothing())
    return script_row(work, namespace.id, name)


def _says(settings: Any, consumer: str) -> Any:
    """Whether stored settings may name a tail consumer."""
    stored = cast(settings, Text)
    return stored.contains('"tail_consumers"') & stored.contains(f'"{consumer}"', autoescape=True)


def _users(session: Session, namespace_id: str, name: str) -> list[str]:
    """Scripts whose live version has a service binding to this one: a few."""
    query = (
        select(Script.name, Namespace.id, Version.bindings)
        .join(Version, Script.version_id == Version.id)
        .join(Namespace, Script.namespace_id == Namespace.id)
        .where(_may_use(session, namespace_id))
        # Only a sieve, so that not every script's bindings are fetched: the JSON is ours, compact.
        .where(cast(Version.bindings, Text).contains(f'"service":"{name}"', autoescape=True))
        .order_by(Script.name)
        .limit(USERS_NAMED)
    )
    return [
        user
        for user, place, bindings in session.execute(query)
        if any(
            item["type"] == "service"
            and item.get("service") == name
            and bool(item.get("plain")) == (place != namespace_id)
            for item in bindings
        )
    ]


def _may_use(session: Session, namespace_id: str) -> ColumnElement[bool]:
    """Those whose bindings may lead into this namespace: it, and the whole account if it is that of
    the plain Workers."""
    namespace = session.get(Namespace, namespace_id)
    if namespace is None or not is_plain(namespace.name):
        return Namespace.id == namespace_id
    return Namespace.account_id == namespace.account_id


def _tags(session: Session, scripts: Sequence[Script]) -> dict[str, builtins.list[str]]:
    """Script id to its tags, sorted."""
    found: dict[str, list[str]] = {}
    for some in chunks(scripts):
        ids = [script.id for script in some]
        query = select(ScriptTag.script_id, ScriptTag.tag).where(ScriptTag.script_id.in_(ids))
        for script_id, tag in session.execute(query.order_by(ScriptTag.tag)):
            found.setdefault(script_id, []).append(tag)
    return found


def _replace_tags(work: Work, script: Script, tags: Sequence[str]) -> None:
    work.execute(delete(ScriptTag).where(ScriptTag.script_id == script.id))
    of = {"script_id": script.id, "script": script.name, "namespace_id": script.namespace_id}
    rows = [of | {"tag": tag} for tag in tags]
    if rows:
        work.execute(work.insert(ScriptTag), rows)


def _fields(script: Script, namespace: str, tags: builtins.list[str]) -> dict[str, Any]:
    plain = ("id", "name", "version_id", "created_at", "modified_at")
    return {name: getattr(script, name) for name in plain} | {"namespace": namespace, "tags": tags}


def _view(script: Script, namespace: str, version: Version, tags: builtins.list[str]) -> ScriptView:
    live = view(version)
    settings = unversioned.merged(live.settings, script.settings)
    live = msgspec.structs.replace(live, settings=settings)
    return ScriptView(
        **_fields(script, namespace, tags),
        digest=live.digest,
        handlers=live.handlers,
        startup_ms=live.startup_ms,
        has_code=bool(live.main_module),
        has_assets=live.assets is not None,
        version=live,
    )
