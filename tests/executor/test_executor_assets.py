"""env.ASSETS in a real isolate, and workers with assets behind a service binding."""

import hashlib
import json
from typing import Any

import msgspec
from executor_house import ACCOUNT, House, worker

from cloister.assets import Config, File, Manifest, SiteRef, Stored
from cloister.assets.manifest import encode
from cloister.assets.types import guessed
from cloister.registry import NewVersion

BINDING = {"type": "assets", "name": "ASSETS"}
BIG = bytes(range(256)) * 4_096 * 3
FILES = {"/index.html": b"<h1>front</h1>", "/404.html": b"lost", "/big.bin": BIG}


def site(house: House, files: dict[str, bytes], **config: Any) -> SiteRef:
    """What the control API writes."""
    listed = []
    for path, data in files.items():
        digest = hashlib.sha256(data).hexdigest()
        house.blobs.put(f"asset/{digest}", data)
        listed.append(File(path, "h", Stored(digest, len(data), digest[:32]), guessed(path)))
    manifest, manifest_data = encode(Manifest(listed))
    house.blobs.put(f"manifest/{manifest}", manifest_data)
    digest, config_data = encode(Config(**config))
    house.blobs.put(f"assetconfig/{digest}", config_data)
    return SiteRef(manifest=manifest, config=digest, files=len(listed))


def with_assets(house: House, namespace: str, name: str, source: str | None, **config: Any) -> None:
    """Deploy a worker with these files; without source it is only files."""
    found = house.registry.namespaces.get(ACCOUNT, namespace)
    ref = site(house, FILES, **config)
    if source is None:
        version = NewVersion(digest="0" * 64, main_module="", assets=ref)
        house.registry.scripts.put_version(found.id, name, version)
        return
    house.deploy(namespace, name, source, bindings=[BINDING])
    house.registry.scripts.revise(
        found.id, name, lambda live: msgspec.structs.replace(live, assets=ref)
    )


def test_files_of_the_own_version(shared: House, namespace: str) -> None:
    """Files by any host, html and not-found handling as for visitors, conditions kept; the body
    can be read or passed on, however large it is."""
    source = worker(
        """
assets = self.env.ASSETS
if request.url.endswith("/pass"):
    return await assets.fetch("https://anything.test/big.bin")
front = await assets.fetch("https://x.test/")
moved = await assets.fetch("https://x.test/index.html")
lost = await assets.fetch("https://x.test/nowhere/at/all")
etag = front.headers["etag"]
known = await assets.fetch("https://x.test/", headers={"If-None-Match": etag})
part = await assets.fetch("https://x.test/big.bin", headers={"Range": "bytes=5-9"})
post = await assets.fetch("https://x.test/", method="POST", body="x")
big = await (await assets.fetch("https://x.test/big.bin")).bytes()
out = [await front.text(), front.headers["content-type"], moved.status, moved.headers["location"]]
out += [lost.status, await lost.text(), known.status, part.status, list(await part.bytes())]
out += [post.status, len(big), big[1000]]
return Response(json.dumps(out))
""",
        top="import json",
    )
    with_assets(shared, namespace, "site", source, not_found_handling="404-page")
    answer = shared.call(namespace, "site")
    assert json.loads(answer.body) == [
        *("<h1>front</h1>", "text/html; charset=utf-8", 307, "/", 404, "lost", 304, 206),
        *([5, 6, 7, 8, 9], 405, len(BIG), BIG[1000]),
    ]
    assert shared.call(namespace, "site", url="http://site.localhost/pass").body == BIG
    traces = shared.traces(namespace, "site", 2)
    assert sorted(trace.subrequest_count for trace in traces) == [1, 7]


def test_what_the_binding_is_not(shared: House, namespace: str) -> None:
    """It has no other methods, and no other version's files: without assets it has none."""
    source = worker(
        """
said = []
for ask in (lambda: self.env.ASSETS.get("/index.html"), lambda: self.env.ASSETS.fetch("https://x/")):
    try:
        said.append((await ask()).status)
    except Exception as exc:
        said.append(f"{type(exc).__name__}: {exc}")
return Response(json.dumps(said))
""",
        top="import json",
    )
    shared.deploy(namespace, "bare", source, bindings=[BINDING])
    none, nothing = json.loads(shared.call(namespace, "bare").body)
    assert none.startswith("AttributeError")
    assert nothing == "Exception: This Worker has no assets."


def test_service_with_assets(shared: House, namespace: str) -> None:
    """Behind a service binding a worker's files come first, as for visitors, and it runs for what
    is none; one that is only files has no methods."""
    with_assets(shared, namespace, "callee", worker('return Response("code")'))
    with_assets(shared, namespace, "only", None, not_found_handling="404-page")
    source = worker(
        """
out = []
for name, path in (("CALLEE", "/"), ("CALLEE", "/api"), ("ONLY", "/"), ("ONLY", "/x")):
    response = await getattr(self.env, name).fetch(f"https://any.test{path}")
    out.append([response.status, await response.text()])
try:
    await self.env.ONLY.method()
except Exception as exc:
    out.append(str(exc))
return Response(json.dumps(out))
""",
        top="import json",
    )
    bindings = [
        {"type": "service", "name": name, "service": name.lower()} for name in ("CALLEE", "ONLY")
    ]
    shared.deploy(namespace, "caller", source, bindings=bindings)
    assert json.loads(shared.call(namespace, "caller").body) == [
        *([200, "<h1>front</h1>"], [200, "code"], [200, "<h1>front</h1>"], [404, "lost"]),
        "That Worker has no code, only assets.",
    ]
    assert shared.traces(namespace, "caller", 1)[0].subrequest_count == 5
