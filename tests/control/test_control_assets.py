"""Upload sessions of static assets: what is to be sent, by whom, and what becomes of it."""

import base64
import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random
from typing import Any

import httpx
import msgspec
import pytest
from cloudflare import Cloudflare
from flask import Flask
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import delete

from cloister import collection
from cloister.assets import FILE_BYTES, MAX_FILES, SiteRef
from cloister.assets.config import decode_config
from cloister.assets.manifest import File, decode_manifest
from cloister.blobs import Blobs
from cloister.registry import Registry
from cloister.registry.models import AssetSession, Upload
from cloister.secrets import open_cipher
from cloister.settings import Settings

ACCOUNT, OTHER_ACCOUNT = "a" * 32, "b" * 32
NAMESPACE = "production"
HELLO = b"from workers import WorkerEntrypoint\n"

Files = dict[str, bytes]
SITE: Files = {"/index.html": b"<h1>hi</h1>" * 200, "/a.txt": b"a", "/b/c.png": b"\x89PNG"}


def hashed(data: bytes, salt: str = "") -> str:
    return hashlib.sha256(salt.encode() + data).hexdigest()[:32]


class Uploader:
    """Does what the official tools do, a step at a time."""

    def __init__(self, api: httpx.Client, script: str = "site", namespace: str = NAMESPACE) -> None:
        self.api = api
        self.script = f"/workers/dispatch/namespaces/{namespace}/scripts/{script}"

    def open(self, files: Files, sizes: dict[str, int] | None = None) -> httpx.Response:
        manifest = {
            path: {"hash": hashed(data), "size": (sizes or {}).get(path, len(data))}
            for path, data in files.items()
        }
        return self.api.post(f"{self.script}/assets-upload-session", json={"manifest": manifest})

    def send(self, token: str, parts: dict[str, tuple[bytes, str | None]]) -> httpx.Response:
        files = [
            (name, (name, base64.b64encode(data), kind) if kind else (None, base64.b64encode(data)))
            for name, (data, kind) in parts.items()
        ]
        return self.raw(token, files)

    def raw(self, token: str, files: Any, query: str = "?base64=true") -> httpx.Response:
        return self.api.post(
            f"/workers/assets/upload{query}",
            files=files,
            headers={"Authorization": f"Bearer {token}"},
        )

    def complete(self, files: Files, kind: str = "text/html; charset=utf-8") -> str:
        """The completion token of these files, whatever has to be sent for it."""
        opened = self.open(files).json()["result"]
        token = opened["jwt"]
        by_hash = {hashed(data): data for data in files.values()}
        for bucket in opened["buckets"]:
            answer = self.send(opened["jwt"], {name: (by_hash[name], kind) for name in bucket})
            assert answer.is_success, answer.text
            token = answer.json()["result"].get("jwt")
        assert token
        return str(token)

    def deploy(self, *, code: bool = True, **metadata: Any) -> httpx.Response:
        said = ({"main_module": "worker.py"} if code else {}) | metadata
        parts = {"metadata": (None, msgspec.json.encode(said), "application/json")}
        if code:
            parts["worker.py"] = ("worker.py", HELLO, "text/x-python")
        return self.api.put(self.script, files=parts)


@pytest.fixture
def uploader(api: httpx.Client, executor: Any) -> Uploader:
    return Uploader(api)


@pytest.fixture
def live(registry: Registry) -> Callable[[str], SiteRef | None]:
    """The assets of the live version of a script."""

    def of(script: str = "site") -> SiteRef | None:
        namespace = registry.namespaces.find(ACCOUNT, NAMESPACE)
        return registry.scripts.get(namespace.id, script).version.assets

    return of


@pytest.fixture
def files(settings: Settings, live: Any) -> Callable[[], dict[str, File]]:
    def of_live() -> dict[str, File]:
        data = Blobs.open(settings).get(f"manifest/{live().manifest}")
        return {file.path: file for file in decode_manifest(data).files}

    return of_live


def problem(answer: httpx.Response) -> tuple[int, int]:
    said = answer.json()
    assert said["success"] is False
    assert said["result"] is None
    return answer.status_code, said["errors"][0]["code"]


