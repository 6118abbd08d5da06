"""R2 buckets as a worker has them, in a real isolate, with bytes in real files."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from executor_house import ACCOUNT, House, worker

from cloister.limits import Limits
from cloister.registry import r2_uploads
from cloister.registry.queue_views import QueueSettings
from cloister.registry.r2_notifications import Rule
from cloister.registry.r2_views import BucketView

BINDING = {"type": "r2_bucket", "name": "BUCKET", "bucket_name": "files"}


@pytest.fixture
def bucket(shared: House, namespace: str) -> BucketView:
    """A bucket of this test's own."""
    name = f"bucket-{namespace}"
    return shared.registry.r2.create(ACCOUNT, name, location="weur", storage_class="Standard")


def run(shared: House, namespace: str, bucket: BucketView, code: str, **more: Any) -> Any:
    """What a worker with that bucket answers, as JSON."""
    binding = {**BINDING, "bucket_name": bucket.name}
    source = worker(f"bucket = self.env.BUCKET\n{code}", top="import json, hashlib")
    shared.deploy(namespace, "w", source, bindings=[binding])
    answer = shared.call(namespace, "w", **more)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def files(shared: House) -> set[str]:
    """The blobs of objects."""
    directory = Path(shared.settings.data) / "blobs" / "objects"
    return {each.name for each in directory.iterdir()} if directory.is_dir() else set()


def test_an_object(shared: House, namespace: str, bucket: BucketView) -> None:
    """Put, looked at, read in every way, deleted: what is said of it comes back."""
    out = run(
        shared,
        namespace,
        bucket,
        """
import datetime
when = datetime.datetime(2037, 1, 1, 12, 0, 0)
put = await bucket.put(
    "a/b.txt",
    '{"x": 1}',
    {"httpMetadata": {"contentType": "application/json", "cacheControl": "no-store",
                      "cacheExpiry": when}},
    customMetadata={"by": "me"},
    storageClass="InfrequentAccess",
    sha256=hashlib.sha256(b'{"x": 1}').hexdigest(),
)
head = await bucket.head("a/b.txt")
got = await bucket.get("a/b.txt")
headers = Response("").headers
got.writeHttpMetadata(headers)
out = {
    "put": [put.key, put.size, put.etag, put.httpEtag, put.storageClass],
    "head": [head.version == put.version, hasattr(head, "body"), dict(head.customMetadata)],
    "http": {n: str(v) for n, v in head.httpMetadata.items()},
    "uploaded": isinstance(head.uploaded, datetime.datetime) and head.uploaded.tzinfo is None,
    "age": abs((datetime.datetime.now() - head.uploaded).total_seconds()) < 60,
    "sums": dict(head.checksums.toJSON()),
    "sha": bytes(head.checksums.sha256).hex(),
    "none": head.checksums.sha1,
    "range": dict(got.range),
    "headers": {n: headers[n] for n in ("content-type", "cache-control", "expires")},
    "used": [got.bodyUsed],
    "json": await got.json(),
}
out["used"].append(got.bodyUsed)
try:
    await got.text()
except TypeError as error:
    out["again"] = str(error)
out["text"] = await (await bucket.get("a/b.txt")).text()
out["bytes"] = bytes(await (await bucket.get("a/b.txt")).arrayBuffer()).decode()
blob = await (await bucket.get("a/b.txt")).blob()
out["blob"] = [blob.size, blob.content_type]
out["chunks"] = b"".join([c async for c in (await bucket.get("a/b.txt")).body]).decode()
await bucket.delete("a/b.txt")
await bucket.delete("a/b.txt")
out["gone"] = [await bucket.get("a/b.txt"), await bucket.head("a/b.txt")]
return Response(json.dumps(out))
""",
    )
    text = '{"x": 1}'
    md5, sha = (hashlib.new(name, text.encode()).hexdigest() for name in ("md5", "sha256"))
    assert out == {
        "put": ["a/b.txt", 8, md5, f'"{md5}"', "InfrequentAccess"],
        "head": [True, False, {"by": "me"}],
        "http": {
            "contentType": "application/json",
            "cacheControl": "no-store",
            "cacheExpiry": "2037-01-01 12:00:00",
        },
        "uploaded": True,
        "age": True,
        "sums": {"md5": md5, "sha256": sha},
        "sha": sha,
        "none": None,
        "range": {"offset": 0, "length": 8},
        "headers": {
            "content-type": "application/json",
            "cache-control": "no-store",
            "expires": "Thu, 01 Jan 2037 12:00:00 GMT",
        },
        "used": [False, True],
        "json": {"x": 1},
        "again": "Body has already been used. It can only be used once. Use tee() first if you "
        "need to read it twice.",
        "text": text,
        "bytes": text,
        "blob": [8, "application/json"],
        "chunks": text,
        "gone": [None, None],
    }


