"""Uploads in parts. Each part is a blob of its own, and stays one when the object is made of them.

A part that is put again replaces the one before; an upload that is aborted, or whose bucket goes,
leaves garbage.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, delete, func, insert, select

from cloister.registry import r2_errors as errors
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.names import new_id
from cloister.registry.r2_models import Bucket, R2Garbage, R2Part, R2Upload
from cloister.registry.r2_objects import (
    READERS_MS,
    ROW_BYTES,
    charge,
    check_said,
    discard,
    discard_parts,
    key_bytes,
    replace,
)
from cloister.registry.r2_views import Blob, ObjectView, Said
from cloister.settings import MIB

MOST_PARTS = 10_000
SMALLEST_PART_BYTES = 5 * MIB
"""Of parts that are not the last."""

MOST_UPLOADS = 10_000
"""Of one bucket, unfinished."""

UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


class NamedPart(msgspec.Struct, frozen=True, array_like=True):
    """A part as whoever completes an upload names it."""

    number: int
    etag: str


class Uploads:
    """Unfinished uploads of buckets, which are named by id.

    Every method raises :func:`errors.no_such_upload` if the upload is not there, of that key.
    """

    def __init__(self, database: Database, bucket_bytes: int) -> None:
        self._database = database
        self._bucket_bytes = bucket_bytes

    def create(self, bucket_id: str, key: str, said: Said) -> str:
        """Begin an upload; its id.

        Raises:
            R2Error: the key cannot be one, the metadata are too large, the bucket is gone or has
                too many uploads.
        """
        check_said(said)
        row = {
            **msgspec.structs.asdict(said),
            "id": (id_ := new_id()),
            "bucket_id": bucket_id,
            "key": key_bytes(key),
            "created_at": now_ms(),
        }
        count = select(func.count()).select_from(R2Upload).where(R2Upload.bucket_id == bucket_id)
        with self._database.write() as work:
            self._room(work, bucket_id, ROW_BYTES)
            if (work.scalar(count) or 0) >= MOST_UPLOADS:
                raise errors.too_many_uploads()
            work.execute(insert(R2Upload).values(row))
            charge(work, bucket_id, rows=1, size=0)
        return id_

    def check(self, bucket_id: str, key: str, upload_id: str) -> None:
        """Raise if the upload is not there."""
        with self._database.read() as session:
            if session.execute(_upload(bucket_id, key, upload_id)).one_or_none() is None:
                raise errors.no_such_upload()

    def put_part(
        self, bucket_id: str, key: str, upload_id: str, number: int, blob: Blob
    ) -> str | None:
        """Make what was stored a part; the blob that was it before.

        Raises:
            R2Error: the bucket is full.
        """
        with self._database.write() as work:
            _found(work, bucket_id, key, upload_id)
            where = (R2Part.owner == upload_id, R2Part.number == number)
            old = work.execute(select(R2Part.version, R2Part.size).where(*where)).one_or_none()
            grown = blob.size + ROW_BYTES - (old.size + ROW_BYTES if old else 0)
            self._room(work, bucket_id, grown)
            work.execute(delete(R2Part).where(*where))
            work.execute(
                insert(R2Part).values(
                    owner=upload_id,
                    number=number,
                    version=blob.version,
                    size=blob.size,
                    etag=blob.md5,
                )
            )
            charge(work, bucket_id, rows=0, size=grown)
            work.execute(delete(R2Garbage).where(R2Garbage.version == blob.version))
            discard(work, [old.version] if old else [], due_at=now_ms() + READERS_MS)
        return old.version if old else None

    def complete(
        self, bucket_id: str, key: str, upload_id: str, named: Sequence[NamedPart]
    ) -> tuple[ObjectView, str | None]:
        """Make an object of the parts that are named; the object, and the blob that it replaces.
        Parts that are not named are dropped.

        Raises:
            R2Error: a part is not there as it is named, one is too small, they are not of one size
                but for the last; and see :meth:`Objects.put`.
        """
        with self._database.write() as work:
            upload = _found(work, bucket_id, key, upload_id)
            parts = _chosen(_parts(work, upload_id), named)
            view = _whole(upload, parts)
            chosen = {part.number for part in parts}
            others = [part for part in _parts(work, upload_id) if part.number not in chosen]
            for part in others:
                where = (R2Part.owner == upload_id, R2Part.number == part.number)
                work.execute(delete(R2Part).where(*where))
            due_at = now_ms() + READERS_MS
            discard(work, [part.version for part in others], due_at=due_at)
            spare = sum(part.size for part in others)
            charge(work, bucket_id, rows=-1 - len(others), size=-spare)
            work.execute(delete(R2Upload).where(R2Upload.id == upload_id))
            gone = replace(
                work,
                bucket_id,
                view,
                None,
                "CompleteMultipartUpload",
                bucket_bytes=self._bucket_bytes,
                charged=view.size,
            )
        return view, gone

    def abort(self, bucket_id: str, key: str, upload_id: str) -> None:
        """Give an upload up."""
        with self._database.write() as work:
            _found(work, bucket_id, key, upload_id)
            abort(work, bucket_id, [upload_id])

    def _room(self, work: Work, bucket_id: str, size: int) -> None:
        query = select(Bucket.bytes).where(Bucket.id == bucket_id).with_for_update()
        held = work.scalar(query)
        if held is None:
            raise errors.no_such_bucket()
        if size > 0 and held + size > self._bucket_bytes:
            raise errors.full()


def abort(work: Work, bucket_id: str, upload_ids: Sequence[str]) -> None:
    """Give uploads of a bucket up."""
    count, size = discard_parts(work, upload_ids, due_at=now_ms())
    work.execute(delete(R2Upload).where(R2Upload.id.in_(upload_ids)))
    charge(work, bucket_id, rows=-count - len(upload_ids), size=-size)


def _upload(bucket_id: str, key: str, upload_id: str) -> Any:
    if not UPLOAD_ID.fullmatch(upload_id):
        raise errors.no_such_upload()
    return select(*R2Upload.__table__.columns).where(
        R2Upload.id == upload_id,
        R2Upload.bucket_id == bucket_id,
        R2Upload.key == key_bytes(key),
    )


def _found(work: Work, bucket_id: str, key: str, upload_id: str) -> Row[Any]:
    """The upload, which nobody else changes meanwhile. As everywhere, the bucket is locked first:
    in another order two would wait for each other."""
    work.execute(select(Bucket.id).where(Bucket.id == bucket_id).with_for_update())
    query = _upload(bucket_id, key, upload_id).with_for_update()
    found: Row[Any] | None = work.execute(query).one_or_none()
    if found is None:
        raise errors.no_such_upload()
    return found


def _parts(work: Work, upload_id: str) -> Sequence[Any]:
    columns = (R2Part.number, R2Part.version, R2Part.size, R2Part.etag)
    query = select(*columns).where(R2Part.owner == upload_id).order_by(R2Part.number)
    return work.execute(query).all()


def _chosen(parts: Sequence[Row[Any]], named: Sequence[NamedPart]) -> list[Row[Any]]:
    """The parts that are named, by number. Raises R2Error if they make no object."""
    by_number = {part.number: part for part in parts}
    etags = {part.number: part.etag for part in named}
    if not named or len(etags) < len(named):
        raise errors.invalid_part()
    for number, etag in etags.items():
        if number not in by_number or by_number[number].etag != etag:
            raise errors.invalid_part()
    chosen = [by_number[number] for number in sorted(etags)]
    for part in chosen[:-1]:
        if part.size < SMALLEST_PART_BYTES:
            raise errors.too_small()
        if part.size != chosen[0].size:
            raise errors.bad_upload()
    if chosen[-1].size > chosen[0].size:
        raise errors.bad_upload()
    return chosen


def _whole(upload: Row[Any], parts: Sequence[Row[Any]]) -> ObjectView:
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    etag = hashlib.md5(digests, usedforsecurity=False).hexdigest()
    return ObjectView(
        key=upload.key.decode(),
        version=upload.id,
        size=sum(part.size for part in parts),
        part_size=max(1, parts[0].size),
        etag=f"{etag}-{len(parts)}",
        checksums={},
        http_metadata=upload.http_metadata,
        custom_metadata=upload.custom_metadata,
        storage_class=upload.storage_class,
        uploaded_at=now_ms(),
    )
