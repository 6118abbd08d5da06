"""What a worker's env and fetch() reach, in a real isolate: KV, other workers, the network."""

import json

import pytest
from executor_house import ACCOUNT, House, worker
from executor_threaded import ThreadedOrigin

from cloister.limits import Limits
from cloister.messages import Outbound
from cloister.outcomes import Outcome


@pytest.fixture
def kv(shared: House, namespace: str) -> dict[str, str]:
    """A KV binding named KV."""
    made = shared.registry.kv.namespaces.create(ACCOUNT, f"kv of {namespace}")
    return {"type": "kv_namespace", "name": "KV", "namespace_id": made.id}


def test_kv(shared: House, namespace: str, kv: dict[str, str]) -> None:
    """Every operation, with metadata and expiration, as the product's binding answers."""
    source = worker(
        """
import json
kv = self.env.KV
await kv.put("a", "text")
await kv.put("b", b"\\x00\\xff", metadata={"m": 1}, expirationTtl=3600)
await kv.put("c", json.dumps({"x": [1, 2]}))
got = await kv.getWithMetadata("b", "arrayBuffer")
out = {
    "a": await kv.get("a"),
    "missing": await kv.get("nope"),
    "json": (await kv.get("c", "json"))["x"],
    "b": bytes(got["value"]).hex(),
    "meta": dict(got["metadata"]),
    "many": dict(await kv.get(["a", "nope"])),
}
await kv.delete("a")
page = await kv.list(prefix="")
out["names"] = [key["name"] for key in page["keys"]]
out["expires"] = "expiration" in page["keys"][0]
out["complete"] = page["list_complete"]
return Response(json.dumps(out))
"""
    )
    shared.deploy(namespace, "kv", source, bindings=[kv])
    answer = shared.call(namespace, "kv")
    assert json.loads(answer.body) == {
        "a": "text",
        "missing": None,
        "json": [1, 2],
        "b": "00ff",
        "meta": {"m": 1},
        "many": {"a": "text", "nope": None},
        "names": ["b", "c"],
        "expires": True,
        "complete": True,
    }


def test_kv_large_values(shared: House, namespace: str, kv: dict[str, str]) -> None:
    """A value larger than a frame's inline part goes both ways as a stream, up to 25 MiB."""
    source = worker(
        """
size = int(request.url.partition("?")[2])
await self.env.KV.put("big", bytes(size))
return Response(str(len(await self.env.KV.get("big", "arrayBuffer"))))
"""
    )
    shared.deploy(namespace, "kv", source, bindings=[kv])
    url = "http://kv.localhost/?"
    assert shared.call(namespace, "kv", url=f"{url}10000000").body == b"10000000"
    answer = shared.call(namespace, "kv", url=f"{url}27000000")
    assert answer.failure is not None
    assert answer.failure.outcome is Outcome.EXCEPTION


@pytest.mark.parametrize(
    "call",
    [
        'put("k", "v", expirationTtl=59)',
        'put("k", "v", expiration=1)',
        'put("k", "v", metadata={"m": "x" * 1100})',
        'put("", "v")',
        'put("..", "v")',
        'put("k" * 513, "v")',
        'get("k", cacheTtl=1)',
        "get([str(n) for n in range(101)])",
        "list(limit=0)",
    ],
)
def test_kv_refusals(shared: House, namespace: str, kv: dict[str, str], call: str) -> None:
    """What the product refuses is refused, as an exception in the worker."""
    source = worker(
        f"""
try:
    await self.env.KV.{call}
except (ValueError, TypeError) as error:
    return Response(str(error), status=400)
return Response("taken")
"""
    )
    shared.deploy(namespace, "kv", source, bindings=[kv])
    answer = shared.call(namespace, "kv")
    assert answer.status == 400, answer.body


def test_kv_operations_are_counted(shared: House, namespace: str, kv: dict[str, str]) -> None:
    """They are subrequests, and the limit is an exception that the worker can catch."""
    source = worker(
        """
done = 0
try:
    for n in range(10):
        await self.env.KV.get("a")
        done += 1
except Exception as error:
    return Response(f"{done} {error}")
return Response("no limit")
"""
    )
    shared.deploy(namespace, "kv", source, bindings=[kv])
    answer = shared.call(namespace, "kv", limits=Limits(subrequests=3))
    assert answer.body == b"3 Too many subrequests."
    assert shared.traces(namespace, "kv")[0].subrequest_count == 3


