"""Blobs by their digests: which are wanted, and the collection of those that are not.

A bundle is wanted while a version names its digest, and while an upload of it is under way, which
has not got that far. What a failed upload or a deleted version leaves behind is wanted by nobody.
For blobs of assets only the uploads are noted here: who else wants them is in manifests.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import delete, select

from cloister.registry.database import Database, now_ms
from cloister.registry.models import Upload, Version

UPLOAD_MS = 3_600_000
"""No upload takes so long from its first blob to its version."""


class Uploads:
    """Notes of uploads under way, by the digests of their bundles."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, *digests: str) -> None:
        """An upload is about to write these blobs. Waits while one of them is being collected."""
        now = now_ms()
        # In one order, so that of two uploads of the same files one waits for the other.
        rows = [{"digest": digest, "begun_at": now} for digest in sorted(set(digests))]
        with self._database.write() as work:
            note = work.insert(Upload)
            work.execute(
                note.on_conflict_do_update(index_elements=[Upload.digest], set_={"begun_at": now}),
                rows,
            )

    def forget_old(self) -> None:
        """Drop the notes of uploads that are over, however they ended."""
        with self._database.write() as work:
            work.execute(delete(Upload).where(Upload.begun_at < now_ms() - UPLOAD_MS))

    def unwanted(self, digests: Sequence[str]) -> set[str]:
        """Those that nobody wants, by now."""
        named = select(Version.digest).where(Version.digest.in_(digests))
        coming = select(Upload.digest).where(Upload.digest.in_(digests))
        with self._database.read() as session:
            return set(digests).difference(session.scalars(named), session.scalars(coming))

    @contextmanager
    def collecting(self, digest: str) -> Iterator[bool]:
        """Whether nobody wants it, which stays so until the end of the block."""
        with self._database.write() as work:
            note = work.insert(Upload).values(digest=digest, begun_at=0)
            # An upload's own note stays; a new one waits until ours is gone.
            ours = work.rows_changed(note.on_conflict_do_nothing()) == 1
            named = select(Version.id).where(Version.digest == digest).limit(1)
            yield ours and work.scalar(named) is None
            if ours:
                work.execute(delete(Upload).where(Upload.digest == digest))
