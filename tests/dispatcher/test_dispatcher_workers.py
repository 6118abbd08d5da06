"""Dispatch workers of the operator's own, in a real dispatcher."""

import json
from collections.abc import Callable, Iterator

import pytest
from dispatcher_rig import Dispatcher, eventually, serving

from cloister.errors import SettingInvalid
from cloister.messages import Failure
from cloister.outcomes import Outcome
from cloister.registry import OutboundRule
from dispatcher import Headers, Response
from dispatcher.worker import load_worker

HOST = "echo.localhost"


@pytest.fixture(scope="module")
def everything(
    _valkey_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dispatcher]:
    """A dispatcher with the dispatch worker ``Everything``."""
    directory = tmp_path_factory.mktemp("everything")
    url = f"{_valkey_server}?db=2"
    worker = "dispatcher_workers:Everything"
    with serving(url, directory, dispatch_worker=worker) as started:
        started.registry.kv.namespaces.create(started.account_id, "plans-title")
        rule = OutboundRule(namespace="production", script="outbound", parameters=["customer"])
        started.deploy("production", "outbound")
        started.registry.namespaces.update(started.account_id, "production", outbound=rule)
        for script, outcome in (
            ("costly", Outcome.EXCEEDED_CPU),
            ("thrower", Outcome.EXCEPTION),
        ):
            started.play(
                script,
                lambda ex, inv, outcome=outcome: ex.reply(  # type: ignore[misc]
                    inv, Failure(id=inv.id, outcome=outcome, message="ValueError: no")
                ),
            )
        yield started


def test_stub_is_lazy(everything: Dispatcher) -> None:
    """``get`` looks nothing up; a missing worker is an exception on use, catchable."""
    answer = everything.request(HOST, "/lazily")
    assert answer.status == 404
    assert answer.body.startswith(b"Worker not found")


def test_what_is_said_of_a_hostname(everything: Dispatcher) -> None:
    """The metadata of an active custom hostname is on ``cf``, as it is by now, also of one below
    it; other requests have none, and one that is not active serves nothing."""
    hostnames, account = everything.registry.hostnames, everything.account_id
    made = hostnames.create(account, "said.test", metadata={"plan": "pro"}, wildcard=True)

    def said(host: str) -> object:
        answer = everything.request(host, "/said")
        return answer.json()["cf"] if answer.status == 200 else answer.status

    assert said("said.test") == 404
    claim = hostnames.claims.take()
    assert claim is not None
    hostnames.claims.conclude(claim, "proved", [])
    eventually(lambda: said("said.test") == {"hostMetadata": {"plan": "pro"}}, "it is active")
    assert said("shop.said.test") == {"hostMetadata": {"plan": "pro"}}
    assert (said(HOST), said("a.b.said.test")) == ({}, 404)
    hostnames.edit(account, made.id, metadata={"plan": "free"})
    eventually(lambda: said("said.test") == {"hostMetadata": {"plan": "free"}}, "another plan")
    hostnames.discard(account, made.id)
    eventually(lambda: said("said.test") == 404, "the end of it")


def test_limits_in_both_spellings(everything: Dispatcher) -> None:
    """The dispatch call's limits replace the stored ones up to the ceiling; args travel along."""
    seen = everything.request(HOST, "/limits").json()
    assert seen["limits"] == {
        "cpu_ms": 50,
        "subrequests": 5,
        "wall_ms": 900,
        "memory_mb": everything.settings.max_memory_mb,
    }
    assert seen["args"] == {"a": [1]}


def test_limits_that_are_none(everything: Dispatcher) -> None:
    """Unknown names, zero, fractions and booleans are refused when the stub is made."""
    assert len(json.loads(everything.request(HOST, "/bad_limits").body)) == 4


def test_outbound_parameters(everything: Dispatcher) -> None:
    """Declared parameters go to the outbound worker of the rule; others are an error."""
    assert everything.request(HOST, "/outbound").json()["outbound"] == {
        "namespace": "production",
        "script": "outbound",
        "parameters": {"customer": "c1"},
    }
    assert (
        everything.request(HOST, "/undeclared").body == b"outbound parameters not declared: other"
    )


def test_outbound_worker_of_the_call(everything: Dispatcher) -> None:
    """``outbound_worker`` names another script, with a rule or without one."""
    seen = everything.request("echo.staging.localhost", "/other_outbound").json()
    assert seen["outbound"] == {"namespace": "staging", "script": "guard", "parameters": {"x": 1}}


def test_other_namespace(everything: Dispatcher) -> None:
    """A stub may name another namespace than the one that routing found."""
    assert everything.request(HOST, "/elsewhere").json()["namespace"] == "staging"


def test_request_and_response_may_be_rewritten(everything: Dispatcher) -> None:
    """Another URL, method, headers and body go out; the response is changed on its way back."""
    answer = everything.request(HOST, "/rewritten", method="POST", body=b"old")
    assert answer.status == 202
    assert answer["x-added"] == "PUT"
    seen = answer.json()
    assert (seen["url"], seen["text"]) == ("https://inside.example/x?y", "new")