CALLEE = """
from workers import WorkerEntrypoint, Response

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        text = await request.text()
        return Response(f"callee {request.method} {request.url} {text}", headers={"x-callee": "1"})

    async def add(self, a, b):
        return {"sum": a + b, "props": dict(self.ctx.props or {})}

    async def fail(self):
        raise ValueError("callee says no")

    async def spin(self):
        while True:
            pass

class Other(WorkerEntrypoint):
    async def name(self):
        return "other"
"""


def service(name: str, script: str, **more: object) -> dict[str, object]:
    """A service binding."""
    return {"type": "service", "name": name, "service": script, **more}


def test_service_fetch(shared: House, namespace: str) -> None:
    """Another worker answers in its own isolate, with its own record."""
    shared.deploy(namespace, "callee", CALLEE)
    source = worker(
        """
response = await self.env.SVC.fetch("http://any/path", method="POST", body="data")
return Response(await response.text(), headers={"x-seen": response.headers["x-callee"]})
"""
    )
    shared.deploy(namespace, "caller", source, bindings=[service("SVC", "callee")])
    answer = shared.call(namespace, "caller")
    assert answer.body == b"callee POST http://any/path data"
    assert answer.headers["x-seen"] == "1"
    assert shared.traces(namespace, "callee")[0].outcome is Outcome.OK
    assert shared.traces(namespace, "caller")[0].subrequest_count == 1


def test_service_rpc(shared: House, namespace: str) -> None:
    """Methods take and return values; props and entrypoint are the binding's."""
    shared.deploy(namespace, "callee", CALLEE)
    source = worker(
        """
import json
first = await self.env.SVC.add(2, 3)
return Response(json.dumps([first["sum"], first["props"]["p"], await self.env.OTHER.name()]))
"""
    )
    shared.deploy(
        namespace,
        "caller",
        source,
        bindings=[
            service("SVC", "callee", props={"p": 1}),
            service("OTHER", "callee", entrypoint="Other"),
        ],
    )
    assert json.loads(shared.call(namespace, "caller").body) == [5, 1, "other"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("SVC.fail()", "ValueError: callee says no"),
        ("SVC.nothing()", "TypeError"),
        ("SVC._private()", ""),
        ("GONE.add(1, 2)", "Worker not found."),
        ("SVC.spin()", "CPU time limit"),
    ],
)
def test_service_failures(shared: House, namespace: str, call: str, said: str) -> None:
    """A callee's exception, absence or overrun is an exception in the caller, who lives on."""
    shared.deploy(namespace, "callee", CALLEE, limits=Limits(cpu_ms=50))
    name = call.partition(".")[2] if "_private" in call else None
    expression = f"self.env.{call}" if name is None else 'getattr(self.env.SVC, "_private")()'
    source = worker(
        f"""
try:
    await {expression}
except Exception as error:
    return Response(f"{{type(error).__name__}}: {{error}}")
return Response("no error")
"""
    )
    bindings = [service("SVC", "callee"), service("GONE", "nobody")]
    shared.deploy(namespace, "caller", source, bindings=bindings)
    body = shared.call(namespace, "caller").body.decode()
    assert said in body
    assert body != "no error"


def test_a_streamed_body_through_two_workers(shared: House, namespace: str) -> None:
    """A long response of a callee flows through its caller."""
    stream = """
from workers import WorkerEntrypoint, Response

async def pieces():
    for n in range(40):
        yield bytes(100_000)

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(pieces())
"""
    shared.deploy(namespace, "callee", stream)
    source = worker('return await self.env.SVC.fetch("http://x/")')
    shared.deploy(namespace, "caller", source, bindings=[service("SVC", "callee")])
    assert len(shared.call(namespace, "caller").body) == 4_000_000


def test_workers_that_call_each_other_for_ever(shared: House, namespace: str) -> None:
    """Sixteen deep, then it ends, and the first caller is told."""
    source = worker(
        """
depth = int(request.url.rpartition("/")[2])
try:
    response = await self.env.SELF.fetch(f"http://x/{depth + 1}")
    return Response(await response.text())
except Exception as error:
    return Response(f"{depth} {error}")
"""
    )
    shared.deploy(namespace, "self", source, bindings=[service("SELF", "self")])
    answer = shared.call(namespace, "self", url="http://self.localhost/1")
    assert answer.body == b"16 Worker call depth exceeded"


FETCH = """
try:
    response = await fetch(request.url.partition("?")[2])
except Exception as error:
    return Response(f"{type(error).__name__}: {error}", status=400)
return Response(await response.text(), status=response.status)
"""


