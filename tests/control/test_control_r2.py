"""R2 over the API: buckets and objects, by the official SDK and by what wrangler sends."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudflare
import httpx
import pytest
from cloudflare import Cloudflare

from cloister.registry import Registry
from cloister.settings import Settings
from control import r2

ACCOUNT = "a" * 32
OTHER_ACCOUNT = "b" * 32
B = "/r2/buckets"
LARGE = 12 * 1024 * 1024


def fault(response: httpx.Response) -> tuple[int, int]:
    body = response.json()
    assert (body["success"], body["result"]) == (False, None)
    return response.status_code, body["errors"][0]["code"]


def blobs(settings: Settings) -> set[str]:
    directory = Path(settings.data) / "blobs" / "objects"
    return {each.name for each in directory.iterdir()} if directory.is_dir() else set()


@pytest.fixture
def bucket(api: httpx.Client) -> str:
    assert api.post(B, json={"name": "files"}).is_success
    return f"{B}/files/objects"


def test_buckets_by_the_sdk(sdk: Cloudflare) -> None:
    """Made, listed by name, changed, deleted."""
    made = sdk.r2.buckets.create(account_id=ACCOUNT, name="files", location_hint="weur")
    assert (made.name, made.location, made.storage_class) == ("files", "weur", "Standard")
    assert made.jurisdiction == "default"
    sdk.r2.buckets.create(account_id=ACCOUNT, name="backups", storage_class="InfrequentAccess")
    listed = sdk.r2.buckets.list(account_id=ACCOUNT).buckets
    assert [each.name for each in listed] == ["backups", "files"]
    found = sdk.r2.buckets.list(account_id=ACCOUNT, name_contains="il", direction="desc").buckets
    assert [each.name for each in found] == ["files"]
    changed = sdk.r2.buckets.edit("files", account_id=ACCOUNT, storage_class="InfrequentAccess")
    assert changed.storage_class == "InfrequentAccess"
    with pytest.raises(cloudflare.ConflictError):
        sdk.r2.buckets.create(account_id=ACCOUNT, name="files")
    sdk.r2.buckets.delete("files", account_id=ACCOUNT)
    with pytest.raises(cloudflare.NotFoundError):
        sdk.r2.buckets.get("files", account_id=ACCOUNT)


def test_objects_by_the_sdk(sdk: Cloudflare) -> None:
    """Stored, listed, read back, deleted; a key has slashes."""
    sdk.r2.buckets.create(account_id=ACCOUNT, name="files")
    objects = sdk.r2.buckets.objects
    where = {"account_id": ACCOUNT, "bucket_name": "files"}
    stored = objects.upload("a/b.txt", body=b"hello", **where)
    assert (stored.key, stored.size) == ("a/b.txt", "5")
    assert stored.etag == hashlib.md5(b"hello").hexdigest()
    (listed,) = objects.list(**where)
    assert (listed.key, listed.size, listed.etag) == ("a/b.txt", 5, stored.etag)
    assert objects.get("a/b.txt", **where).read() == b"hello"
    assert objects.delete("a/b.txt", **where).key == "a/b.txt"
    assert list(objects.list(**where)) == []
    with pytest.raises(cloudflare.NotFoundError):
        objects.get("a/b.txt", **where)


def test_pages_of_buckets(api: httpx.Client) -> None:
    """By cursor, to the end, in both directions."""
    for name in ("aaa", "bbb", "ccc"):
        api.post(B, json={"name": name})
    for direction, names in (("asc", ["aaa", "bbb", "ccc"]), ("desc", ["ccc", "bbb", "aaa"])):
        seen, cursor = [], ""
        while True:
            said = {"per_page": 2, "cursor": cursor, "direction": direction}
            page = api.get(B, params=said).json()
            seen += [each["name"] for each in page["result"]["buckets"]]
            if not (cursor := page["result_info"]["cursor"]):
                break
        assert seen == names
    page = api.get(B, params={"start_after": "aaa"}).json()["result"]["buckets"]
    assert [each["name"] for each in page] == ["bbb", "ccc"]


def test_what_is_said_of_an_object_comes_back(api: httpx.Client, bucket: str) -> None:
    """The header fields that wrangler sends, and those of the object itself."""
    said = {
        "content-type": "text/css",
        "content-disposition": "inline",
        "content-encoding": "x",
        "content-language": "de",
        "cache-control": "no-cache",
        "expires": "Thu, 01 Jan 2037 00:00:00 GMT",
        "cf-r2-storage-class": "InfrequentAccess",
        "cf-r2-data-catalog-check": "true",
    }
    assert api.put(f"{bucket}/a%20%C3%BC%2F%2Fb", content=b"x", headers=said).is_success
    with api.stream("GET", f"{bucket}/a%20%C3%BC%2F%2Fb") as answer:
        for name in set(said) - {"cf-r2-data-catalog-check"}:
            assert answer.headers[name] == said[name]
        assert answer.headers["etag"] == f'"{hashlib.md5(b"x").hexdigest()}"'
        assert answer.headers["content-length"] == "1"
    (listed,) = api.get(bucket).json()["result"]
    assert (listed["key"], listed["storage_class"]) == ("a ü//b", "InfrequentAccess")
    assert listed["http_metadata"]["contentType"] == "text/css"
    assert (listed["custom_metadata"], listed["ssec"]) == ({}, False)


def test_large_and_empty_ones(api: httpx.Client, bucket: str, settings: Settings) -> None:
    """What comes in pieces goes out as it was, whether its length was announced; what was there
    before is gone from the store, as is what is deleted."""
    data = os.urandom(1024) * (LARGE // 1024)
    pieces = (data[at : at + 100_000] for at in range(0, len(data), 100_000))
    stored = api.put(f"{bucket}/k", content=pieces).json()["result"]
    assert (stored["size"], stored["etag"]) == (str(LARGE), hashlib.md5(data).hexdigest())
    assert api.get(f"{bucket}/k").content == data
    assert len(blobs(settings)) == 1
    again = api.put(f"{bucket}/k", content=b"").json()["result"]
    assert (again["size"], api.get(f"{bucket}/k").content) == ("0", b"")
    assert blobs(settings) == {again["version"]}
    assert api.delete(f"{bucket}/k").json()["result"] == {"key": "k"}
    assert api.delete(f"{bucket}/k").json()["result"] == {"key": "k"}
    assert blobs(settings) == set()
    assert fault(api.get(f"{bucket}/k")) == (404, 10007)


def test_listing(api: httpx.Client, bucket: str) -> None:
    """In the order of bytes, by prefix, by delimiter, by page; nothing twice or left out."""
    keys = ["a", "a/1", "a/2", "a/b/1", "b/1", "c%", "c_", "é/1", "é/2", "\U0001f600"]
    for key in reversed(keys):
        api.put(f"{bucket}/{httpx.URL('/').copy_with(path='/' + key).raw_path.decode()[1:]}")

    def pages(**said: Any) -> tuple[list[str], list[str]]:
        found: list[str] = []
        groups: list[str] = []
        cursor = ""
        while True:
            page = api.get(bucket, params={**said, "cursor": cursor}).json()
            info = page["result_info"]
            assert len(page["result"]) + len(info["delimited"]) <= said.get("per_page", 1000)
            found += [each["key"] for each in page["result"]]
            groups += info["delimited"]
            assert info["is_truncated"] is bool(info["cursor"])
            if not (cursor := info["cursor"]):
                return found, groups

    assert pages() == (keys, [])
    assert pages(prefix="a/") == (["a/1", "a/2", "a/b/1"], [])
    assert pages(prefix="c_") == (["c_"], [])
    assert pages(start_after="b") == (keys[4:], [])
    top = (["a", "c%", "c_", "\U0001f600"], ["a/", "b/", "é/"])
    for per_page in (1, 2, 3, 1000):
        assert pages(per_page=per_page) == (keys, [])
        assert pages(per_page=per_page, delimiter="/") == top
        assert pages(per_page=per_page, delimiter="/", prefix="a/") == (["a/1", "a/2"], ["a/b/"])


@pytest.mark.parametrize(
    ("method", "path", "body", "refusal"),
    [
        ("POST", "", {"name": "ab"}, (400, 10005)),
        ("POST", "", {"name": "a" * 64}, (400, 10005)),
        ("POST", "", {"name": "A_b"}, (400, 10005)),
        ("POST", "", {"name": "-ab"}, (400, 10005)),
        ("POST", "", {}, (400, 10003)),
        ("POST", "", {"name": "new", "storageClass": "Cold"}, (400, 10004)),
        ("POST", "", {"name": "new", "locationHint": "moon"}, (400, 10004)),
        ("POST", "", {"name": "files"}, (409, 10004)),
        ("GET", "/none", None, (404, 10006)),
        ("DELETE", "/none", None, (404, 10006)),
        ("GET", "/none/objects", None, (404, 10006)),
        ("PUT", "/none/objects/k", None, (404, 10006)),
        ("GET", "/none/objects/k", None, (404, 10006)),
        ("PUT", f"/files/objects/{'k' * 1025}", None, (400, 10004)),
        ("GET", "/files/objects/k", None, (404, 10007)),
        ("GET", "/files/objects?cursor=%C3%A9", None, (400, 10004)),
    ],
)
def test_refusals(
    api: httpx.Client,
    bucket: str,
    settings: Settings,
    method: str,
    path: str,
    body: Any,
    refusal: tuple[int, int],
) -> None:
    """Each with its code; nothing is made."""
    assert fault(api.request(method, f"{B}{path}", json=body)) == refusal
    assert [each["name"] for each in api.get(B).json()["result"]["buckets"]] == ["files"]
    assert blobs(settings) == set()


def test_headers_that_are_refused(api: httpx.Client, bucket: str, settings: Settings) -> None:
    """Another jurisdiction, an unknown class, too much metadata: nothing is stored. A bucket with
    something in it stays."""
    for headers in (
        {"cf-r2-jurisdiction": "eu"},
        {"cf-r2-storage-class": "Cold"},
        {"content-disposition": "x" * 9000},
    ):
        assert fault(api.put(f"{bucket}/k", content=b"x", headers=headers)) == (400, 10004)
        assert blobs(settings) == set()
    assert api.get(bucket).json()["result"] == []
    assert api.put(f"{bucket}/k", headers={"cf-r2-jurisdiction": "default"}).is_success
    assert fault(api.delete(f"{B}/files")) == (409, 10008)
    api.delete(f"{bucket}/k")
    assert api.delete(f"{B}/files").json()["result"] == {}


def test_too_large_or_broken_off(
    api: httpx.Client, bucket: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Announced or not, more than allowed is refused, and what was there stays as it was."""
    monkeypatch.setattr(r2, "OBJECT_BYTES", 100_000)
    kept = api.put(f"{bucket}/k", content=b"x" * 100_000).json()["result"]["version"]
    assert fault(api.put(f"{bucket}/k", content=b"y" * 100_001)) == (413, 100100)
    pieces = (b"y" * 60_000 for _ in range(2))
    assert fault(api.put(f"{bucket}/k", content=pieces)) == (413, 100100)
    assert api.get(f"{bucket}/k").content == b"x" * 100_000
    assert blobs(settings) == {kept}