def test_values(shared: House, namespace: str, bucket: BucketView) -> None:
    """Whatever can be a body can be an object; what cannot is refused before it is asked for."""
    out = run(
        shared,
        namespace,
        bucket,
        """
from workers import Blob
async def pieces():
    yield b"in "
    yield "pieces"
out = []
for value in ("text", b"bytes", bytearray(b"array"), memoryview(b"view"), None,
              Blob(["a blob"]), pieces(), request.body):
    await bucket.put("k", value)
    out.append(await (await bucket.get("k")).text())
for value in (5, {"a": 1}, ["a"]):
    try:
        await bucket.put("k", value)
    except TypeError as error:
        out.append(str(error).startswith("Incorrect type for parameter 2"))
return Response(json.dumps(out))
""",
        method="POST",
        body=b"a request",
    )
    texts = ["text", "bytes", "array", "view", "", "a blob", "in pieces", "a request"]
    assert out == [*texts, True, True, True]


def test_large_bodies(shared: House, namespace: str, bucket: BucketView) -> None:
    """Many megabytes flow in and out in pieces; what is replaced or fails leaves no bytes."""
    size = 24 * 1024 * 1024
    out = run(
        shared,
        namespace,
        bucket,
        """
async def pieces():
    for n in range(24):
        yield bytes([n]) * 1048576
put = await bucket.put("big", pieces())
again = await bucket.put("copy", (await bucket.get("big")).body)
part = await bucket.get("big", range={"offset": 1048575, "length": 600000})
data = await part.bytes()
async def broken():
    yield b"x" * 1048576
    raise KeyError("no more")
out = [put.size, put.etag == again.etag, len(data), data[0], data[1]]
try:
    await bucket.put("bad", broken())
except KeyError as error:
    out.append(str(error))
out.append(await bucket.head("bad"))
await bucket.delete(["copy", "big"])
return Response(json.dumps(out))
""",
        limits=Limits(cpu_ms=20_000),
    )
    assert out == [size, True, 600_000, 0, 1, "'no more'", None]
    assert shared.registry.r2.usage(ACCOUNT, bucket.name).bytes == 0


