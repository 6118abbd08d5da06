"""Collection of blobs that nobody wants: what goes, and what never does."""

import os
import threading
import time
from collections.abc import Callable

import msgspec
import pytest
from sqlalchemy import text

from cloister.blobs import Blobs
from cloister.collection import collect
from cloister.registry import NewVersion, Registry
from cloister.settings import Settings

OLD_S = 7_200

Write = Callable[..., str]


@pytest.fixture
def blobs(settings: Settings) -> Blobs:
    return Blobs.open(settings)


@pytest.fixture
def write(settings: Settings, blobs: Blobs) -> Write:
    """Write the blobs of a digest, as of some time ago; the digest."""

    def blob(digit: str, age_s: float = OLD_S) -> str:
        digest = digit * 64
        for key in (f"source/{digest}", f"compiled/{digest}-cpython-1", f"compiled/{digest}-full"):
            blobs.put(key, b"x")
            moment = time.time() - age_s
            os.utime(settings.data_dir / "blobs" / key, (moment, moment))
        return digest

    return blob


def kept(blobs: Blobs) -> set[str]:
    """First characters of the digests that are there, by all of their blobs."""
    sources = {key.split("/")[1][0] for key, _ in blobs.entries("source")}
    compiled = [key.split("/")[1][0] for key, _ in blobs.entries("compiled")]
    assert sorted(compiled) == sorted([*sources, *sources])
    return sources


def test_what_nobody_names_goes(
    registry: Registry, namespace: str, version: NewVersion, blobs: Blobs, write: Write
) -> None:
    """Of a failed upload and a deleted worker, source and code; not what a version names, live or
    not, of any worker, and not what is young."""
    for digit in "abcd":
        write(digit)
    write("e", age_s=60)
    new = msgspec.structs.replace
    registry.scripts.put_version(namespace, "one", new(version, digest="a" * 64))
    registry.scripts.add_version(namespace, "one", lambda live: new(live, digest="b" * 64))
    registry.scripts.put_version(namespace, "two", new(version, digest="c" * 64))
    registry.scripts.put_version(namespace, "three", new(version, digest="a" * 64))
    assert collect(registry, blobs) == 3
    assert kept(blobs) == set("abce")
    registry.scripts.delete(namespace, "two")
    registry.scripts.delete(namespace, "three")
    assert collect(registry, blobs) == 3
    assert kept(blobs) == set("abe")
    assert collect(registry, blobs) == 0


def test_what_is_being_uploaded_stays(
    registry: Registry, namespace: str, version: NewVersion, blobs: Blobs, write: Write
) -> None:
    """From its first blob on, however old the blob of the same content is; not for ever."""
    digest = write("a")
    registry.uploads.begin(digest)
    assert collect(registry, blobs) == 0
    with registry.versions._database.write() as work:
        work.execute(text("UPDATE uploads SET begun_at = begun_at - 7200000"))
    assert collect(registry, blobs) == 3
    registry.uploads.begin(write("b"))
    new = msgspec.structs.replace(version, digest="b" * 64)
    registry.scripts.put_version(namespace, "hello", new)
    with registry.versions._database.write() as work:
        work.execute(text("UPDATE uploads SET begun_at = begun_at - 7200000"))
    assert collect(registry, blobs) == 0
    assert kept(blobs) == {"b"}


def test_an_upload_waits_for_a_collection(registry: Registry, blobs: Blobs, write: Write) -> None:
    """While a digest is collected, an upload of it does not begin: what it then writes stays."""
    digest = write("a")
    began = threading.Event()

    def upload() -> None:
        registry.uploads.begin(digest)
        began.set()

    thread = threading.Thread(target=upload)
    with registry.uploads.collecting(digest) as is_unwanted:
        assert is_unwanted
        thread.start()
        assert not began.wait(0.2)
        blobs.delete(f"source/{digest}")
    thread.join(20)
    assert began.is_set()
    assert registry.uploads.unwanted([digest]) == set()
    with registry.uploads.collecting(digest) as is_unwanted:
        assert not is_unwanted
