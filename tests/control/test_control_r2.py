"""R2 over the API: buckets and objects, by the official SDK and by what wrangler sends."""

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import cloudflare
import httpx
import pytest
from cloudflare import Cloudflare
from flask import Flask

from cloister.blobs import Blobs
from cloister.r2_store import Measure, R2Store
from cloister.registry import Registry, r2_objects
from cloister.registry.database import now_ms
from cloister.registry.r2_errors import R2Error
from cloister.registry.r2_views import Said
from cloister.settings import Settings
from control import r2

ACCOUNT = "a" * 32
OTHER_ACCOUNT = "b" * 32
HELLO = b"from workers import WorkerEntrypoint\n"
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
        ("PUT", f"/files/objects/{'k' * 1025}", None, (400, 10020)),
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
        {"expires": "soon"},
    ):
        status, code = fault(api.put(f"{bucket}/k", content=b"x", headers=headers))
        assert (status, code) == (400, 10012 if "content-disposition" in headers else 10004)
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
    assert registry.r2.objects.list(registry.r2.get(OTHER_ACCOUNT, "same").id).objects == []
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


def test_what_a_dead_process_left_is_collected(
    api: httpx.Client, bucket: str, settings: Settings, registry: Registry
) -> None:
    """Bytes without an object, noted before they came, go once they are old; what is an object's
    stays."""
    store = R2Store(registry.r2, Blobs.open(settings))
    store.store([b"x"], Measure())
    api.put(f"{bucket}/a", content=b"y")
    assert len(blobs(settings)) == 2
    assert store.collect() == 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(r2_objects, "now_ms", lambda: now_ms() + 3 * 24 * 3_600_000)
        assert store.collect() > 0
    assert len(blobs(settings)) == 1
    assert api.get(f"{bucket}/a").content == b"y"


def test_ranges(api: httpx.Client, bucket: str) -> None:
    """One range of an object; what is no range, or several, is the whole; one behind the end is
    refused."""
    data = os.urandom(700_000)
    api.put(f"{bucket}/k", content=data)
    for said, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=300000-599999", 300_000, 600_000),
        ("bytes=699990-", 699_990, 700_000),
        ("bytes=-10", 699_990, 700_000),
        ("bytes=5-9999999", 5, 700_000),
    ):
        got = api.get(f"{bucket}/k", headers={"Range": said})
        assert (got.status_code, got.content) == (206, data[start:end])
        assert got.headers["content-range"] == f"bytes {start}-{end - 1}/700000"
        assert got.headers["content-length"] == str(end - start)
    for said in ("bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes=0-"):
        got = api.get(f"{bucket}/k", headers={"Range": said})
        assert (got.status_code, got.content) == (200, data)
    for said in ("bytes=700000-", "bytes=-0", "bytes=9-5"):
        assert fault(api.get(f"{bucket}/k", headers={"Range": said})) == (416, 10039)