def test_ranges_and_conditions(shared: House, namespace: str, bucket: BucketView) -> None:
    """As dicts and as a request's headers; a condition that fails gives no body, or no object."""
    out = run(
        shared,
        namespace,
        bucket,
        """
import datetime
from workers import Request
old = await bucket.put("k", "0123456789")
past, future = datetime.datetime(2015, 1, 1), datetime.datetime(2099, 1, 1)
async def read(**options):
    got = await bucket.get("k", **options)
    return (await got.text()) if hasattr(got, "body") else "-"
h = lambda **headers: Request("http://x/", headers={
    n.replace("_", "-"): v for n, v in headers.items()}).headers
out = {
    "ranges": [
        await read(range={"offset": 3, "length": 2}),
        await read(range={"offset": 8}),
        await read(range={"length": 3}),
        await read(range={"suffix": 4}),
        await read(range={"suffix": 40}),
        await read(range=h(range="bytes=2-3")),
        await read(range=h()),
    ],
    "conditions": [
        await read(onlyIf={"etagMatches": old.etag}),
        await read(onlyIf={"etagMatches": "other"}),
        await read(onlyIf={"etagDoesNotMatch": old.etag}),
        await read(onlyIf={"uploadedAfter": past}),
        await read(onlyIf={"uploadedAfter": future}),
        await read(onlyIf={"uploadedBefore": future}),
        await read(onlyIf={"uploadedBefore": past}),
        await read(onlyIf=h(if_none_match=old.httpEtag)),
        await read(onlyIf=h(if_match=old.httpEtag)),
    ],
    "puts": [
        await bucket.put("k", "x", onlyIf={"etagMatches": "other"}),
        await bucket.put("new", "x", onlyIf={"etagMatches": old.etag}),
        await bucket.put("k", "x", onlyIf=h(if_none_match="*")),
        (await bucket.put("k", "y", onlyIf={"etagMatches": old.etag})).size,
        (await bucket.put("new", "z", onlyIf=h(if_none_match="*"))).size,
    ],
    "now": [await read(), (await bucket.head("new")).size],
}
errors = []
for options in ({"range": {"offset": 5}}, {"range": {"suffix": 0}}, {"range": {"offset": -1}},
                {"range": {"offset": 1, "suffix": 1}}, {"onlyIf": {"etagMatches": '"q"'}}):
    try:
        await bucket.get("k", **options)
    except Exception as error:
        errors.append(f"{type(error).__name__} {error}")
out["errors"] = errors
return Response(json.dumps(out))
""",
    )
    whole = "0123456789"
    assert out["ranges"] == ["34", "89", "012", "6789", whole, "23", whole]
    assert out["conditions"] == [whole, "-", "-", whole, "-", whole, "-", "-", whole]
    assert out["puts"] == [None, None, None, 1, 1]
    assert out["now"] == ["y", 1]
    assert out["errors"] == [
        "Exception get: The requested range is not satisfiable (10039)",
        "Exception get: The requested range is not satisfiable (10039)",
        "ValueError Invalid range. offset (-1) must be greater than or equal to 0.",
        "TypeError Suffix is incompatible with offset.",
        'TypeError Conditional ETag should not be wrapped in quotes ("q").',
    ]


def test_listing(shared: House, namespace: str, bucket: BucketView) -> None:
    """By prefix, delimiter and page, from a key on; only what is included is said."""
    out = run(
        shared,
        namespace,
        bucket,
        """
for key in ("a/1", "a/2", "a/b/3", "b", "c"):
    await bucket.put(key, key, customMetadata={"k": key})
async def keys(**options):
    page = await bucket.list(**options)
    return [o.key for o in page.objects] + page.delimitedPrefixes
first = await bucket.list(limit=2)
rest = await bucket.list({"cursor": first.cursor})
plain = (await bucket.list(include=["httpMetadata"])).objects[0]
full = (await bucket.list(include=["customMetadata"])).objects[0]
out = [
    await keys(), await keys(prefix="a/"), await keys(delimiter="/"),
    await keys(prefix="a/", delimiter="/"), await keys(startAfter="a/b/3"),
    [first.truncated, [o.key for o in first.objects]],
    [rest.truncated, [o.key for o in rest.objects], "cursor" in rest],
    [dict(plain.customMetadata), dict(full.customMetadata), full.size],
]
await bucket.delete(["a/1", "a/2", "c", "nothing"])
out.append(await keys())
for options in ({"limit": 0}, {"limit": 1001}, {"cursor": "é"}, {"include": ["x"]}):
    try:
        await bucket.list(**options)
    except Exception as error:
        out.append(str(error))
return Response(json.dumps(out))
""",
    )
    assert out == [
        ["a/1", "a/2", "a/b/3", "b", "c"],
        ["a/1", "a/2", "a/b/3"],
        ["b", "c", "a/"],
        ["a/1", "a/2", "a/b/"],
        ["b", "c"],
        [True, ["a/1", "a/2"]],
        [False, ["a/b/3", "b", "c"], False],
        [{}, {"k": "a/1"}, 3],
        ["a/b/3", "b"],
        "list: MaxKeys params must be positive integer <= 1000. (10022)",
        "list: MaxKeys params must be positive integer <= 1000. (10022)",
        "list: That cursor is not one of ours. (10029)",
        "Unsupported include value x",
    ]