def test_upload_and_deploy(uploader: Uploader, settings: Settings, files: Any) -> None:
    """The session names what is missing, each upload but the last is answered without a token, and
    the version has the files with their types, by digests of ours."""
    opened = uploader.open(SITE).json()["result"]
    wanted = [name for bucket in opened["buckets"] for name in bucket]
    assert sorted(wanted) == sorted(hashed(data) for data in SITE.values())
    first, *others = SITE.values()
    answer = uploader.send(opened["jwt"], {hashed(first): (first, "text/html; charset=utf-8")})
    assert (answer.status_code, answer.json()["result"]) == (200, {})
    answer = uploader.send(opened["jwt"], {hashed(data): (data, None) for data in others})
    assert answer.status_code == 201
    deployed = uploader.deploy(assets={"jwt": answer.json()["result"]["jwt"]})
    assert deployed.json()["result"]["has_assets"] is True
    found = files()
    assert {path: file.content_type for path, file in found.items()} == {
        "/index.html": "text/html; charset=utf-8",
        "/a.txt": "text/plain; charset=utf-8",
        "/b/c.png": "image/png",
    }
    stored = found["/index.html"].stored
    whole = Blobs.open(settings).get(f"asset/{stored.blob}")
    assert whole is not None
    assert hashlib.sha256(whole).hexdigest() == stored.blob
    assert whole.startswith(SITE["/index.html"])
    assert set(stored.variants) == {"br", "gzip", "zstd"}


def test_second_deploy_sends_what_changed(uploader: Uploader, files: Any) -> None:
    """What the live version has is not asked for again; with nothing new, the first token is the
    last. What the new manifest does not name is gone."""
    assert uploader.deploy(assets={"jwt": uploader.complete(SITE)}).is_success
    changed = {"/index.html": b"new", "/a.txt": SITE["/a.txt"]}
    opened = uploader.open(changed).json()["result"]
    assert opened["buckets"] == [[hashed(b"new")]]
    assert uploader.deploy(assets={"jwt": uploader.complete(changed)}).is_success
    again = uploader.open(changed).json()["result"]
    assert again["buckets"] == []
    assert uploader.deploy(assets={"jwt": again["jwt"]}).is_success
    assert set(files()) == {"/index.html", "/a.txt"}


def test_broken_off_session_goes_on(uploader: Uploader) -> None:
    """What came in a session that was never finished need not be sent again."""
    opened = uploader.open(SITE).json()["result"]
    uploader.send(opened["jwt"], {hashed(b"a"): (b"a", "text/plain")})
    left = uploader.open(SITE).json()["result"]["buckets"]
    assert hashed(b"a") not in [name for bucket in left for name in bucket]


def test_hash_of_somebody_else(uploader: Uploader, api: httpx.Client) -> None:
    """Who names a file that another script uploaded is asked for its bytes: a hash is no proof.
    Its own script is not; and a hash can be taken for other bytes without touching those."""
    assert uploader.deploy(assets={"jwt": uploader.complete(SITE)}).is_success
    thief = Uploader(api, "thief")
    opened = thief.open(SITE).json()["result"]
    wanted = {name for bucket in opened["buckets"] for name in bucket}
    assert wanted == {hashed(data) for data in SITE.values()}
    assert problem(thief.deploy(assets={"jwt": opened["jwt"]})) == (400, 10343)
    assert thief.send(opened["jwt"], {hashed(b"a"): (b"z", "text/plain")}).is_success
    assert uploader.open(SITE).json()["result"]["buckets"] == []


def test_deleted_script_leaves_nothing_to_a_later_one(uploader: Uploader) -> None:
    """A script of a name that was another's knows none of its files, and none of its sessions."""
    token = uploader.complete(SITE)
    assert uploader.deploy(assets={"jwt": token}).is_success
    assert uploader.api.delete(uploader.script).is_success
    assert len(uploader.open(SITE).json()["result"]["buckets"][0]) == 3
    assert problem(uploader.deploy(assets={"jwt": token})) == (400, 10343)


PATHS: list[tuple[str, bool]] = [
    *(
        ("/a b/ä.txt", True),
        ("/.well-known/x", True),
        ("/a\\b", True),
        ("/" + "x" * 1000, True),
    ),
    *(("a.txt", False), ("", False), ("/", False), ("/a/", False), ("//a", False)),
    *(("/../a", False), ("/a/../../b", False), ("/a/.", False), ("/a\x00b", False)),
    *(("/a\r\nb", False), ("/" + "x" * 2000, False), ("https://a/b", False)),
]


