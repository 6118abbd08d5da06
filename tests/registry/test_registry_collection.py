"""Collection of blobs that nobody wants: what goes, and what never does."""

import os
import threading
import time
from collections.abc import Callable

import msgspec
import pytest
from sqlalchemy import text

from cloister import collection
from cloister.assets import Config, File, Manifest, SiteRef, Stored
from cloister.assets.manifest import encode
from cloister.blobs import Blobs
from cloister.collection import collect
from cloister.errors import NotReady
from cloister.registry import NewVersion, Registry
from cloister.registry.assets import Wanted
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


Site = Callable[..., SiteRef]


def hashed(letter: str) -> str:
    return letter * 64


@pytest.fixture
def site(settings: Settings, blobs: Blobs) -> Site:
    """Write what a version's assets are made of, as of some time ago: a file for each letter, a
    manifest and a configuration."""

    def written(letters: str, base: str = "/") -> SiteRef:
        files = [
            File(f"/{n}", letter, Stored(hashed(letter), 1, "e"), "")
            for n, letter in enumerate(letters)
        ]
        manifest, listed = encode(Manifest(files))
        config, said = encode(Config(base_path=base))
        keys = {f"manifest/{manifest}": listed, f"assetconfig/{config}": said}
        keys |= {f"asset/{hashed(letter)}": b"x" for letter in letters}
        for key, data in keys.items():
            blobs.put(key, data)
            moment = time.time() - OLD_S
            os.utime(settings.data_dir / "blobs" / key, (moment, moment))
        return SiteRef(manifest=manifest, config=config, files=len(files))

    return written


def assets_kept(blobs: Blobs) -> str:
    return "".join(sorted(key.removeprefix("asset/")[0] for key, _ in blobs.entries("asset")))


def named(blobs: Blobs) -> set[str]:
    return {key for kind in ("manifest", "assetconfig") for key, _ in blobs.entries(kind)}


def keys_of(site: SiteRef) -> set[str]:
    return {f"manifest/{site.manifest}", f"assetconfig/{site.config}"}


@pytest.mark.parametrize("marked", [1_000_000, 2])
def test_assets_that_nobody_names_go(
    registry: Registry,
    namespace: str,
    blobs: Blobs,
    site: Site,
    marked: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Files, manifests and configurations of versions that are gone; not what a live version names,
    or one that is only kept, as a split or a preview may name it. However many files there are."""
    monkeypatch.setattr(collection, "MARKED", marked)
    old, new, other = site("ab"), site("bc", base="/new/"), site("cde")
    for name, ref in (("one", old), ("one", new), ("two", other)):
        version = NewVersion(digest="0" * 64, main_module="", assets=ref)
        registry.scripts.put_version(namespace, name, version)
    site("xyz", base="/gone/")
    assert collect(registry, blobs) == 5
    assert assets_kept(blobs) == "abcde"
    assert named(blobs) == keys_of(old) | keys_of(new) | keys_of(other)
    registry.scripts.delete(namespace, "two")
    assert collect(registry, blobs) == 3
    assert assets_kept(blobs) == "abc"
    assert collect(registry, blobs) == 0
    registry.scripts.delete(namespace, "one")
    assert collect(registry, blobs) == 7
    assert named(blobs) == set()


def test_assets_of_a_session_stay(
    registry: Registry, namespace: str, blobs: Blobs, site: Site
) -> None:
    """What it began with and what has come, for as long as it lasts; then the notes of uploads have
    gone too, and so do the files."""
    site("abc")
    wanted = [Wanted(f"/{letter}", letter, 1) for letter in "ab"]
    known = {"a": Stored(hashed("a"), 1, "e")}
    session = registry.assets.open(namespace, "site", wanted, known)
    registry.assets.add(session, {"b": Stored(hashed("b"), 1, "e")})
    assert collect(registry, blobs) == 3
    assert assets_kept(blobs) == "ab"
    with registry._database.write() as work:
        work.execute(text("UPDATE asset_sessions SET expires_at = 1"))
    assert collect(registry, blobs) == 2


def test_assets_that_are_being_uploaded_stay(registry: Registry, blobs: Blobs, site: Site) -> None:
    """Each that is noted, before anything names it."""
    ref = site("ab")
    registry.uploads.begin(hashed("b"), ref.manifest, hashed("b"))
    assert collect(registry, blobs) == 2
    assert (assets_kept(blobs), named(blobs)) == ("b", {f"manifest/{ref.manifest}"})


def test_no_file_goes_while_a_manifest_is_missing(
    registry: Registry, namespace: str, blobs: Blobs, site: Site
) -> None:
    """Who wants what is not known then."""
    ref = site("ab")
    version = NewVersion(digest="0" * 64, main_module="", assets=ref)
    registry.scripts.put_version(namespace, "site", version)
    blobs.delete(f"manifest/{ref.manifest}")
    site("x", base="/other/")
    with pytest.raises(NotReady):
        collect(registry, blobs)
    assert assets_kept(blobs) == "abx"