def test_whose_it_is(url: str, api: httpx.Client, registry: Registry) -> None:
    """Two accounts may have a bucket of one name, and see their own. A token of a namespace reaches
    none, one for reading changes none."""
    for account in (ACCOUNT, OTHER_ACCOUNT):
        registry.r2.create(account, "same", location="weur", storage_class="Standard")
    api.put(f"{B}/same/objects/k", content=b"mine")
    theirs = f"{url}/client/v4/accounts/{OTHER_ACCOUNT}{B}/same/objects/k"
    assert fault(api.get(theirs)) == (403, 10000)
    assert registry.r2.objects(registry.r2.get(OTHER_ACCOUNT, "same").id).objects == []
    for rights, reads in (({"read_only": True}, 200), ({"namespace": "production"}, 403)):
        token = registry.tokens.create(ACCOUNT, "t", **rights).text  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {token}"}
        assert api.get(f"{B}/same/objects/k", headers=headers).status_code == reads
        assert api.get(B, headers=headers).status_code == reads
        for method, path in (("PUT", "/objects/k"), ("DELETE", "/objects/k"), ("DELETE", "")):
            assert fault(api.request(method, f"{B}/same{path}", headers=headers)) == (403, 10000)
    assert api.get(f"{B}/same/objects/k").content == b"mine"