def test_paths(uploader: Uploader) -> None:
    """Names of files are taken as they are, but for those that are none."""
    for path, works in PATHS:
        answer = uploader.open({path: b"x"})
        assert answer.is_success if works else problem(answer) == (400, 10304), path


BAD_MANIFESTS: list[tuple[Any, int]] = [
    ({"/a": {"hash": "", "size": 1}}, 10304),
    ({"/a": {"hash": "x" * 65, "size": 1}}, 10304),
    ({"/a": {"hash": "../../x", "size": 1}}, 10304),
    ({"/a": {"hash": "é" * 32, "size": 1}}, 10304),
    ({"/a": {"hash": "a" * 32, "size": -1}}, 10304),
    ({"/a": {"hash": "a" * 32, "size": FILE_BYTES + 1}}, 10304),
    ({"/a": {"hash": "a" * 32, "size": 1}, "/b": {"hash": "a" * 32, "size": 2}}, 10304),
    ({f"/{n}": {"hash": "a" * 32, "size": 1} for n in range(MAX_FILES + 1)}, 10304),
    ({"/a": {"hash": 5, "size": 1}}, 10004),
    ({"/a": {"hash": "a" * 32}}, 10003),
    ({"/a": "x"}, 10004),
    ([], 10004),
    (None, 10003),
]


def test_manifests_that_are_refused(uploader: Uploader) -> None:
    """Each with its code; nothing is kept of it."""
    for manifest, code in BAD_MANIFESTS:
        body = {"manifest": manifest}
        answer = uploader.api.post(f"{uploader.script}/assets-upload-session", json=body)
        assert problem(answer) == (400, code), str(manifest)[:100]


def test_largest_manifest(uploader: Uploader) -> None:
    """A site of as many files as there may be is sent in buckets of a size that is handled well."""
    manifest = {f"/{n}.txt": {"hash": f"{n:032x}", "size": 1000} for n in range(MAX_FILES)}
    manifest["/0.txt"]["size"] = FILE_BYTES
    answer = uploader.api.post(
        f"{uploader.script}/assets-upload-session", json={"manifest": manifest}
    )
    buckets = answer.json()["result"]["buckets"]
    assert buckets[0] == [f"{0:032x}"]
    assert sum(map(len, buckets)) == MAX_FILES
    assert max(map(len, buckets)) == 500


def test_manifest_that_is_huge(uploader: Uploader) -> None:
    """One that is longer than any good one is turned away before it is read."""
    answer = uploader.api.post(
        f"{uploader.script}/assets-upload-session", content=b" " * (25 * 1024 * 1024)
    )
    assert problem(answer) == (413, 10027)


def test_sizes_and_encodings_that_lie(uploader: Uploader) -> None:
    """Bytes that are not as many as announced, no base64 or another file are refused whole; then
    the right ones are taken."""
    opened = uploader.open({"/a.txt": b"four"}).json()["result"]
    token, name = opened["jwt"], hashed(b"four")
    for parts in (
        {name: (b"five!", "text/plain")},
        {name: (b"", "text/plain")},
        {hashed(b"other"): (b"four", "text/plain")},
        {name: (b"four", "text/plain"), "f" * 32: (b"x", "text/plain")},
        {name: (b"four", "text/\x7fplain")},
    ):
        assert problem(uploader.send(token, parts)) == (400, 10304), parts
    for data in (b"Zm91", b"Zm91cg=", b"Zm91c g==", b"!!!!", b"Zm91cg==Zm91cg=="):
        answer = uploader.raw(token, [(name, (name, data, "text/plain"))])
        assert problem(answer) == (400, 10304), data
    good = [(name, (name, b"Zm91cg==", "text/plain"))]
    assert problem(uploader.raw(token, good, "")) == (400, 10004)
    assert problem(uploader.raw(token, good, "?base64=false")) == (400, 10004)
    assert uploader.raw(token, good).status_code == 201


def test_too_large_file(uploader: Uploader) -> None:
    """A file of the largest size is taken; a part that is longer than any is refused."""
    data = bytes(FILE_BYTES)
    token = uploader.complete({"/big.bin": data}, "application/octet-stream")
    assert uploader.deploy(assets={"jwt": token}).is_success
    opened = uploader.open({"/b": b"x"}).json()["result"]
    answer = uploader.send(opened["jwt"], {hashed(b"x"): (data + b"1", None)})
    assert problem(answer) == (400, 10304)


