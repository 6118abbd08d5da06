"""Static assets over the wire: served by the dispatcher itself, with HTTP as it should be."""

import gzip
import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import brotli
import msgspec
import pytest
from dispatcher_rig import Dispatcher, eventually

from cloister.assets import Config, File, HeaderRule, Manifest, Redirect, SiteRef, Stored
from cloister.assets.coding import compressed
from cloister.assets.manifest import encode
from cloister.assets.types import guessed
from cloister.blobs import Blobs
from cloister.registry import NewVersion
from cloister.registry.rollout import Share

PAGE = b"<!doctype html><h1>hello</h1>" * 100


def stored(blobs: Blobs, data: bytes, *, squeeze: bool) -> Stored:
    made = compressed(data) if squeeze else {}
    whole, variants = data, {}
    for name, coded in made.items():
        variants[name] = (len(whole), len(coded))
        whole += coded
    digest = hashlib.sha256(whole).hexdigest()
    blobs.put(f"asset/{digest}", whole)
    return Stored(digest, len(data), hashlib.sha256(data).hexdigest()[:32], None, variants)


def deploy(
    of: Dispatcher, script: str, files: dict[str, bytes], *, code: bool = True, **config: Any
) -> SiteRef:
    """Deploy a version with assets: what the control API writes."""
    ref = site(of, files, **config)
    view = of.registry.namespace_view("production")
    assert view is not None
    version = NewVersion(
        digest="0" * 64,
        main_module="main.py" if code else "",
        assets=ref,
        compatibility_date="2026-01-01",
    )
    of.registry.scripts.put_version(view.id, script, version)
    return ref


def site(of: Dispatcher, files: dict[str, bytes], **config: Any) -> SiteRef:
    blobs = Blobs.open(of.settings)
    listed = [
        File(path, "h", stored(blobs, data, squeeze=path.endswith(".html")), guessed(path))
        for path, data in files.items()
    ]
    manifest, manifest_data = encode(Manifest(listed))
    digest, config_data = encode(Config(**config))
    blobs.put(f"manifest/{manifest}", manifest_data)
    blobs.put(f"assetconfig/{digest}", config_data)
    return SiteRef(manifest=manifest, config=digest, files=len(listed))


def test_files_without_an_invocation(dispatcher: Dispatcher) -> None:
    """A file is answered by the dispatcher alone; what is none reaches the worker."""
    deploy(dispatcher, "site", {"/index.html": PAGE, "/a/b.css": b"p {}"})
    page = dispatcher.request("site.localhost", "/")
    assert (page.status, page.body) == (200, PAGE)
    assert page["content-type"] == "text/html; charset=utf-8"
    assert page["x-content-type-options"] == "nosniff"
    assert page["cache-control"] == "public, max-age=0, must-revalidate"
    css = dispatcher.request("site.localhost", "/a/b.css?x=1")
    assert (css.body, css["content-type"]) == (b"p {}", "text/css; charset=utf-8")
    assert not dispatcher.executor.invocations("site")
    other = dispatcher.request("site.localhost", "/other")
    assert json.loads(other.body)["url"].endswith("/other")
    by_path = dispatcher.request("127.0.0.1", "/production/site/a/b.css")
    assert by_path.body == b"p {}"


def test_only_assets(dispatcher: Dispatcher) -> None:
    """Without code there is nobody else to ask, whatever the method or path."""
    files = {"/index.html": PAGE, "/404.html": b"lost"}
    deploy(dispatcher, "only", files, code=False, not_found_handling="404-page")
    assert dispatcher.request("only.localhost", "/").body == PAGE
    lost = dispatcher.request("only.localhost", "/x/y")
    assert (lost.status, lost.body) == (404, b"lost")
    post = dispatcher.request("only.localhost", "/", method="POST", body=b"x" * 100_000)
    assert (post.status, post["allow"], post.body) == (405, "GET, HEAD", b"")
    assert not dispatcher.executor.invocations("only")


