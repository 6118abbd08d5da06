"""Upload sessions of static assets: which files a script is to have, and which of them have come.

What an uploader calls a file (its hash) is taken as a name and never trusted: a session knows only
what was uploaded for its very script, or what that script's live version has. So nobody gets a
file by its hash alone, whoever has uploaded it.
"""

from collections.abc import Iterator, Mapping

import msgspec
from sqlalchemy import JSON, BigInteger, Select, cast, delete, func, select, type_coerce, update

from cloister.assets.manifest import SiteRef, Stored
from cloister.errors import NotFound
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.models import AssetSession, AssetUpload, Namespace, Script, Version
from cloister.registry.names import check_name, new_id

LIFE_S = 3_600
"""How long a session may take, and then again, how long its deploy may wait."""

CHUNK = 500
"""Rows that are read at once."""

SESSIONS = 10
"""Sessions of a script at once: with another one the oldest is over."""


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """A file that a manifest names."""

    path: str
    hash: str
    size: int


class Usage(msgspec.Struct, frozen=True):
    """Files, and bytes as they were uploaded."""

    files: int
    bytes: int


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session under way. ``missing`` are the hashes, with sizes, that it began without."""

    id: str
    namespace_id: str
    script: str
    files: list[Wanted]
    missing: dict[str, int]


_Known = dict[str, Stored]
_files = msgspec.msgpack.Decoder(list[Wanted])
_known = msgspec.msgpack.Decoder(_Known)


class Assets:
    """Opens sessions, and remembers what came in them. Times are given by the database's host."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, namespace_id: str, script: str) -> _Known:
        """What the script's other sessions have been given by now, by hash: one that broke off goes
        on where it was."""
        query = (
            select(AssetUpload.hash, AssetUpload.stored)
            .join(AssetSession, AssetUpload.session_id == AssetSession.id)
            .where(AssetSession.namespace_id == namespace_id, AssetSession.script == script)
            .where(AssetSession.expires_at > now_ms())
        )
        with self._database.read() as session:
            return {row.hash: row.stored for row in session.execute(query)}

    def open(
        self, namespace_id: str, script: str, files: list[Wanted], known: Mapping[str, Stored]
    ) -> Session:
        """Begin a session. A file of ``known`` with the size that is said need not be uploaded.

        Raises:
            NotFound: there is no such namespace.
            Invalid: the script's name breaks a rule.
        """
        check_name(script, "Script name")
        sizes = {file.hash: file.size for file in files}
        had = {h: known[h] for h, size in sizes.items() if h in known and known[h].size == size}
        row = AssetSession(
            id=new_id(),
            namespace_id=namespace_id,
            script=script,
            files=msgspec.msgpack.encode(files),
            known=msgspec.msgpack.encode(had),
            expires_at=now_ms() + LIFE_S * 1000,
        )
        with self._database.write() as work:
            if work.get(Namespace, namespace_id) is None:
                raise NotFound("There is no such namespace.")
            work.execute(delete(AssetSession).where(AssetSession.expires_at <= now_ms()))
            _drop_oldest(work, namespace_id, script)
            work.add(row)
        return _session(row)

    def find(self, session_id: str) -> Session:
        """A session under way. Raises NotFound: there is none, or its time is over."""
        with self._database.read() as session:
            row = session.scalar(_query(session_id))
            if row is None:
                raise _over()
            return _session(row)

    def add(self, session: Session, uploads: Mapping[str, Stored]) -> bool:
        """Remember files that came; whether the session has all of its files now. Of two with one
        name the first stays.

        Raises:
            NotFound: the session is over.
        """
        with self._database.write() as work:
            # Locked, so that of the last two uploads one sees the other.
            row = work.scalar(_query(session.id).with_for_update())
            if row is None:
                raise _over()
            rows = [
                {"session_id": session.id, "hash": name, "stored": stored}
                for name, stored in uploads.items()
            ]
            if rows:
                work.execute(work.insert(AssetUpload).on_conflict_do_nothing(), rows)
            complete = _uploaded(work, session.id) >= len(session.missing)
            if complete:
                row.expires_at = now_ms() + LIFE_S * 1000
            return complete

    def hold(self, session_id: str) -> None:
        """Have a session last long enough for a deploy that begins now: its files are wanted.

        Raises:
            NotFound: it is over.
        """
        mine = (AssetSession.id == session_id) & (AssetSession.expires_at > now_ms())
        longer = update(AssetSession).where(mine).values(expires_at=now_ms() + LIFE_S * 1000)
        with self._database.write() as work:
            if work.rows_changed(longer) == 0:
                raise _over()

    def usage(self, namespace_id: str, *, without: str) -> Usage:
        """What the live versions of a namespace have, all scripts but one together."""
        site = type_coerce(Version.assets, JSON)
        number, size = (cast(site[name].as_string(), BigInteger) for name in ("files", "bytes"))
        query = (
            select(func.sum(number), func.sum(size))
            .join(Script, Script.version_id == Version.id)
            .where(Script.namespace_id == namespace_id, Script.name != without)
            .where(Version.assets.is_not(None))
        )
        with self._database.read() as session:
            found = session.execute(query).one()
        return Usage(int(found[0] or 0), int(found[1] or 0))

    def in_sessions(self) -> Iterator[str]:
        """The digest of each blob that a session under way has, or has had uploaded."""
        under_way = AssetSession.expires_at > now_ms()
        known = select(AssetSession.known).where(under_way)
        came = select(AssetUpload.stored).join(
            AssetSession, AssetUpload.session_id == AssetSession.id
        )
        with self._database.read() as session:
            for row in session.scalars(known.execution_options(yield_per=1)):
                yield from (stored.blob for stored in _known.decode(row).values())
            for stored in session.scalars(came.where(under_way).execution_options(yield_per=CHUNK)):
                yield stored.blob

    def in_versions(self) -> Iterator[SiteRef]:
        """The assets of each version that has any, be it live or not."""
        query = select(Version.assets).where(Version.assets.is_not(None))
        with self._database.read() as session:
            for site in session.scalars(query.execution_options(yield_per=CHUNK)):
                if site is not None:
                    yield site

    def finished(self, session: Session) -> dict[str, Stored] | None:
        """Every file of a session by its hash; None if some are still to come."""
        with self._database.read() as read:
            row = read.scalar(_query(session.id))
            if row is None:
                return None
            query = select(AssetUpload.hash, AssetUpload.stored)
            came = read.execute(query.where(AssetUpload.session_id == session.id))
            stored = _known.decode(row.known) | {each.hash: each.stored for each in came}
        return stored if all(file.hash in stored for file in session.files) else None