def test_two_uploads_of_one_name(uploader: Uploader, files: Any) -> None:
    """A hash that came stays what it is; to send it again is no error, and no other file."""
    opened = uploader.open({"/a": b"one", "/b": b"bb"}).json()["result"]
    uploader.send(opened["jwt"], {hashed(b"one"): (b"one", "text/plain")})
    answer = uploader.send(
        opened["jwt"], {hashed(b"one"): (b"two", "text/html"), hashed(b"bb"): (b"bb", "")}
    )
    assert answer.status_code == 201
    again = uploader.send(opened["jwt"], {hashed(b"bb"): (b"bb", "")})
    assert again.status_code == 201
    uploader.deploy(assets={"jwt": again.json()["result"]["jwt"]})
    assert files()["/a"].stored.etag == hashlib.sha256(b"one").hexdigest()[:32]
    assert files()["/a"].content_type == "text/plain"


def test_types(uploader: Uploader, files: Any) -> None:
    """The part's own type is served, none where it says so, and one by the name where none is
    said."""
    said = {"/a.html": "text/x-mine; a=b", "/b.html": "application/null", "/c.html": None}
    content = {path: path.encode() for path in said}
    opened = uploader.open(content).json()["result"]
    parts = {hashed(content[path]): (content[path], kind) for path, kind in said.items()}
    token = uploader.send(opened["jwt"], parts).json()["result"]["jwt"]
    uploader.deploy(assets={"jwt": token})
    assert [files()[path].content_type for path in said] == [
        *("text/x-mine; a=b", "", "text/html; charset=utf-8"),
    ]


def test_tokens(uploader: Uploader, api: httpx.Client, settings: Settings, app: Flask) -> None:
    """An upload needs a session's own token, signed by us, of this account, in time; an API token
    is none. A deploy needs a completion token of this very script."""
    opened = uploader.open({"/a": b"a"}).json()["result"]
    name, parts = hashed(b"a"), {hashed(b"a"): (b"a", "text/plain")}
    assert name in opened["buckets"][0]
    key = OctKey.import_key(open_cipher(settings).token_key)
    claims = jwt.decode(opened["jwt"], key).claims
    assert claims["exp"] - claims["iat"] == 3600
    forged = {
        "expired": {**claims, "exp": int(time.time()) - 1},
        "other account": {**claims, "aud": OTHER_ACCOUNT},
        "other use": {**claims, "use": "complete"},
        "other issuer": {**claims, "iss": "x"},
        "no session": {**claims, "sub": "f" * 32},
        "no end": {key: value for key, value in claims.items() if key != "exp"},
    }
    bad = {what: jwt.encode({"alg": "HS256"}, said, key) for what, said in forged.items()}
    other_key = OctKey.import_key(b"x" * 32)
    bad["other key"] = jwt.encode({"alg": "HS256"}, claims, other_key)
    head, body, _ = opened["jwt"].split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    bad |= {"unsigned": f"{none}.{body}.", "cut": f"{head}.{body}", "junk": "x" * 9000}
    bad["API token"] = api.headers["Authorization"].removeprefix("Bearer ")
    for what, token in bad.items():
        assert problem(uploader.send(token, parts)) == (401, 10000), what
        assert problem(uploader.deploy(assets={"jwt": token}))[0] == 400, what
    other = api.post(
        str(api.base_url).replace(ACCOUNT, OTHER_ACCOUNT) + "workers/assets/upload?base64=true",
        headers={"Authorization": f"Bearer {opened['jwt']}"},
        files=[(name, (name, b"YQ==", "text/plain"))],
    )
    assert problem(other) == (401, 10000)
    assert problem(uploader.deploy(assets={"jwt": opened["jwt"]})) == (400, 10343)
    token = uploader.send(opened["jwt"], parts).json()["result"]["jwt"]
    assert problem(Uploader(api, "other").deploy(assets={"jwt": token})) == (400, 10343)
    assert problem(uploader.send(token, parts)) == (401, 10000)
    assert uploader.deploy(assets={"jwt": token}).is_success
    assert uploader.deploy(assets={"jwt": token}).is_success  # a deploy that is tried again