def test_two_invocations_of_one_request(everything: Dispatcher) -> None:
    """A dispatch worker may call several workers at once, each under an id of its own."""
    answer = everything.request(HOST, "/twice", method="POST", body=b"abc")
    assert [seen["text"] for seen in json.loads(answer.body)] == ["abc", "abc"]
    ids = {item.id for item in everything.executor.invocations("echo")[-2:]}
    assert len(ids) == 2


def test_own_stream(everything: Dispatcher) -> None:
    """A dispatch worker may answer with a stream of its own, from a body that streams in."""
    answer = everything.request(HOST, "/streamed", method="POST", body=b"abc" * 200_000)
    assert answer.body == b"ABC" * 200_000


def test_environment(everything: Dispatcher) -> None:
    """``env`` has the declared variables and KV namespaces; routing's result is on the request."""
    assert everything.request(HOST, "/environment").json() == {
        "greeting": "hello",
        "value": "v",
        "missing": None,
        "keys": ["k"],
        "worker": "echo",
        "namespace": "production",
    }


def test_limit_exception(everything: Dispatcher) -> None:
    """The CPU limit is an exception whose message platforms know."""
    answer = everything.request(HOST, "/limited")
    assert answer.status == 429
    assert b"CPU time limit" in answer.body


def test_tenants_exception(everything: Dispatcher) -> None:
    """The dispatch worker, and only it, sees the message of the tenant's exception."""
    assert everything.request(HOST, "/threw").body == b"WorkerThrew: ValueError: no"


def test_uncaught_limit(everything: Dispatcher) -> None:
    """What the dispatch worker does not catch becomes the page of the outcome."""
    answer = everything.request(HOST, "/uncaught")
    assert answer.status == 503
    assert b"1102" in answer.body


@pytest.mark.parametrize("path", ["/bug", "/nothing", "/splitting", "/unknown"])
def test_bugs_of_the_dispatch_worker(everything: Dispatcher, path: str) -> None:
    """Its own exceptions, and answers that are no response, are 1101 and in the operator's log."""
    answer = everything.request(HOST, path)
    assert answer.status == 500
    assert b"1101" in answer.body
    assert b"secret" not in answer.body
    assert answer["x-cloister-request-id"] in everything.log.read_text()
    assert everything.request(HOST, "/limits").status == 200


def test_wait_until(everything: Dispatcher) -> None:
    """Work given to ``ctx.wait_until`` goes on after the response."""
    assert everything.request(HOST, "/later").body == b"now"
    page = everything.registry.kv.namespaces.list(everything.account_id)
    (namespace,) = page.items
    eventually(lambda: everything.registry.kv.get(namespace.id, "later"), "the write")


def test_synchronous_worker(start: Callable[..., Dispatcher]) -> None:
    """A plain ``def fetch`` works, and may return what the stub gives."""
    dispatcher = start(dispatch_worker="dispatcher_workers:Synchronous")
    assert dispatcher.request(HOST, "/own").body == b"own"
    assert dispatcher.request(HOST, "/x").json()["script"] == "echo"
    assert dispatcher.request("absent.localhost").status == 404


def test_example_with_plans(start: Callable[..., Dispatcher]) -> None:
    """examples/plans: the plan in KV decides the limits; failures become 429 and 404."""
    dispatcher = start(dispatch_worker="plans:Plans")
    kv = dispatcher.registry.kv
    namespace = kv.namespaces.create(dispatcher.account_id, "plans").id
    for plan, cpu_ms, subrequests in (("", 10, 5), ("pro", 20, 20), ("enterprise", 50, 50)):
        if plan:
            kv.put(namespace, "echo", plan.encode())
        answer = dispatcher.request(HOST)
        limits = answer.json()["limits"]
        assert answer["x-plan"] == (plan or "free")
        assert (limits["cpu_ms"], limits["subrequests"]) == (cpu_ms, subrequests)  # type: ignore[index]
    dispatcher.play(
        "costly", lambda ex, inv: ex.reply(inv, Failure(id=inv.id, outcome=Outcome.EXCEEDED_CPU))
    )
    assert dispatcher.request("costly.localhost").status == 429
    assert dispatcher.request("absent.localhost").status == 404


@pytest.mark.parametrize(
    "reference",
    ["dispatcher", "no_such_module:X", "dispatcher.default:Nothing", "dispatcher:Headers"],
)
def test_a_worker_that_is_none(reference: str) -> None:
    """A wrong setting is one clear error at start."""
    with pytest.raises(SettingInvalid):
        load_worker(reference)


def test_headers_are_a_mapping() -> None:
    """Names in any case, repeats joined, set replaces, append keeps, delete removes all."""
    headers = Headers([("A", "1"), ("b", "2"), ("a", "3")])
    assert headers["A"] == "1, 3"
    assert headers.get_all("a") == ["1", "3"]
    assert list(headers) == ["a", "b"]
    headers["B"] = "4"
    headers.append("b", "5")
    assert headers.pairs == [("a", "1"), ("a", "3"), ("b", "4"), ("b", "5")]
    del headers["A"]
    assert "a" not in headers
    assert len(headers) == 1
    with pytest.raises(KeyError):
        del headers["a"]


async def test_whole_bodies_may_be_read_again() -> None:
    """Text and bytes may be read twice; a stream only once."""
    response = Response("é")
    assert await response.text() == "é"
    assert await response.bytes() == "é".encode()
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert Response.redirect("/x").headers["location"] == "/x"
