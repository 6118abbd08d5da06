"""How invocations fail, what the client then sees, and what bounds them."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator

import pytest
from dispatcher_rig import Dispatcher, eventually, serving

from cloister.limits import Limits
from cloister.messages import Failure, dispatch_queue
from cloister.outcomes import ANSWERS, Outcome

FAILURES = [outcome for outcome in ANSWERS if outcome is not Outcome.RESPONSE_DISCONNECTED]


@pytest.mark.parametrize("outcome", FAILURES)
def test_each_outcome_has_its_page(dispatcher: Dispatcher, outcome: Outcome) -> None:
    """Status and code of the table, an id, and nothing of the inside."""
    secret = "/srv/secret Traceback"
    dispatcher.play(
        "failing",
        lambda ex, inv: ex.reply(inv, Failure(id=inv.id, outcome=outcome, message=secret)),
    )
    answer = dispatcher.request("failing.localhost")
    assert answer.status == ANSWERS[outcome].status
    text = answer.body.decode()
    assert str(ANSWERS[outcome].code) in text
    assert answer["x-cloister-request-id"] in text
    assert answer["content-type"] == "text/html; charset=utf-8"
    assert secret not in text
    assert answer.all("retry-after") == (["1"] if outcome is Outcome.OVERLOADED else [])


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("application/json", True),
        ("application/problem+json, */*", True),
        ("text/html,application/json", False),
        ("*/*", False),
    ],
)
def test_pages_in_json(dispatcher: Dispatcher, accept: str, is_json: bool) -> None:
    """Who asks for JSON gets the envelope with code, title and request id."""
    answer = dispatcher.request("absent.localhost", headers=(f"Accept: {accept}",))
    if not is_json:
        assert answer["content-type"].startswith("text/html")
        return
    assert answer["content-type"] == "application/json"
    page = json.loads(answer.body)
    assert page["errors"] == [{"code": 1022, "message": "Worker not found"}]
    assert page["request_id"] == answer["x-cloister-request-id"]


def test_request_id_is_the_invocation_id(dispatcher: Dispatcher) -> None:
    """The id that a visitor reports finds the invocation in the worker's logs."""
    dispatcher.play("ids", lambda ex, inv: ex.answer(inv, inv.id.encode()))
    answer = dispatcher.request("ids.localhost", headers=("X-Cloister-Request-Id: forged",))
    assert answer.body.decode() == answer["x-cloister-request-id"]


def test_stored_limits_are_combined(dispatcher: Dispatcher) -> None:
    """Namespace's and script's limits reach the executor, the tightest of each."""
    dispatcher.registry.namespaces.update(
        dispatcher.account_id, "staging", limits=Limits(cpu_ms=70, subrequests=9)
    )
    dispatcher.deploy("staging", "bounded", Limits(cpu_ms=80, wall_ms=1_234, subrequests=3))
    eventually(
        lambda: (
            dispatcher.request("bounded.staging.localhost").json().get("limits")
            == {"cpu_ms": 70, "memory_mb": 128, "wall_ms": 1_234, "subrequests": 3}
        ),
        "the combined limits",
    )


def test_batches_under_load(dispatcher: Dispatcher) -> None:
    """Many requests at once leave as fewer messages, none of more than 32, and all are answered."""
    before = len(dispatcher.executor.batches)
    answers: list[int] = []

    def run() -> None:
        with dispatcher.client() as client:
            for _ in range(5):
                client.send(b"GET / HTTP/1.1\r\nHost: echo.localhost\r\n\r\n" * 4)
                answers.extend(client.answer().status for _ in range(4))

    threads = [threading.Thread(target=run) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batches = dispatcher.executor.batches[before:]
    assert answers == [200] * 800
    assert sum(map(len, batches)) == 800
    assert max(map(len, batches)) <= 32


@pytest.fixture(scope="module")
def tight(_valkey_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dispatcher]:
    """A dispatcher that lets little wait, and not for long."""
    options = {"namespace_queue": "5", "queue_wait_ms": "300"}
    with serving(f"{_valkey_server}?db=4", tmp_path_factory.mktemp("tight"), **options) as started:
        yield started


def test_nobody_answers(tight: Dispatcher) -> None:
    """Without an executor the client gets 504 when the deadline has passed, not later."""
    tight.play("quick", lambda ex, inv: None)
    tight.deploy("production", "quick", Limits(wall_ms=200))
    answer = tight.request("quick.localhost")
    assert answer.status == 504
    assert b"1105" in answer.body


def test_queue_bound(tight: Dispatcher) -> None:
    """More waiting requests of a namespace than allowed are refused with 503 and Retry-After;
    other namespaces are not concerned, and all goes on when the wait is over."""
    gate = threading.Event()
    tight.play("wait", lambda ex, inv: (gate.wait(20), ex.answer(inv, b""))[1])
    statuses: list[int] = []

    def run() -> None:
        statuses.append(tight.request("wait.localhost").status)

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(tight.executor.invocations("wait")) == 5, "five under way")
    refused = tight.request("wait.localhost")
    assert (refused.status, refused["retry-after"]) == (503, "1")
    assert b"1015" in refused.body
    assert tight.request("echo.staging.localhost").status == 200
    gate.set()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 5
    assert tight.request("wait.localhost").status == 200


def test_queue_does_not_grow_by_clients_that_leave(tight: Dispatcher) -> None:
    """Clients that connect and leave cannot fill the queue while no executor takes from it."""
    with tight.executor.paused():
        for _ in range(60):
            with tight.client() as client:
                client.send(b"GET / HTTP/1.1\r\nHost: echo.localhost\r\n\r\n")
                client.socket.settimeout(0.03)
                with contextlib.suppress(TimeoutError):
                    client.head()
        assert tight.executor.client.llen(dispatch_queue("production")) < 20
    eventually(lambda: tight.request("echo.localhost").status == 200, "served again")


def test_drains_on_termination(start: Callable[..., Dispatcher]) -> None:
    """SIGTERM lets requests under way finish, then the process ends by itself."""
    dispatcher = start()
    gate = threading.Event()
    dispatcher.play("late", lambda ex, inv: (gate.wait(20), ex.answer(inv, b"done"))[1])
    with dispatcher.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: late.localhost\r\n\r\n")
        eventually(lambda: dispatcher.executor.invocations("late"), "the invocation")
        dispatcher.process.terminate()
        eventually(lambda: "Handling signal: term" in dispatcher.log.read_text(), "the signal")
        gate.set()
        assert client.answer().body == b"done"
    assert dispatcher.process.wait(20) == 0
    assert "Traceback" not in dispatcher.log.read_text()


def test_broker_restart(dispatcher: Dispatcher) -> None:
    """Lost connections to the broker are made anew; the next requests are served."""
    assert dispatcher.request("echo.localhost").status == 200
    dispatcher.executor.client.client_kill_filter(_type="normal", skipme=True)
    eventually(lambda: dispatcher.request("echo.localhost").status == 200, "served again")