def test_completion_token_before_its_time(
    uploader: Uploader, settings: Settings, registry: Registry
) -> None:
    """A session that lacks files makes no version, whatever token says that it is complete; one
    whose time is over neither."""
    opened = uploader.open({"/a": b"a"}).json()["result"]
    key = OctKey.import_key(open_cipher(settings).token_key)
    claims = jwt.decode(opened["jwt"], key).claims
    early = jwt.encode({"alg": "HS256"}, {**claims, "use": "complete"}, key)
    assert problem(uploader.deploy(assets={"jwt": early})) == (400, 10301)
    complete = uploader.complete({"/a": b"a"})
    with registry._database.write() as work:
        for session in work.query(AssetSession):
            session.expires_at = 1
    assert problem(uploader.deploy(assets={"jwt": complete})) == (400, 10343)
    assert problem(uploader.send(opened["jwt"], {hashed(b"a"): (b"a", None)})) == (401, 10000)
    assert uploader.api.get(uploader.script).status_code == 404


def test_keep_assets(uploader: Uploader, live: Any, settings: Settings) -> None:
    """An upload without assets has none, but for keep_assets; a configuration can be exchanged
    alone; settings and secrets leave them as they are."""
    first = uploader.deploy(assets={"jwt": uploader.complete(SITE), "config": {"base_path": "/x"}})
    assert first.is_success
    had = live()
    assert uploader.deploy(keep_assets=True).json()["result"]["has_assets"] is True
    assert live() == had
    secret = {"name": "S", "type": "secret_text", "text": "s"}
    assert uploader.api.put(f"{uploader.script}/secrets", json=secret).is_success
    assert live() == had
    assert uploader.deploy(
        keep_assets=True, assets={"config": {"not_found_handling": "404-page"}}
    ).is_success
    assert live().manifest == had.manifest
    config = decode_config(Blobs.open(settings).get(f"assetconfig/{live().config}"))
    assert (config.not_found_handling, config.base_path) == ("404-page", "/")
    assert problem(uploader.deploy(assets={"config": {}})) == (400, 10343)
    assert uploader.deploy().json()["result"]["has_assets"] is False
    assert live() is None


def test_binding_needs_assets(uploader: Uploader) -> None:
    """ASSETS is refused where there are none, and taken where there are."""
    bindings = [{"type": "assets", "name": "ASSETS"}]
    assert problem(uploader.deploy(bindings=bindings)) == (400, 10305)
    token = uploader.complete(SITE)
    assert uploader.deploy(bindings=bindings, assets={"jwt": token}).is_success
    shown = uploader.api.get(f"{uploader.script}/bindings").json()["result"]
    assert shown == bindings
    assert problem(uploader.deploy(bindings=bindings)) == (400, 10305)


def test_only_assets(uploader: Uploader, executor: Any) -> None:
    """A Worker needs no code; then none is compiled, and none can be run first."""
    token = uploader.complete(SITE)
    config = {"run_worker_first": True}
    refused = uploader.deploy(code=False, assets={"jwt": token, "config": config})
    assert problem(refused) == (400, 10021)
    deployed = uploader.deploy(code=False, assets={"jwt": token}).json()["result"]
    assert (deployed["has_assets"], deployed["has_modules"]) == (True, False)
    assert not executor.jobs
    assert uploader.api.get(f"{uploader.script}/content").status_code == 404
    assert problem(uploader.deploy(code=False)) == (400, 10021)
    assert uploader.deploy(assets={"jwt": token}).json()["result"]["has_modules"] is True
    assert uploader.api.get(f"{uploader.script}/content").status_code == 200


BAD_CONFIGURATIONS: list[tuple[Any, int]] = [
    *(({"html_handling": "x"}, 10021), ({"not_found_handling": 1}, 10021)),
    *(({"run_worker_first": ["!/a"]}, 10021), ({"run_worker_first": ["a"]}, 10021)),
    *(({"run_worker_first": ["/a", "/a"]}, 10021), ({"run_worker_first": []}, 10021)),
    *(({"run_worker_first": [f"/{n}" for n in range(101)]}, 10021), ({"_headers": 1}, 10021)),
    *(({"run_worker_first": ["/" + "x" * 100]}, 10021), ({"base_path": "x"}, 10021)),
    *(({"base_path": "/a/../b"}, 10021), ([], 10021)),
    ({"_redirects": "/* /index.html 200"}, 100324),
    ({"_redirects": "/ /index"}, 100324),
    ({"_redirects": "\n".join(f"/{n} /x" for n in range(2001))}, 100324),
    ({"_redirects": "\n".join(f"/{n}/* /x" for n in range(101))}, 100324),
    ({"_headers": "\n".join(f"/{n}\n  a: b" for n in range(101))}, 10021),
]


