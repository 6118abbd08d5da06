"""Bytes by key: source and compiled code, over files, S3, GCS or Azure (obstore).

A blob is whole or missing: files are written beside their name and renamed, object stores do as
much on their own. Keys are ``kind/name``: ``source/{digest}``, ``compiled/{digest}-{tag}``,
``objects/{version}``.
"""

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from obstore.exceptions import BaseError, NotFoundError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store, from_url

from cloister.errors import Invalid, NotReady, SettingInvalid
from cloister.settings import Settings

KEY = re.compile(r"[a-z]+/[A-Za-z0-9][A-Za-z0-9._-]{0,200}")


KEEPING = (LocalStore, S3Store, GCSStore, AzureStore)
"""Stores that keep what they are given; obstore has others, in memory for one."""

PIECE_BYTES = 256 * 1024
"""Of a blob that is read piece by piece."""


class Blobs:
    """An object store. Thread-safe.

    Every method raises:
        Invalid: the key is not of the shape above.
        NotReady: the store does not answer.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._directory = store.prefix if isinstance(store, LocalStore) else None

    @classmethod
    def open(cls, settings: Settings) -> "Blobs":
        """The store of the operator's URL, or files under the data directory.

        Raises:
            SettingInvalid: the URL is not one of a store that we know.
        """
        if not settings.object_store_url:
            directory = settings.data_dir / "blobs"
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(LocalStore(directory))
        try:
            store = from_url(settings.object_store_url)
        except (BaseError, ValueError) as exc:
            raise SettingInvalid(f"CLOISTER_OBJECT_STORE_URL cannot be used: {exc}") from exc
        if not isinstance(store, KEEPING):
            raise SettingInvalid("CLOISTER_OBJECT_STORE_URL must begin with file, s3, gs or az.")
        return cls(store)

    def get(self, key: str) -> bytes | None:
        """The blob, or None if there is none."""
        with _translated():
            if self._directory is not None:  # the store would have a thread read it
                return Path(self._directory, _checked(key)).read_bytes()
            return bytes(self._store.get(_checked(key)).bytes())
        return None

    async def aget(self, key: str) -> bytes | None:
        """:meth:`get` for an event loop. A file is read at once: to have that done takes longer."""
        if self.is_near:
            return self.get(key)
        with _translated():
            result = await self._store.get_async(_checked(key))
            return bytes(await result.bytes_async())
        return None

    @property
    def is_near(self) -> bool:
        """Whether blobs are files here: to read a few bytes is quicker than a change of threads."""
        return self._directory is not None

    def part(self, key: str, start: int, length: int) -> bytes | None:
        """Some bytes of a blob, fewer where it ends; None if there is none or it is shorter."""
        with _translated():
            if self._directory is not None:
                with Path(self._directory, _checked(key)).open("rb") as file:
                    file.seek(start)
                    return file.read(length)
            return bytes(self._store.get_range(_checked(key), start=start, length=length))
        return None

    async def apart(self, key: str, start: int, length: int) -> bytes | None:
        """:meth:`part` for an event loop."""
        if self.is_near:
            return self.part(key, start, length)
        with _translated():
            found = await self._store.get_range_async(_checked(key), start=start, length=length)
            return bytes(found)
        return None

    def put(self, key: str, data: bytes) -> None:
        """Write a blob, whole, over what was there."""
        with _translated():
            self._store.put(_checked(key), data)

    def put_stream(self, key: str, chunks: Iterable[bytes]) -> None:
        """Write a blob as its bytes come, over what was there; nothing, if ``chunks`` raises. Some
        megabytes of it are in memory."""
        with _translated():
            self._store.put(_checked(key), chunks, max_concurrency=2)

    async def aput(self, key: str, data: bytes) -> None:
        """:meth:`put` for an event loop."""
        with _translated():
            await self._store.put_async(_checked(key), data)

    def put_file(self, key: str, path: Path) -> None:
        """Write a file's content, of any length, over what was there."""
        with _translated():
            self._store.put(_checked(key), path)

    def get_file(self, key: str, path: Path) -> bool:
        """Write a blob, of any length, to a file; whether there is one."""
        with _translated():
            found = self._store.get(_checked(key))
            with path.open("wb") as file:
                for chunk in found:
                    file.write(chunk)
            return True
        return False

    async def aput_stream(self, key: str, chunks: AsyncIterable[bytes]) -> None:
        """:meth:`put_stream` for an event loop."""
        with _translated():
            await self._store.put_async(_checked(key), aiter(chunks), max_concurrency=2)

    def stream(self, key: str, start: int, length: int) -> Iterator[bytes] | None:
        """Some bytes of a blob (at least one), piece by piece; None if there is none. Whoever
        deletes the blob meanwhile does not end it."""
        with _translated():
            span = start, start + length
            found = self._store.get(_checked(key), options={"range": span})
            return (bytes(chunk) for chunk in found.stream(min_chunk_size=PIECE_BYTES))
        return None

    async def astream(self, key: str, start: int, length: int) -> AsyncIterator[bytes] | None:
        """:meth:`stream` for an event loop."""
        with _translated():
            if self._directory is not None:  # the store would read 8 KiB at a time
                file = await asyncio.to_thread(Path(self._directory, _checked(key)).open, "rb")
                return _read(file, start, length)
            span = start, start + length
            found = await self._store.get_async(_checked(key), options={"range": span})
            return _as_bytes(found.stream(min_chunk_size=PIECE_BYTES))
        return None

    def size(self, key: str) -> int | None:
        """A blob's length in bytes; None if there is none."""
        with _translated():
            return int(self._store.head(_checked(key))["size"])
        return None

    def entries(self, kind: str) -> Iterator[tuple[str, float]]:
        """Every key of a kind, and when (epoch seconds) its blob was last written."""
        with _translated():
            for found in self._store.list(f"{kind}/"):
                for entry in found:
                    yield entry["path"], entry["last_modified"].timestamp()

    def delete(self, key: str) -> None:
        """Delete a blob, which need not be there."""
        with _translated():
            self._store.delete(_checked(key))

    def clear(self, key: str) -> None:
        """:meth:`delete` what nobody writes any more, and what somebody left who died at it."""
        self.delete(key)
        if self._directory is not None:  # where the store keeps a file until it is whole
            with _translated():
                Path(self._directory, f"{key}#1").unlink(missing_ok=True)

    async def adelete(self, key: str) -> None:
        """:meth:`delete` for an event loop."""
        with _translated():
            await self._store.delete_async(_checked(key))


async def _read(file: BinaryIO, start: int, length: int) -> AsyncIterator[bytes]:
    with file:
        file.seek(start)
        while length > 0 and (data := await asyncio.to_thread(file.read, min(length, PIECE_BYTES))):
            length -= len(data)
            yield data


async def _as_bytes(chunks: AsyncIterable[Any]) -> AsyncIterator[bytes]:
    with _translated():
        async for chunk in chunks:
            yield bytes(chunk)


def _checked(key: str) -> str:
    if not KEY.fullmatch(key):
        raise Invalid(f"{key[:64]!r} is not the key of a blob.")
    return key


@contextmanager
def _translated() -> Iterator[None]:
    """A missing blob ends the block quietly; other errors of the store become ours."""
    try:
        yield
    except (NotFoundError, FileNotFoundError):
        pass
    except (BaseError, OSError) as exc:
        raise NotReady("The object store does not answer; see the log.") from exc