def test_an_upload_in_parts(shared: House, namespace: str, bucket: BucketView) -> None:
    """Parts put out of order, one of them again; resumed by its id, completed, and read across the
    borders of its parts; the bytes of what it replaces are those of nobody."""
    out = run(
        shared,
        namespace,
        bucket,
        """
size = 5 * 1024 * 1024
await bucket.put("k", "before")
upload = await bucket.createMultipartUpload(
    "k", {"httpMetadata": {"contentType": "text/x"}, "customMetadata": {"a": "b"}})
again = bucket.resumeMultipartUpload("k", upload.uploadId)
third = await again.uploadPart(3, b"3" * 100)
first = await upload.uploadPart(1, b"0" * size)
second = await again.uploadPart(2, b"2" * size)
first = await upload.uploadPart(1, b"1" * size)
before = await (await bucket.get("k")).text()
done = await upload.complete([third, first, second])
got = await bucket.get("k", range={"offset": size - 2, "length": 4})
tail = await bucket.get("k", range={"suffix": 102})
digest = hashlib.md5()
total = 0
async for chunk in (await bucket.get("k")).body:
    total += len(chunk)
out = [before, done.size, done.etag.endswith("-3"), dict(done.customMetadata),
       done.httpMetadata.contentType, dict(done.checksums.toJSON()),
       await got.text(), (await tail.text())[:4], total, (await bucket.head("k")).etag == done.etag]
try:
    await upload.uploadPart(4, b"x")
except Exception as error:
    out.append(str(error))
await bucket.put("k", "after")
out.append(await (await bucket.get("k")).text())
return Response(json.dumps(out))
""",
        limits=Limits(cpu_ms=20_000),
    )
    size = 2 * 5 * 1024 * 1024 + 100
    assert out == [
        *("before", size, True, {"a": "b"}, "text/x", {}, "1122", "2233", size, True),
        "uploadPart: The specified multipart upload does not exist. (10024)",
        "after",
    ]
    assert shared.registry.r2.usage(ACCOUNT, bucket.name).bytes == 1024 + 5


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ("[a, b, a]", "completeMultipartUpload: One or more of the specified parts could not be"),
        ("[a, {**b, 'etag': '0' * 32}]", "completeMultipartUpload: One or more of the specified"),
        ("[]", "completeMultipartUpload: One or more of the specified parts could not be found"),
        ("[a, b]", "completeMultipartUpload: Your proposed upload is smaller than the minimum"),
        ("[{'partNumber': 0, 'etag': ''}]", "Part number must be between 1 and 10000 (inclusive)"),
        ("[{}]", "complete() takes parts as uploadPart() returns them"),
    ],
)
def test_parts_that_make_no_object(
    shared: House, namespace: str, bucket: BucketView, parts: str, said: str
) -> None:
    """Refused in the product's words; the upload stays as it was, until it is aborted."""
    out = run(
        shared,
        namespace,
        bucket,
        f"""
upload = await bucket.createMultipartUpload("k")
a = await upload.uploadPart(1, b"a")
b = await upload.uploadPart(2, b"b")
try:
    await upload.complete({parts})
except Exception as error:
    said = str(error)
done = await upload.complete([a])
other = await bucket.createMultipartUpload("l")
await other.uploadPart(1, b"x")
await other.abort()
try:
    await other.complete([a])
except Exception as error:
    gone = str(error)
return Response(json.dumps([said, done.size, gone]))
""",
    )
    assert out[0].startswith(said)
    missing = "completeMultipartUpload: The specified multipart upload does not exist. (10024)"
    assert out[1:] == [1, missing]
    assert shared.registry.r2.usage(ACCOUNT, bucket.name).bytes == 2 * 1024 + 1