def test_writers_at_once(api: httpx.Client, bucket: str, settings: Settings) -> None:
    """The object is one of those written, whole, and nobody else's bytes are left."""
    bodies = [bytes([number]) * 10_000 for number in range(8)]
    with ThreadPoolExecutor(4) as threads:
        for answer in threads.map(lambda body: api.put(f"{bucket}/k", content=body), bodies):
            assert answer.is_success
    assert api.get(f"{bucket}/k").content in bodies
    assert len(blobs(settings)) == 1


def test_what_a_dead_process_left_is_cleared(
    api: httpx.Client, bucket: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes without an object, noted before they came, go with a later write once they are old."""
    broken = [0]

    def die(*_: object) -> None:
        broken[0] += 1
        raise KeyError

    with monkeypatch.context() as patched:
        patched.setattr("cloister.registry.r2.R2.put", die)
        patched.setattr(r2, "_clear", lambda _version: None)
        assert api.put(f"{bucket}/k", content=b"x").status_code == 500
    assert (broken[0], len(blobs(settings))) == (1, 1)
    api.put(f"{bucket}/a", content=b"y")
    assert len(blobs(settings)) == 2
    monkeypatch.setattr("cloister.registry.r2.ABANDONED_MS", -1_000)
    api.put(f"{bucket}/b", content=b"z")
    assert len(blobs(settings)) == 2
    assert (api.get(f"{bucket}/a").content, api.get(f"{bucket}/b").content) == (b"y", b"z")