def test_configurations_that_are_refused(uploader: Uploader) -> None:
    """Each with its code, before anything changes."""
    token = uploader.complete(SITE)
    for config, code in BAD_CONFIGURATIONS:
        answer = uploader.deploy(assets={"jwt": token, "config": config})
        assert problem(answer) == (400, code), config
    assert uploader.api.get(uploader.script).status_code == 404
    assert uploader.deploy(assets={"jwt": token, "config": {}}).is_success


def test_rules_of_files(uploader: Uploader, live: Any, settings: Settings) -> None:
    """Good lines are taken; of each other one the upload says why not. No rule sets a field that
    frames a response, or has a line break in it."""
    redirects = """
    # comment
    /a /b
    a2 https://other.test/x 301
    /p/:x/* /q/:splat 308
    /a /c
    /only
    /bad /x 418
    //host /x
    https://abs.test/a /b
    /b //evil.test
    /ext https://other.test/ 200
    /*/* /x
    """
    headers = """
    X-Before: path
    /*
      X-Frame-Options: DENY
      X-Frame-Options: SAMEORIGIN
      ! Cache-Control
      Content-Length: 5
      Transfer-Encoding: chunked
      X-Bad: a\x00b
      Bad name: x
      X-None:
      nonsense
    https://a.test:80/*
      X-Lost: 1
    /:a/:a
      X-Lost: 1
    """
    said = {"_redirects": redirects, "_headers": headers, "html_handling": "none"}
    token = uploader.complete(SITE)
    answer = uploader.deploy(assets={"jwt": token, "config": said})
    warnings = [message["message"] for message in answer.json()["messages"]]
    config = decode_config(Blobs.open(settings).get(f"assetconfig/{live().config}"))
    assert [(rule.source, rule.target, rule.status) for rule in config.static] == [
        ("/a", "/b", 302),
        ("/a2", "https://other.test/x", 301),
        ("//host", "/x", 302),
    ]
    assert [rule.source for rule in config.dynamic] == ["/p/:x/*"]
    (rule,) = config.headers
    assert rule.set == [("x-frame-options", "DENY, SAMEORIGIN")]
    assert rule.unset == ["cache-control"]
    assert sum(text.startswith("_redirects line") for text in warnings) == 7
    assert sum(text.startswith("_headers line") for text in warnings) == 11