def fetching(shared: House, namespace: str, url: str, **more: object) -> tuple[int, str]:
    """What a worker that fetches this URL answers."""
    answer = shared.call(namespace, "fetch", url=f"http://fetch.localhost/?{url}", **more)
    return answer.status, answer.body.decode()


def test_fetch(shared: House, namespace: str, origin: ThreadedOrigin) -> None:
    """A subrequest goes out, follows its redirects, and is in the record."""
    origin.answers["/old"] = lambda *_: (302, {"location": "/new"}, b"")
    origin.answers["/new"] = lambda *_: (200, {}, b"arrived")
    shared.deploy(namespace, "fetch", worker(FETCH))
    assert fetching(shared, namespace, origin.url("/old")) == (200, "arrived")
    trace = shared.traces(namespace, "fetch")[0]
    assert [(one.method, one.url, one.status) for one in trace.subrequests] == [
        ("GET", origin.url("/old"), 302),
        ("GET", origin.url("/new"), 200),
    ]
    assert trace.subrequest_count == 2


def test_fetch_streams_both_ways(shared: House, namespace: str, origin: ThreadedOrigin) -> None:
    """A body larger than a frame goes out and comes back in pieces."""
    origin.answers["/mirror"] = lambda _method, _headers, body: (200, {}, body)
    source = worker(
        f"""
response = await fetch("{origin.url("/mirror")}", method="POST", body=bytes(3_000_000))
return Response(str(len(await response.bytes())))
"""
    )
    shared.deploy(namespace, "fetch", source)
    assert shared.call(namespace, "fetch").body == b"3000000"


def test_fetch_refusals(shared: House, namespace: str, origin: ThreadedOrigin) -> None:
    """Hosts, ports and schemes that are not allowed are exceptions; the worker lives on."""
    shared.deploy(namespace, "fetch", worker(FETCH))
    for url in (
        f"http://10.0.0.1:{origin.port}/",
        f"http://169.254.169.254:{origin.port}/latest/",
        f"http://[::1]:{origin.port}/",
        "http://127.0.0.1:22/",
        f"http://user:pw@127.0.0.1:{origin.port}/",
        f"http://0177.1:{origin.port}/",
        "ftp://127.0.0.1/",
    ):
        status, text = fetching(shared, namespace, url)
        assert status == 400, url
        assert text.startswith(("PermissionError: ", "TypeError: ")), text


def test_fetch_over_the_limit(shared: House, namespace: str, origin: ThreadedOrigin) -> None:
    """A redirect counts as a hop."""
    origin.answers["/loop"] = lambda *_: (302, {"location": "/loop"}, b"")
    shared.deploy(namespace, "fetch", worker(FETCH))
    limits = Limits(subrequests=3)
    _, text = fetching(shared, namespace, origin.url("/loop"), limits=limits)
    assert text.endswith("Too many subrequests.")


def test_a_namespace_own_lists(shared: House, namespace: str, origin: ThreadedOrigin) -> None:
    """What the namespace denies its workers do not reach, from the next request on."""
    origin.answers["/x"] = lambda *_: (200, {}, b"x")
    shared.deploy(namespace, "fetch", worker(FETCH))
    assert fetching(shared, namespace, origin.url("/x"))[0] == 200
    shared.registry.namespaces.update(ACCOUNT, namespace, egress_deny=["127.0.0.1"])
    shared.wait_for(lambda: fetching(shared, namespace, origin.url("/x"))[0] == 400)


OUTBOUND = """
from workers import WorkerEntrypoint, Response, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if "/blocked" in request.url:
            return Response("blocked by policy", status=403)
        if "/fail" in request.url:
            raise ValueError("outbound fails")
        headers = {"x-plan": self.env.plan, "x-method": str(request.method)}
        return await fetch(request.url, method="POST", headers=headers, body=await request.text())
"""


def test_the_outbound_worker(shared: House, namespace: str, origin: ThreadedOrigin) -> None:
    """It gets every fetch(), with its parameters; what it returns is what the tenant gets; its
    own fetch() goes out."""
    origin.answers["/api"] = lambda _m, headers, _b: (200, {}, headers.get("x-plan", "-").encode())
    shared.deploy(namespace, "gate", OUTBOUND)
    shared.deploy(namespace, "fetch", worker(FETCH))
    through = Outbound(namespace=namespace, script="gate", parameters={"plan": "pro"})
    assert fetching(shared, namespace, origin.url("/api"), outbound=through) == (200, "pro")
    assert fetching(shared, namespace, origin.url("/blocked"), outbound=through) == (
        403,
        "blocked by policy",
    )
    assert fetching(shared, namespace, "http://anything.example:99/blocked", outbound=through) == (
        403,
        "blocked by policy",
    )
    status, text = fetching(shared, namespace, origin.url("/fail"), outbound=through)
    assert (status, text) == (400, "ValueError: outbound fails")
    trace = shared.traces(namespace, "fetch", 4)[-1]
    assert [one.status for one in trace.subrequests] == [200]