def forget(work: Work, namespace_id: str, *scripts: str) -> None:
    """Drop the sessions of scripts that are deleted: a later script of the name is another one."""
    mine = (AssetSession.namespace_id == namespace_id) & AssetSession.script.in_(scripts)
    work.execute(delete(AssetSession).where(mine))


def _drop_oldest(work: Work, namespace_id: str, script: str) -> None:
    """Make room for one more session."""
    mine = select(AssetSession.id).where(
        AssetSession.namespace_id == namespace_id, AssetSession.script == script
    )
    newest = mine.order_by(AssetSession.expires_at.desc(), AssetSession.id)
    old = work.scalars(newest.offset(SESSIONS - 1)).all()
    work.execute(delete(AssetSession).where(AssetSession.id.in_(old)))


def _query(session_id: str) -> Select[AssetSession]:
    return select(AssetSession).where(
        AssetSession.id == session_id, AssetSession.expires_at > now_ms()
    )


def _uploaded(work: Work, session_id: str) -> int:
    mine = AssetUpload.session_id == session_id
    return work.scalar(select(func.count()).select_from(AssetUpload).where(mine)) or 0


def _session(row: AssetSession) -> Session:
    files = _files.decode(row.files)
    known = _known.decode(row.known)
    return Session(
        id=row.id,
        namespace_id=row.namespace_id,
        script=row.script,
        files=files,
        missing={file.hash: file.size for file in files if file.hash not in known},
    )


def _over() -> NotFound:
    return NotFound("This upload session is over, or there has been none.")