def test_conditional_head_and_ranges(dispatcher: Dispatcher) -> None:
    """304 without a body, HEAD with a GET's length, parts that fit together; the connection stays
    in step throughout."""
    deploy(dispatcher, "http", {"/a.bin": bytes(range(256)) * 4})
    with dispatcher.client() as client:

        def ask(method: str, *headers: str) -> Any:
            lines = [f"{method} /a.bin HTTP/1.1", "Host: http.localhost", *headers, "", ""]
            client.send("\r\n".join(lines).encode())
            return client.answer(method)

        whole = ask("GET")
        head = ask("HEAD")
        assert (head.status, head["content-length"], head.body) == (200, "1024", b"")
        assert head["etag"] == whole["etag"]
        known = ask("GET", f"If-None-Match: W/{whole['etag']}")
        assert (known.status, known.body, known["etag"]) == (304, b"", whole["etag"])
        parts = [ask("GET", f"Range: bytes={at}-{at + 299}") for at in range(0, 1024, 300)]
        assert {part.status for part in parts} == {206}
        assert b"".join(part.body for part in parts) == whole.body
        assert parts[-1]["content-range"] == "bytes 900-1023/1024"
        none = ask("GET", "Range: bytes=1024-")
        assert (none.status, none["content-range"]) == (416, "bytes */1024")
        assert ask("GET").body == whole.body


def test_codings(dispatcher: Dispatcher) -> None:
    """What the client accepts decides; each decodes to the same bytes."""
    deploy(dispatcher, "coded", {"/index.html": PAGE})

    def ask(accepted: str) -> Any:
        header = (f"Accept-Encoding: {accepted}",)
        return dispatcher.request("coded.localhost", "/", headers=header)

    br, gz, plain = ask("gzip, deflate, br, zstd"), ask("gzip"), ask("identity")
    assert (br["content-encoding"], gz["content-encoding"]) == ("br", "gzip")
    assert brotli.decompress(br.body) == gzip.decompress(gz.body) == plain.body == PAGE
    assert len(br.body) < len(PAGE) / 10
    assert {br["vary"], gz["vary"], plain["vary"]} == {"Accept-Encoding"}


def test_large_file_in_little_memory(dispatcher: Dispatcher) -> None:
    """The largest file goes through without being in memory, to several clients at once; a part of
    it is only that."""
    data = hashlib.sha256(b"x").digest() * (25 * 1024 * 32)
    deploy(dispatcher, "large", {"/big.bin": data})
    warm = dispatcher.request("large.localhost", "/big.bin", headers=("Range: bytes=5-20",))
    assert warm.body == data[5:21]
    before_kb = memory_kb(dispatcher)
    assert dispatcher.request("large.localhost", "/big.bin").body == data
    with dispatcher.client() as one, dispatcher.client() as two:
        for client in (one, two):
            client.send(b"GET /big.bin HTTP/1.1\r\nHost: large.localhost\r\n\r\n")
        for client in (one, two):
            assert client.answer().body == data
    tail = dispatcher.request("large.localhost", "/big.bin", headers=("Range: bytes=1000-",))
    assert tail.body == data[1000:]
    assert memory_kb(dispatcher) - before_kb < 12 * 1024


def memory_kb(dispatcher: Dispatcher) -> int:
    """What the dispatcher's processes hold of their own."""
    total = 0
    family = [dispatcher.process.pid]
    for pid in family:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        family += map(int, children)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                total += int(line.split()[1])
    return total


def test_client_that_leaves(dispatcher: Dispatcher) -> None:
    """One that goes away in the middle of a large file leaves nothing behind that hurts others."""
    deploy(dispatcher, "leave", {"/big.bin": bytes(20 * 1024 * 1024)})
    with dispatcher.client() as client:
        client.send(b"GET /big.bin HTTP/1.1\r\nHost: leave.localhost\r\n\r\n")
        assert client.head().status == 200
    assert dispatcher.request("leave.localhost", "/big.bin", method="HEAD").status == 200


def test_versions_are_never_mixed(dispatcher: Dispatcher) -> None:
    """A deploy exchanges all files at once, and those of the last version are gone."""
    deploy(dispatcher, "mixed", {"/a.txt": b"one", "/old.txt": b"old"}, code=False)
    assert dispatcher.request("mixed.localhost", "/old.txt").body == b"old"
    deploy(dispatcher, "mixed", {"/a.txt": b"two", "/new.txt": b"new"}, code=False)
    eventually(
        lambda: dispatcher.request("mixed.localhost", "/a.txt").body == b"two", "the new version"
    )
    assert dispatcher.request("mixed.localhost", "/old.txt").status == 404
    assert dispatcher.request("mixed.localhost", "/new.txt").body == b"new"