def test_conditions(api: httpx.Client, bucket: str) -> None:
    """As in HTTP: 304 where the client has it, 412 where it means another."""
    etag = f'"{api.put(f"{bucket}/k", content=b"x").json()["result"]["etag"]}"'
    past, future = "Thu, 01 Jan 2015 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT"
    for headers, status in (
        ({"If-None-Match": etag}, 304),
        ({"If-None-Match": f"W/{etag}"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-Modified-Since": future}, 304),
        ({"If-Modified-Since": past}, 200),
        ({"If-Modified-Since": "whenever"}, 200),
        ({"If-None-Match": '"other"', "If-Modified-Since": future}, 200),
        ({"If-Match": etag}, 200),
        ({"If-Match": f'"other", {etag}'}, 200),
        ({"If-Match": f"W/{etag}"}, 412),
        ({"If-Match": '"other"'}, 412),
        ({"If-Unmodified-Since": past}, 412),
        ({"If-Unmodified-Since": future}, 200),
        ({"If-Match": '"other"', "If-None-Match": etag}, 412),
    ):
        got = api.get(f"{bucket}/k", headers=headers)
        assert got.status_code == status, headers
        assert got.content == b"x" if status == 200 else True
        if status == 304:
            assert (got.content, got.headers["etag"]) == (b"", etag)
    assert fault(api.get(f"{bucket}/k", headers={"If-Match": '"o"'})) == (412, 10031)


def test_custom_metadata(api: httpx.Client, bucket: str) -> None:
    """By headers as S3 has them, plain or encoded; what cannot be a header's name is not one."""
    said = {"x-amz-meta-Colour": "red", "x-amz-meta-note": "=?UTF-8?B?w7xiZXI=?="}
    assert api.put(f"{bucket}/k", content=b"x", headers=said).is_success
    (listed,) = api.get(bucket).json()["result"]
    assert listed["custom_metadata"] == {"colour": "red", "note": "über"}
    got = api.get(f"{bucket}/k").headers
    assert got["x-amz-meta-colour"] == "red"
    assert str(make_header(decode_header(got["x-amz-meta-note"]))) == "über"


def test_objects_that_say_strange_things(
    api: httpx.Client, bucket: str, registry: Registry, settings: Settings
) -> None:
    """What a worker may say of an object breaks no header of the answer."""
    store = R2Store(registry.r2, Blobs.open(settings))
    place = registry.r2.get(ACCOUNT, "files")
    custom = {"a b": "1", "ü": "2", "x": "a\r\nset-cookie: b", "y": "\u2028", "": "3", "z": ""}
    said = Said(http_metadata={}, custom_metadata=custom, storage_class="Standard")
    store.put(place.id, "k", said, store.store_bytes(b"x", Measure()))
    got = api.get(f"{bucket}/k")
    assert (got.status_code, got.content) == (200, b"x")
    assert "set-cookie" not in got.headers
    named = {name for name in got.headers if name.startswith("x-amz-meta-")}
    assert {"x-amz-meta-x", "x-amz-meta-y"} <= named <= {f"x-amz-meta-{n}" for n in ("x", "y", "z")}
    bad = Said(
        http_metadata={"contentType": "a\r\nb"}, custom_metadata={}, storage_class="Standard"
    )
    with pytest.raises(R2Error, match="Metadata missing or invalid"):
        store.put(place.id, "l", bad, store.store_bytes(b"x", Measure()))
    assert len(blobs(settings)) == 1


@pytest.mark.parametrize("kind", ["cors", "lifecycle", "lock"])
def test_rules_of_another_jurisdiction(api: httpx.Client, bucket: str, kind: str) -> None:
    """They are refused, as its buckets are, and there are none afterwards."""
    assert bucket
    elsewhere = {"cf-r2-jurisdiction": "eu"}
    refused = api.put(f"{B}/files/{kind}", json={"rules": []}, headers=elsewhere)
    assert fault(refused) == (400, 10004)
    here = {"cf-r2-jurisdiction": "default"}
    assert api.put(f"{B}/files/{kind}", json={"rules": []}, headers=here).is_success


def test_cors_by_the_sdk(sdk: Cloudflare) -> None:
    """Kept and shown; without any, that is told."""
    sdk.r2.buckets.create(account_id=ACCOUNT, name="files")
    cors = sdk.r2.buckets.cors
    with pytest.raises(cloudflare.NotFoundError):
        cors.get("files", account_id=ACCOUNT)
    rule: Any = {
        "id": "one",
        "allowed": {"methods": ["GET"], "origins": ["https://a.example"], "headers": ["x-a"]},
        "expose_headers": ["x-b"],
        "max_age_seconds": 3600,
    }
    cors.update("files", account_id=ACCOUNT, rules=[rule])
    (kept,) = cors.get("files", account_id=ACCOUNT).rules or []
    assert (kept.id, kept.max_age_seconds, kept.expose_headers) == ("one", 3600, ["x-b"])
    assert (kept.allowed.methods, kept.allowed.headers) == (["GET"], ["x-a"])
    cors.delete("files", account_id=ACCOUNT)
    with pytest.raises(cloudflare.NotFoundError):
        cors.get("files", account_id=ACCOUNT)


def test_lifecycle_by_the_sdk(
    sdk: Cloudflare, api: httpx.Client, registry: Registry, settings: Settings
) -> None:
    """At first unfinished uploads end after a week. Rules delete what is due, under their prefix,
    and its bytes; what is disabled or locked stays."""
    sdk.r2.buckets.create(account_id=ACCOUNT, name="files")
    buckets = sdk.r2.buckets
    (first,) = buckets.lifecycle.get("files", account_id=ACCOUNT).rules or []
    assert first.abort_multipart_uploads_transition is not None
    assert first.abort_multipart_uploads_transition.condition is not None
    assert first.abort_multipart_uploads_transition.condition.max_age == 604_800
    for key in ("old/a", "old/kept", "new/a", "cold/a"):
        api.put(f"{B}/files/objects/{key}", content=b"x")
    place = registry.r2.get(ACCOUNT, "files")
    said = Said(http_metadata={}, custom_metadata={}, storage_class="Standard")
    upload = registry.r2.uploads.create(place.id, "old/big", said)
    now: Any = {"condition": {"type": "Age", "maxAge": 0}}
    rules: Any = [
        {"id": "a", "enabled": True, "conditions": {"prefix": "old/"}}
        | {"deleteObjectsTransition": now, "abortMultipartUploadsTransition": now},
        {"id": "b", "enabled": False, "conditions": {"prefix": ""}}
        | {"deleteObjectsTransition": now},
        {"id": "c", "enabled": True, "conditions": {"prefix": "new/"}}
        | {"deleteObjectsTransition": {"condition": {"type": "Date", "date": "2999-01-01"}}},
        {"id": "d", "enabled": True, "conditions": {"prefix": "cold/"}}
        | {"storageClassTransitions": [{**now, "storageClass": "InfrequentAccess"}]},
    ]
    rules[2]["deleteObjectsTransition"]["condition"]["date"] = "2999-01-01T00:00:00Z"
    buckets.lifecycle.update("files", account_id=ACCOUNT, rules=rules)
    kept = buckets.lifecycle.get("files", account_id=ACCOUNT).rules or []
    assert [rule.id for rule in kept] == ["a", "b", "c", "d"]
    lock: Any = {"id": "l", "enabled": True, "prefix": "old/k", "condition": {"type": "Indefinite"}}
    buckets.locks.update("files", account_id=ACCOUNT, rules=[lock])
    assert registry.r2.sweep() == 3
    listed = {each["key"]: each for each in api.get(f"{B}/files/objects").json()["result"]}
    assert set(listed) == {"old/kept", "new/a", "cold/a"}
    assert listed["cold/a"]["storage_class"] == "InfrequentAccess"
    with pytest.raises(R2Error, match="upload does not exist"):
        registry.r2.uploads.check(place.id, "old/big", upload)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(r2_objects, "now_ms", lambda: now_ms() + 3_600_000)
        R2Store(registry.r2, Blobs.open(settings)).sweep()
    assert len(blobs(settings)) == 3


@pytest.mark.parametrize(
    "condition",
    [
        {"type": "Indefinite"},
        {"type": "Age", "maxAgeSeconds": 3600},
        {"type": "Date", "date": "2999-01-01T00:00:00Z"},
    ],
)
def test_locks(api: httpx.Client, bucket: str, settings: Settings, condition: Any) -> None:
    """What is locked is neither replaced nor deleted, as long as the rule says; what is not under
    the prefix is free, and a new key may be put."""
    rule = {"id": "l", "enabled": True, "prefix": "kept/", "condition": condition}
    assert api.put(f"{B}/files/lock", json={"rules": [rule]}).is_success
    (shown,) = api.get(f"{B}/files/lock").json()["result"]["rules"]
    assert (shown["id"], shown["condition"]["type"]) == ("l", condition["type"])
    for key in ("kept/a", "free/a"):
        assert api.put(f"{bucket}/{key}", content=b"1").is_success
    assert fault(api.put(f"{bucket}/kept/a", content=b"2")) == (403, 10069)
    assert fault(api.delete(f"{bucket}/kept/a")) == (403, 10069)
    assert api.get(f"{bucket}/kept/a").content == b"1"
    assert api.put(f"{bucket}/free/a", content=b"2").is_success
    assert api.delete(f"{bucket}/free/a").is_success
    assert len(blobs(settings)) == 1
    over = {"Age": {"maxAgeSeconds": 0}, "Date": {"date": "2000-01-01T00:00:00Z"}}
    rule["condition"] = {**condition, **over.get(condition["type"], {})}
    rule["enabled"] = condition["type"] != "Indefinite"
    assert api.put(f"{B}/files/lock", json={"rules": [rule]}).is_success
    assert api.delete(f"{bucket}/kept/a").is_success


@pytest.mark.parametrize(
    ("path", "rules"),
    [
        ("cors", [{"allowed": {"methods": ["PATCH"], "origins": ["*"]}}]),
        ("cors", [{"allowed": {"methods": ["GET"], "origins": []}}]),
        ("cors", [{}]),
        ("lifecycle", [{"id": "a", "enabled": True, "conditions": {"prefix": ""}}]),
        ("lifecycle", [{"id": "a", "enabled": True}]),
        ("lock", [{"id": "a", "enabled": True, "condition": {"type": "Age"}}]),
        ("lock", [{"id": "a", "enabled": True, "condition": {"type": "Forever"}}]),
        ("lock", [{"id": "a", "enabled": True, "condition": {"type": "Indefinite"}}] * 2),
        ("lock", {"a": 1}),
    ],
)
def test_rules_that_are_refused(api: httpx.Client, bucket: str, path: str, rules: Any) -> None:
    """Whole: what was there before stays."""
    good = {"id": "l", "enabled": True, "condition": {"type": "Indefinite"}}
    assert api.put(f"{B}/files/lock", json={"rules": [good]}).is_success
    before = api.get(f"{B}/files/{path}").json()
    answer = api.put(f"{B}/files/{path}", json={"rules": rules})
    assert fault(answer)[0] == 400
    assert api.get(f"{B}/files/{path}").json() == before
    assert fault(api.put(f"{B}/none/{path}", json={"rules": []})) == (404, 10006)


def test_how_full_a_bucket_is(api: httpx.Client, bucket: str, registry: Registry) -> None:
    """What is put counts, what goes does not; more than a bucket may hold is refused."""

    def usage() -> tuple[int, int]:
        found = registry.r2.usage(ACCOUNT, "files")
        return found.objects, found.bytes

    api.put(f"{bucket}/a", content=b"x" * 1000)
    api.put(f"{bucket}/b", content=b"x" * 10)
    assert usage() == (2, 2 * 1024 + 1010)
    api.put(f"{bucket}/a", content=b"x" * 5)
    assert usage() == (2, 2 * 1024 + 15)
    asked = {
        "query": "query getR2StorageMetrics { viewer }",
        "operationName": "getR2StorageMetrics",
        "variables": {"accountTag": ACCOUNT, "filter": {"bucketName": "files"}},
    }
    root = api.base_url.copy_with(path="/client/v4/graphql")
    (group,) = api.post(root, json=asked).json()["data"]["viewer"]["accounts"]
    assert group["r2StorageAdaptiveGroups"][0]["max"]["objectCount"] == 2
    theirs = {**asked, "variables": {"accountTag": OTHER_ACCOUNT, "filter": {"bucketName": "f"}}}
    assert fault(api.post(root, json=theirs)) == (403, 10000)
    api.delete(f"{bucket}/a")
    api.delete(f"{bucket}/b")
    assert usage() == (0, 0)


def test_full_buckets(api: httpx.Client, bucket: str, app: Flask, settings: Settings) -> None:
    """A put that does not fit is refused, and nothing of it stays; one in the place of another of
    the same size fits."""
    objects = app.extensions["cloister"].registry.r2.objects
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(objects, "_bucket_bytes", 3_000)
        assert api.put(f"{bucket}/a", content=b"x" * 1_900).is_success
        assert fault(api.put(f"{bucket}/b", content=b"")) == (413, 100100)
        assert api.put(f"{bucket}/a", content=b"y" * 1_900).is_success
    assert len(blobs(settings)) == 1


@pytest.mark.usefixtures("executor")
def test_bindings_to_buckets(api: httpx.Client, bucket: str) -> None:
    """A worker may be bound to a bucket that its account has, and to no other; the binding is
    shown as it was uploaded."""
    script = "/workers/dispatch/namespaces/production/scripts/w"

    def upload(**binding: Any) -> httpx.Response:
        metadata = {
            "main_module": "w.py",
            "bindings": [{"type": "r2_bucket", "name": "B", **binding}],
        }
        files = {
            "metadata": (None, json.dumps(metadata), "application/json"),
            "w.py": ("w.py", HELLO, "text/x-python"),
        }
        return api.put(script, files=files)

    assert fault(upload(bucket_name="none")) == (400, 10085)
    assert fault(upload(bucket_name=5)) == (400, 10021)
    assert fault(upload(bucket_name="files", jurisdiction="eu")) == (400, 10021)
    assert upload(bucket_name="files", jurisdiction="default").is_success
    (shown,) = api.get(f"{script}/bindings").json()["result"]
    assert shown == {"type": "r2_bucket", "name": "B", "bucket_name": "files"}


@pytest.mark.usefixtures("bucket")
def test_a_token_of_a_namespace_binds_buckets_that_are_bound_there(
    api: httpx.Client, upload: Callable[..., httpx.Response], registry: Registry
) -> None:
    """It guesses no bucket of the account's; what the account's own token has bound there, it may
    bind to other workers, too."""
    binding = {"type": "r2_bucket", "name": "B", "bucket_name": "files"}
    token = registry.tokens.create(ACCOUNT, "t", namespace="production").text
    ours, theirs = api.headers["Authorization"], f"Bearer {token}"
    elsewhere = {"type": "plain_text", "name": "T", "text": "files"}
    assert upload("other", bindings=[elsewhere]).is_success  # says it, and is not bound to it
    api.headers["Authorization"] = theirs
    assert fault(upload("mine", bindings=[binding])) == (400, 10085)
    api.headers["Authorization"] = ours
    assert upload("first", bindings=[binding]).is_success
    api.headers["Authorization"] = theirs
    assert upload("mine", bindings=[binding]).is_success


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_date_that_is_none_in_utc(api: httpx.Client, bucket: str, moment: str) -> None:
    """It is refused, and nothing is stored; one that is in range is taken."""
    assert fault(api.put(f"{bucket}/a", content=b"x", headers={"Expires": moment})) == (400, 10004)
    assert api.get(f"{bucket}/a").status_code == 404
    good = {"Expires": moment[:19] + "+00:00"}
    assert api.put(f"{bucket}/a", content=b"x", headers=good).is_success
    assert api.get(f"{bucket}/a").is_success