def test_parts_of_other_sizes(
    shared: House, namespace: str, bucket: BucketView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All parts but the last are of one size, and the last is not larger."""
    from cloister.r2_store import Measure, R2Store
    from cloister.registry.r2_errors import R2Error
    from cloister.registry.r2_uploads import NamedPart
    from cloister.registry.r2_views import Said

    monkeypatch.setattr(r2_uploads, "SMALLEST_PART_BYTES", 2)
    store = R2Store(shared.registry.r2, shared.blobs)
    said = Said(http_metadata={}, custom_metadata={}, storage_class="Standard")
    for sizes, is_good in (((3, 3, 1), True), ((3, 2, 3), False), ((3, 3, 4), False)):
        upload = store.r2.uploads.create(bucket.id, "k", said)
        parts = []
        for number, size in enumerate(sizes, 1):
            blob = store.store_bytes(b"x" * size, Measure())
            store.put_part(bucket.id, "k", upload, number, blob)
            parts.append(NamedPart(number, blob.md5))
        if is_good:
            assert store.complete(bucket.id, "k", upload, parts).size == sum(sizes)
        else:
            with pytest.raises(R2Error, match="problem with the multipart upload"):
                store.complete(bucket.id, "k", upload, parts)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('put("k" * 1025, "v")', "put: The specified object name is not valid. (10020)"),
        ('put("", "v")', "put: The specified object name is not valid. (10020)"),
        ('get("a\\0b")', "get: The specified object name is not valid. (10020)"),
        ("get(5)", "An R2 key is a str, not int"),
        (
            'put("k", "v", customMetadata={"a": "x" * 9000})',
            "put: Your metadata headers exceed the maximum allowed metadata size. (10012)",
        ),
        (
            'put("k", "v", httpMetadata={"contentType": "a\\nb"})',
            "put: Metadata missing or invalid (10029)",
        ),
        ('put("k", "v", md5="0" * 32)', "put: The MD5 checksum you specified did not match"),
        ('put("k", "v", md5="0" * 31)', "MD5 is 32 hex characters, not 31"),
        ('put("k", "v", sha1=b"0" * 19)', "SHA-1 is 20 bytes, not 19"),
        ('put("k", "v", sha256="z" * 64)', "Provided SHA-256 wasn't a valid hex string"),
        (
            'put("k", "v", md5="0" * 32, sha1="0" * 40)',
            "You cannot specify multiple hashing algorithms.",
        ),
        ('put("k", "v", storageClass="Cold")', "put: Unsupported storage class 'Cold'"),
        ("delete([str(n) for n in range(1001)])", "delete: You can delete at most 1000 keys"),
        (
            'resumeMultipartUpload("k", "x").uploadPart(0, b"")',
            "Part number must be between 1 and 10000 (inclusive). Actual value was: 0",
        ),
        (
            'resumeMultipartUpload("k", "x").uploadPart(1, b"")',
            "uploadPart: The specified multipart upload does not exist. (10024)",
        ),
    ],
)
def test_refusals(shared: House, namespace: str, bucket: BucketView, call: str, said: str) -> None:
    """What the product refuses is refused, as an exception in the worker, and nothing is stored."""
    before = files(shared)
    out = run(
        shared,
        namespace,
        bucket,
        f"""
try:
    await bucket.{call}
except Exception as error:
    return Response(json.dumps(str(error)))
return Response(json.dumps("taken"))
""",
    )
    assert out.startswith(said)
    assert files(shared) == before


def test_all_checksums(shared: House, namespace: str, bucket: BucketView) -> None:
    """Each kind is taken where it is right, as hex or bytes."""
    out = run(
        shared,
        namespace,
        bucket,
        """
out = {}
for name in ("md5", "sha1", "sha256", "sha384", "sha512"):
    digest = hashlib.new(name, b"v")
    await bucket.put(name, b"v", {name: digest.digest()})
    out[name] = (await bucket.put(name, b"v", {name: digest.hexdigest()})).checksums.toJSON()
return Response(json.dumps(out))
""",
    )
    for name, found in out.items():
        assert found[name] == hashlib.new(name, b"v").hexdigest()


def test_what_is_counted_and_whose(shared: House, namespace: str, bucket: BucketView) -> None:
    """Operations are subrequests. A bucket of another account is none, whatever its name; one that
    is gone is told."""
    other = "b" * 32
    shared.registry.accounts.ensure(other, "other")
    shared.registry.r2.create(other, "theirs", location="weur", storage_class="Standard")
    body = """
try:
    for n in range(9):
        await bucket.head("k")
except Exception as error:
    return Response(json.dumps([n, str(error)]))
"""
    assert run(shared, namespace, bucket, body, limits=Limits(subrequests=3)) == [
        3,
        "Too many subrequests.",
    ]
    theirs = shared.registry.r2.get(other, "theirs")
    gone = "head: The specified bucket does not exist. (10006)"
    assert run(shared, namespace, theirs, body) == [0, gone]


def test_a_full_and_a_locked_bucket(shared: House, namespace: str, bucket: BucketView) -> None:
    """A locked object is neither replaced nor deleted, also among others."""
    run(shared, namespace, bucket, 'await bucket.put("kept/a", "1")\nreturn Response("1")')
    rule = {"id": "a", "enabled": True, "prefix": "kept/", "condition": {"type": "Indefinite"}}
    shared.registry.r2.set_rules(ACCOUNT, bucket.name, "lock", [rule])
    out = run(
        shared,
        namespace,
        bucket,
        """
await bucket.put("free", "1")
out = []
async def big():
    yield b"x" * 1000000
for call in (lambda: bucket.put("kept/a", "2"), lambda: bucket.delete(["free", "kept/a"]),
             lambda: bucket.put("kept/a", big())):
    try:
        await call()
    except Exception as error:
        out.append(str(error))
out.append([await (await bucket.get(key)).text() for key in ("kept/a", "free")])
return Response(json.dumps(out))
""",
    )
    locked = "The object is locked by the bucket policy. (10069)"
    assert out == [f"put: {locked}", f"delete: {locked}", f"put: {locked}", ["1", "1"]]


def test_queues_that_are_told(shared: House, namespace: str, bucket: BucketView) -> None:
    """What a worker puts, completes and deletes comes to a queue."""
    queue = shared.registry.queues.create(ACCOUNT, f"queue-{namespace}", QueueSettings()).id
    rule = Rule(actions=["PutObject", "CompleteMultipartUpload", "DeleteObject"], prefix="t/")
    shared.registry.r2.notifications.add(ACCOUNT, bucket.name, queue, [rule])
    code = """
await bucket.put("t/a", "hello")
await bucket.put("u", "hello")
upload = await bucket.createMultipartUpload("t/b")
await upload.complete([await upload.uploadPart(1, b"part")])
await bucket.delete(["t/a", "u", "t/b"])
return Response("1")
"""
    assert run(shared, namespace, bucket, code) == 1
    told = shared.registry.queues.messages.peek(queue, 10)
    found = [json.loads(each.body) for each in told]
    assert [(each["action"], each["object"]["key"]) for each in found] == [
        ("PutObject", "t/a"),
        ("CompleteMultipartUpload", "t/b"),
        ("DeleteObject", "t/a"),
        ("DeleteObject", "t/b"),
    ]
    assert (found[0]["bucket"], found[0]["object"]["size"]) == (bucket.name, 5)


def test_the_example_of_the_page(shared: House, namespace: str, bucket: BucketView) -> None:
    """It runs as it stands: puts what a client sends, and answers ranges and conditions."""
    page = (Path(__file__).parents[2] / "docs/r2.md").read_text()
    lines = page[page.index("    from workers import") :].split("\n\nAll of")[0].split("\n")
    source = "\n".join(line.removeprefix("    ") for line in lines)
    binding = {**BINDING, "bucket_name": bucket.name}
    shared.deploy(namespace, "w", source, bindings=[binding])
    url = "http://w.localhost/a/b"
    headers = [("content-type", "text/x")]
    put = shared.call(namespace, "w", method="PUT", url=url, body=b"0123456789", headers=headers)
    assert put.status == 201
    etag = f'"{put.body.decode()}"'
    for said, status, body in (
        ([], 200, b"0123456789"),
        ([("range", "bytes=1-2")], 200, b"12"),
        ([("if-none-match", etag)], 304, b""),
    ):
        got = shared.call(namespace, "w", url=url, headers=said)
        assert (got.status, got.body) == (status, body)
        assert (got.headers["etag"], got.headers["content-type"]) == (etag, "text/x")
    assert shared.call(namespace, "w", url=f"{url}/none").status == 404