def test_deploys_under_load(dispatcher: Dispatcher) -> None:
    """While one version follows another, every request gets a file whole, with the tag of
    that very file."""
    bodies = [f"version {number} ".encode() * 5_000 for number in range(15)]
    tags = {body: f'"{hashlib.sha256(body).hexdigest()[:32]}"' for body in bodies}
    deploy(dispatcher, "busy", {"/a.txt": bodies[0]}, code=False)
    over = threading.Event()
    seen: list[tuple[int, bytes, str]] = []

    def visit() -> None:
        with dispatcher.client() as client:
            while not over.is_set():
                client.send(b"GET /a.txt HTTP/1.1\r\nHost: busy.localhost\r\n\r\n")
                answer = client.answer()
                seen.append((answer.status, answer.body, answer["etag"]))

    with ThreadPoolExecutor(3) as threads:
        visits = [threads.submit(visit) for _ in range(3)]
        for body in bodies[1:]:
            before = len(seen)
            deploy(dispatcher, "busy", {"/a.txt": body}, code=False)
            eventually(lambda start=before: len(seen) > start + 5, "requests meanwhile")
        over.set()
        for each in visits:
            each.result()
    assert all(status == 200 and tags[body] == tag for status, body, tag in seen)
    assert len({body for _, body, _ in seen}) > 5


def test_two_versions_that_are_live(dispatcher: Dispatcher) -> None:
    """Who keeps a key gets the files of one version, page after page."""
    deploy(dispatcher, "split", {"/v.txt": b"one", "/one.txt": b""}, code=False)
    registry = dispatcher.registry
    view = registry.namespace_view("production")
    assert view is not None
    first = registry.scripts.get(view.id, "split").version_id
    ref = site(dispatcher, {"/v.txt": b"two", "/two.txt": b""})
    second = registry.scripts.add_version(
        view.id, "split", lambda live: msgspec.structs.replace(live, assets=ref)
    ).id
    registry.deployments.create(view.id, "split", [Share(second, 50), Share(first, 50)])

    def ask(path: str, who: int) -> Any:
        header = (f"Cloudflare-Workers-Version-Key: visitor-{who}",)
        return dispatcher.request("split.localhost", path, headers=header)

    eventually(lambda: len({ask("/v.txt", who).body for who in range(20)}) == 2, "both versions")
    for who in range(20):
        mine, other = ("one", "two") if ask("/v.txt", who).body == b"one" else ("two", "one")
        assert ask(f"/{mine}.txt", who).status == 200
        assert ask(f"/{other}.txt", who).status == 404


@pytest.mark.parametrize(
    "target",
    [
        *("/../registry.db", "/%2e%2e/%2e%2e/registry.db", "/..%2f..%2fsecret.key", "/%00"),
        *("//registry.db", "/%ff", "/..\\..\\secret.key", "/%252e%252e/x", "/a/../index.html"),
    ],
)
def test_paths_that_want_out(dispatcher: Dispatcher, target: str) -> None:
    """No spelling of a path is anything but a name that the site lacks."""
    deploy(dispatcher, "jail", {"/index.html": PAGE}, code=False)
    assert dispatcher.request("jail.localhost", target).status == 404
    assert dispatcher.request("jail.localhost", "/").status == 200


def test_redirects_and_headers(dispatcher: Dispatcher) -> None:
    """Rules are of the version, and no rule's field can end a header early or frame a body."""
    deploy(
        dispatcher,
        "rules",
        {"/index.html": PAGE},
        static=[Redirect("/old", "https://other.test/new", 301)],
        dynamic=[Redirect("/go/*", "/:splat", 302)],
        headers=[HeaderRule("/*", [("x-path", ":splat"), ("set-cookie", "a=b")])],
    )
    moved = dispatcher.request("rules.localhost", "/old?q=1")
    assert (moved.status, moved["location"], moved.body) == (301, "https://other.test/new?q=1", b"")
    out = dispatcher.request("rules.localhost", "/go//evil.test/%0d%0aX-Evil:%201")
    assert out["location"] == "/evil.test/%0d%0aX-Evil:%201"
    assert not out.all("x-evil")
    assert out["x-path"] == "go//evil.test/%0d%0aX-Evil:%201"
    assert dispatcher.request("rules.localhost", "/")["set-cookie"] == "a=b"


def test_what_is_missing_in_the_store(dispatcher: Dispatcher) -> None:
    """A file or manifest that is lost is our failure, and says nothing of where it was."""
    deploy(dispatcher, "lost", {"/a.txt": b"lost bytes"}, code=False)
    blobs = Blobs.open(dispatcher.settings)
    blobs.delete(f"asset/{hashlib.sha256(b'lost bytes').hexdigest()}")
    answer = dispatcher.request("lost.localhost", "/a.txt")
    assert answer.status == 500
    assert b"asset" not in answer.body.lower()
    ref = deploy(dispatcher, "void", {"/b.txt": b"b"}, code=False)
    blobs.delete(f"manifest/{ref.manifest}")
    assert dispatcher.request("void.localhost", "/b.txt").status == 500