def test_redirects_go_through_the_outbound_worker_too(
    shared: House, namespace: str, origin: ThreadedOrigin
) -> None:
    """No hop goes round it."""
    gate = """
from workers import WorkerEntrypoint, Response

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/old"):
            return Response("", status=302, headers={"location": "/new"})
        return Response("gate saw " + request.url)
"""
    shared.deploy(namespace, "gate", gate)
    shared.deploy(namespace, "fetch", worker(FETCH))
    through = Outbound(namespace=namespace, script="gate")
    answer = fetching(shared, namespace, "http://far.example/old", outbound=through)
    assert answer == (200, "gate saw http://far.example/new")


def test_a_missing_outbound_worker_lets_nothing_out(
    shared: House, namespace: str, origin: ThreadedOrigin
) -> None:
    """Never bypassed: no outbound worker, no fetch()."""
    origin.answers["/api"] = lambda *_: (200, {}, b"reached")
    shared.deploy(namespace, "fetch", worker(FETCH))
    through = Outbound(namespace=namespace, script="nobody")
    seen = len(origin.seen)
    status, text = fetching(shared, namespace, origin.url("/api"), outbound=through)
    assert (status, text.partition(":")[0]) == (400, "PermissionError")
    assert len(origin.seen) == seen


def test_a_callee_does_not_go_round_the_outbound_worker(
    shared: House, namespace: str, origin: ThreadedOrigin
) -> None:
    """A worker called through a service binding has its caller's outbound worker."""
    origin.answers["/api"] = lambda *_: (200, {}, b"reached")
    shared.deploy(namespace, "fetch", worker(FETCH))
    url = f"http://x/?{origin.url('/blocked')}"
    source = worker(f'return await self.env.SVC.fetch("{url}")')
    shared.deploy(namespace, "caller", source, bindings=[service("SVC", "fetch")])
    shared.deploy(namespace, "gate", OUTBOUND)
    through = Outbound(namespace=namespace, script="gate", parameters={"plan": "pro"})
    assert shared.call(namespace, "caller", outbound=through).body == b"blocked by policy"


def test_the_lists_of_a_namespace_hold_for_its_outbound_worker(
    shared: House, namespace: str, origin: ThreadedOrigin
) -> None:
    """What the tenant's namespace denies, an outbound worker of another one does not fetch for
    it."""
    origin.answers["/api"] = lambda *_: (200, {}, b"reached")
    shared.namespace(f"{namespace}-out")
    shared.deploy(f"{namespace}-out", "gate", OUTBOUND)
    shared.deploy(namespace, "fetch", worker(FETCH))
    through = Outbound(namespace=f"{namespace}-out", script="gate", parameters={"plan": "pro"})
    assert fetching(shared, namespace, origin.url("/api"), outbound=through)[0] == 200
    shared.registry.namespaces.update(ACCOUNT, namespace, egress_deny=["127.0.0.1"])
    shared.wait_for(
        lambda: fetching(shared, namespace, origin.url("/api"), outbound=through)[0] == 400
    )


def test_bindings_that_do_not_exist_here(shared: House, namespace: str) -> None:
    """A type that this platform does not have is refused where it is used."""
    source = worker(
        """
try:
    await self.env.DB.prepare("select 1")
except NotImplementedError as error:
    return Response("refused")
"""
    )
    binding = {"type": "vectorize", "name": "DB", "index_name": "x"}
    shared.deploy(namespace, "db", source, bindings=[binding])
    assert shared.call(namespace, "db").body == b"refused"


def test_a_streamed_body_of_a_refused_fetch(shared: House, namespace: str) -> None:
    """The worker sees the refusal at once, not the wall clock."""
    source = worker(
        """
async def pieces():
    for _ in range(5):
        yield bytes(300_000)
try:
    await fetch("http://10.0.0.1/", method="POST", body=pieces())
except Exception as error:
    return Response(type(error).__name__)
"""
    )
    shared.deploy(namespace, "refused", source)
    answer = shared.call(namespace, "refused", limits=Limits(wall_ms=5_000))
    assert answer.failure is None, answer.failure
    assert answer.body == b"PermissionError"