def test_collection_under_running_uploads(
    api: httpx.Client,
    executor: Any,
    settings: Settings,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sites of the same few files are uploaded, deployed, deleted and forgotten, while all that
    nobody wants is collected, however young: no deploy finds a file gone, and each site that is
    live is whole. At the end nothing is left."""
    blobs = Blobs.open(settings)
    monkeypatch.setattr(collection, "UPLOAD_MS", -3_600_000)
    ended = threading.Event()

    def collect() -> int:
        deleted = 0
        while not ended.is_set():
            deleted += collection.collect(registry, blobs)
        return deleted

    def work(number: int) -> None:
        random = Random(number)
        pool = [f"file {n} of {number}".encode() * 40 for n in range(4)]
        for _ in range(8):
            uploader = Uploader(api, f"site-{number}")
            files = {f"/{n}": data for n, data in enumerate(random.sample(pool, 3))}
            token = uploader.complete(files, "text/plain")
            assert uploader.deploy(code=False, assets={"jwt": token}).is_success
            namespace = registry.namespaces.find(ACCOUNT, NAMESPACE)
            site = registry.scripts.get(namespace.id, f"site-{number}").version.assets
            assert site is not None
            listed = decode_manifest(blobs.get(f"manifest/{site.manifest}")).files
            assert blobs.get(f"assetconfig/{site.config}")
            for file in listed:
                data = blobs.get(f"asset/{file.stored.blob}")
                assert data is not None
                assert data[: file.stored.size] == files[file.path]
            assert api.delete(uploader.script).is_success
            digests = [site.manifest, *(file.stored.blob for file in listed)]
            with registry._database.write() as session:  # as an hour does
                session.execute(delete(Upload).where(Upload.digest.in_(digests)))

    with ThreadPoolExecutor(4) as threads:
        collector = threads.submit(collect)
        try:
            list(threads.map(work, range(3)))
        finally:
            ended.set()
        deleted = collector.result(60)
    with registry._database.write() as session:
        session.execute(delete(Upload))
    assert deleted + collection.collect(registry, blobs) > 0
    kinds = ("asset", "manifest", "assetconfig")
    assert [key for kind in kinds for key, _ in blobs.entries(kind)] == []


def test_sdk(sdk: Cloudflare, settings: Settings, files: Any) -> None:
    """The official SDK does all of it."""
    manifest = {"/index.html": {"hash": hashed(b"<p>hi"), "size": 5}}
    scripts = sdk.workers_for_platforms.dispatch.namespaces.scripts
    opened = scripts.asset_upload.create(
        "site", account_id=ACCOUNT, dispatch_namespace=NAMESPACE, manifest=manifest
    )
    assert opened is not None
    with_token = sdk.with_options(api_token=opened.jwt)
    uploaded = with_token.workers.assets.upload.create(
        account_id=ACCOUNT,
        base64=True,
        body={hashed(b"<p>hi"): base64.b64encode(b"<p>hi").decode()},
    )
    assert uploaded is not None
    assert uploaded.jwt
    scripts.update(
        "site",
        account_id=ACCOUNT,
        dispatch_namespace=NAMESPACE,
        metadata={"main_module": "worker.py", "assets": {"jwt": uploaded.jwt}},
        files=[("worker.py", HELLO, "text/x-python")],
    )
    assert files()["/index.html"].content_type == "text/html; charset=utf-8"


def test_plain_worker(uploader: Uploader, api: httpx.Client) -> None:
    """A Worker in no namespace has assets by the same steps; a token for one is none for a user
    worker of its name."""
    plain = Uploader(api)
    plain.script = "/workers/scripts/site"
    token = plain.complete(SITE)
    assert problem(uploader.deploy(assets={"jwt": token})) == (400, 10343)
    assert plain.deploy(assets={"jwt": token}).json()["result"]["has_assets"] is True
    assert len(uploader.open(SITE).json()["result"]["buckets"][0]) == 3


class TestQuotas:
    """How many files and bytes a version, and what is live in a namespace, may have."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(
            settings,
            asset_files=3,
            asset_bytes=100,
            namespace_asset_files=5,
            namespace_asset_bytes=150,
        )

    @pytest.mark.parametrize(
        ("files", "said"),
        [
            (
                {f"/{n}": b"a" for n in range(4)},
                "A version would have 4 files of assets; at most 3",
            ),
            ({"/a": b"a" * 101}, "A version would have 101 bytes of assets; at most 100 are"),
            ({"/a": b"a" * 60, "/b": b"a" * 41}, "A version would have 101 bytes"),
        ],
    )
    def test_of_a_version(self, uploader: Uploader, files: Files, said: str) -> None:
        """Refused before a file is sent, with both numbers; as much as is allowed is taken."""
        refused = uploader.open(files)
        assert problem(refused) == (400, 10027)
        assert said in refused.text
        allowed = {"/a": b"a" * 98, "/b": b"b", "/c": b"c"}
        assert uploader.deploy(assets={"jwt": uploader.complete(allowed)}).is_success

    def test_of_a_namespace(self, api: httpx.Client, executor: Any) -> None:
        """What others have live counts, not what the script itself had; at the session, and at the
        deploy of what was uploaded before."""
        one, two = Uploader(api, "one"), Uploader(api, "two")
        full, rest = {"/a": b"a" * 100}, {"/b": b"b" * 50, "/c": b""}
        assert one.deploy(assets={"jwt": one.complete(full)}).is_success
        assert one.deploy(assets={"jwt": one.complete(full)}).is_success
        assert problem(two.open({"/b": b"b" * 51})) == (400, 10027)
        assert two.deploy(assets={"jwt": two.complete(rest)}).is_success
        three = Uploader(api, "three")
        assert problem(three.open({f"/{n}": b"" for n in range(3)})) == (400, 10027)
        assert api.delete(two.script).is_success
        tokens = {each: each.complete(rest) for each in (two, three)}
        assert two.deploy(assets={"jwt": tokens[two]}).is_success
        refused = three.deploy(assets={"jwt": tokens[three]})
        assert problem(refused) == (400, 10027)
        assert "The namespace would have 200 bytes of assets; at most 150" in refused.text
        assert api.get(three.script).status_code == 404
