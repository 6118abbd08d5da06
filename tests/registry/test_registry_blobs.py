"""Blobs and the source bundles kept in them."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from cloister.blobs import Blobs
from cloister.bundles import decode_sources, encode_sources
from cloister.errors import Invalid, NotReady, SettingInvalid
from cloister.messages import Source
from cloister.settings import MIB, Settings

KEY = "source/" + "0" * 64


@pytest.fixture(params=["embedded", "url"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a store in files: the embedded one, and one by URL."""
    (tmp_path / "store").mkdir()
    url = (tmp_path / "store").as_uri() if request.param == "url" else ""
    return Settings(data=str(tmp_path / "data"), object_store_url=url)


def test_put_then_get(settings: Settings) -> None:
    """A blob is read back to the byte, by another process too; then deleted."""
    blobs = Blobs.open(settings)
    assert blobs.get(KEY) is None
    blobs.put(KEY, b"\0one")
    blobs.put(KEY, b"two")
    blobs.put("compiled/abc-3.11.7_1", b"")
    assert Blobs.open(settings).get(KEY) == b"two"
    assert blobs.get("compiled/abc-3.11.7_1") == b""
    blobs.delete(KEY)
    blobs.delete(KEY)
    assert blobs.get(KEY) is None


async def test_twins_for_event_loops(settings: Settings) -> None:
    """The asynchronous forms do the same."""
    blobs = Blobs.open(settings)
    assert await blobs.aget(KEY) is None
    await blobs.aput(KEY, b"one")
    assert await blobs.aget(KEY) == b"one"
    await blobs.adelete(KEY)
    await blobs.adelete(KEY)
    assert await blobs.aget(KEY) is None


@pytest.mark.parametrize(
    "key",
    ["", "source", "source/", "/etc/passwd", "source/../x", "source/.x", "a/b/c", "A/b", "a/b\n"],
)
def test_keys_that_may_not_be(settings: Settings, key: str) -> None:
    """No key leads out of the store, or to a file half written."""
    blobs = Blobs.open(settings)
    for refused in (lambda: blobs.get(key), lambda: blobs.put(key, b""), lambda: blobs.delete(key)):
        with pytest.raises(Invalid):
            refused()


def test_half_a_blob_is_never_read(settings: Settings) -> None:
    """While large blobs replace each other under one key, every read is one of them, whole."""
    blobs = Blobs.open(settings)
    wholes = {bytes([number]) * (4 * MIB) for number in range(4)}
    blobs.put(KEY, next(iter(wholes)))
    over = threading.Event()

    def write() -> None:
        for _ in range(5):
            for whole in wholes:
                blobs.put(KEY, whole)
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while not over.is_set():
        assert blobs.get(KEY) in wholes
        reads += 1
    writer.join()
    assert reads > 0


def test_a_blob_in_the_making_is_missing(settings: Settings, tmp_path: Path) -> None:
    """What a writer that died left beside the name is not the blob, nor in the next one's way."""
    blobs = Blobs.open(settings)
    blobs.put(KEY, b"whole")
    [path] = [each for each in tmp_path.rglob("0" * 64) if each.is_file()]
    path.rename(f"{path}#1")
    assert blobs.get(KEY) is None
    blobs.put(KEY, b"again")
    assert blobs.get(KEY) == b"again"


async def test_many_at_once(settings: Settings) -> None:
    """One store serves many tasks."""
    blobs = Blobs.open(settings)
    keys = [f"source/{number}" for number in range(50)]
    await asyncio.gather(*(blobs.aput(key, key.encode()) for key in keys))
    assert await asyncio.gather(*(blobs.aget(key) for key in keys)) == [k.encode() for k in keys]


def test_a_store_that_fails(tmp_path: Path) -> None:
    """An error of the store is ours, and is not "missing"."""
    blobs = Blobs.open(Settings(data=str(tmp_path)))
    (tmp_path / "blobs" / "source").write_text("a file where a directory should be")
    with pytest.raises(NotReady):
        blobs.put(KEY, b"")


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://host/path", "https://host.example/", "memory:///"]
)
def test_a_url_that_cannot_be(tmp_path: Path, url: str) -> None:
    """A URL of no store we know stops the start-up."""
    with pytest.raises(SettingInvalid, match="CLOISTER_OBJECT_STORE_URL"):
        Blobs.open(Settings(data=str(tmp_path), object_store_url=url))


def test_bundles() -> None:
    """A bundle is its modules in order; the digest is of every byte of them."""
    sources = [
        Source(name="main.py", content_type="text/x-python", data=b"import a"),
        Source(name="a.bin", content_type="application/octet-stream", data=bytes(range(256))),
    ]
    digest, data = encode_sources(sources)
    assert decode_sources(data) == sources
    assert encode_sources(sources) == (digest, data)
    assert len(digest) == 64
    assert encode_sources(sources[::-1])[0] != digest
    for damaged in (b"", data[:-1], b"\xc0", os.urandom(16)):
        with pytest.raises(Invalid):
            decode_sources(damaged)
