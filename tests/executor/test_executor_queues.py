"""Which queues are consumed, how much is taken, and how the worker starts and ends."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from executor_house import ACCOUNT, WORKER, House, house, worker

from cloister.broker import celery_app, celery_message
from cloister.limits import Limits
from cloister.messages import COMPILE_QUEUE, COMPILE_TASK, DISPATCH_TASK, dispatch_queue
from cloister.outcomes import Outcome
from cloister.settings import Settings
from executor.app import create_app

HELLO = worker('return Response("Hello")')
SLOW = worker('import asyncio\nawait asyncio.sleep(0.5)\nreturn Response("slow")')


@pytest.fixture
def own(tmp_path: Path) -> Iterator[House]:
    """A house of this test's own."""
    with house(tmp_path, blank_isolates=1) as made:
        yield made


def hello(made: House, namespace: str) -> bytes:
    """What the hello worker of a namespace answers."""
    return made.call(namespace, "hello").body


def test_a_new_namespace_is_consumed_at_once(shared: House, namespace: str) -> None:
    """A request to a namespace made a moment ago does not wait for a poll to end."""
    shared.deploy(namespace, "hello", HELLO)
    took = []
    for n in range(3):
        name = f"{namespace}-new-{n}"
        shared.namespace(name)
        shared.deploy(name, "hello", HELLO, compile_first=False)
        started = time.monotonic()
        assert hello(shared, name) == b"Hello"
        took.append(time.monotonic() - started)
    assert min(took) < 0.5, took


def test_a_deleted_namespace_is_left_alone(shared: House, namespace: str) -> None:
    """Its queue is not consumed any more, and others go on."""
    shared.namespace(f"{namespace}-gone")
    shared.deploy(f"{namespace}-gone", "hello", HELLO)
    shared.deploy(namespace, "hello", HELLO)
    invocation = shared.invocation(f"{namespace}-gone", "hello")
    shared.registry.namespaces.delete(ACCOUNT, f"{namespace}-gone")
    queue = dispatch_queue(f"{namespace}-gone")

    def stays() -> bool:
        shared.publish(invocation)
        assert hello(shared, namespace) == b"Hello"
        return bool(shared.redis.llen(queue))

    shared.wait_for(stays)


def test_celery_tells_of_the_worker(shared: House, namespace: str) -> None:
    """It is a Celery worker as any other: `celery inspect` hears from it, also of the queues of
    namespaces that were made while it ran."""
    app = celery_app(shared.settings)
    shared.deploy(namespace, "hello", HELLO)
    assert hello(shared, namespace) == b"Hello"  # it listens: what is said before that is lost
    inspect = app.control.inspect(timeout=10, limit=1)
    (queues,) = inspect.active_queues().values()
    assert {dispatch_queue(namespace), COMPILE_QUEUE} <= {queue["name"] for queue in queues}
    (tasks,) = inspect.registered().values()
    assert {DISPATCH_TASK, COMPILE_TASK} <= set(tasks)
    app.close()


def test_a_restarted_broker(own: House) -> None:
    """After Valkey was killed and came back, old namespaces and new ones are consumed, and compile
    jobs are done (celery issue 7733)."""
    own.namespace("before")
    own.deploy("before", "hello", HELLO)
    own.namespace("static")
    assert hello(own, "before") == b"Hello"
    own.stop_valkey()
    own.start_valkey()
    own.namespace("during")
    own.deploy("during", "hello", HELLO, compile_first=False)
    assert hello(own, "during") == b"Hello"
    assert hello(own, "before") == b"Hello"
    own.namespace("after")
    own.deploy("after", "hello", HELLO + "# new\n")
    assert hello(own, "after") == b"Hello"
    assert own.worker is not None
    assert own.worker.poll() is None


def test_limits_hold_while_the_broker_is_away(own: House) -> None:
    """Waiting for Valkey to come back does not keep the executor from ending who exceeds limits."""
    own.namespace("ns")
    burner = worker("while True:\n    pass")
    own.deploy("ns", "burner", burner, limits=Limits(cpu_ms=1_000, wall_ms=25_000))
    assert own.worker is not None
    invocation = own.invocation("ns", "burner")
    own.publish(invocation)
    own.wait_for(lambda: not own.redis.llen(dispatch_queue("ns")))
    own.stop_valkey()
    family = _family(own.worker.pid)
    own.wait_for(lambda: not all(map(_is_alive, family)))
    own.start_valkey()
    own.deploy("ns", "hello", HELLO, compile_first=False)
    assert hello(own, "ns") == b"Hello"


def test_what_does_not_fit_stays_in_the_queue(tmp_path: Path) -> None:
    """While the executor is full, messages wait in Valkey; new namespaces are seen all the same."""
    with house(tmp_path, executor_concurrency=2, blank_isolates=1) as made:
        made.namespace("busy")
        made.deploy("busy", "slow", SLOW)
        sent = [made.invocation("busy", "slow") for _ in range(6)]
        for invocation in sent:
            made.publish(invocation)
        queue = dispatch_queue("busy")
        made.wait_for(lambda: 0 < made.redis.llen(queue) <= 4)
        made.namespace("other")
        made.deploy("other", "hello", HELLO, compile_first=False)
        assert made.redis.llen(queue) >= 1
        assert hello(made, "other") == b"Hello"
        for invocation in sent:
            assert made.answer(invocation).body == b"slow"


def test_a_named_set_of_namespaces(tmp_path: Path) -> None:
    """An executor given namespaces serves those and no others."""
    with house(tmp_path, executor_namespaces=("mine",), blank_isolates=1) as made:
        for name in ("mine", "theirs"):
            made.namespace(name)
            made.deploy(name, "hello", HELLO)
        left = made.invocation("theirs", "hello")
        made.publish(left)
        assert hello(made, "mine") == b"Hello"
        assert made.redis.llen(dispatch_queue("theirs")) == 1


def test_messages_that_are_none_of_ours(shared: House, namespace: str) -> None:
    """Junk on a queue is dropped, and the next request is served."""
    shared.deploy(namespace, "hello", HELLO)
    queue = dispatch_queue(namespace)
    for task, payload in [
        ("cloister.dispatch", b"junk"),
        ("cloister.compile", b"\x80"),
        ("celery.backend_cleanup", b""),
        ("no.such.task", b""),
        ("cloister.wake", b""),
    ]:
        shared.redis.lpush(queue, celery_message(task, payload, queue))
    assert hello(shared, namespace) == b"Hello"


def test_stopping_lets_requests_finish(tmp_path: Path) -> None:
    """After SIGTERM what runs is answered; then no process is left."""
    with house(tmp_path, blank_isolates=1) as made:
        made.namespace("ns")
        made.deploy("ns", "slow", SLOW)
        invocation = made.invocation("ns", "slow")
        made.publish(invocation)
        made.wait_for(lambda: not made.redis.llen(dispatch_queue("ns")))
        assert made.worker is not None
        family = _family(made.worker.pid)
        assert len(family) > 1
        assert made.stop_worker() == 0
        assert made.answer(invocation).body == b"slow"
        assert not [pid for pid in family if _is_alive(pid)]


def test_stopping_has_an_end(tmp_path: Path) -> None:
    """What does not finish in time is ended, and its client is told."""
    with house(tmp_path, blank_isolates=1) as made:
        made.namespace("ns")
        endless = worker("import asyncio\nawait asyncio.sleep(25)\nreturn Response()")
        made.deploy("ns", "endless", endless, limits=Limits(wall_ms=29_000))
        invocation = made.invocation("ns", "endless")
        made.publish(invocation)
        made.wait_for(lambda: not made.redis.llen(dispatch_queue("ns")))
        assert made.worker is not None
        family = _family(made.worker.pid)
        assert made.stop_worker() == 0
        answer = made.answer(invocation)
        assert answer.failure is not None
        assert answer.failure.outcome is Outcome.INTERNAL
        assert not [pid for pid in family if _is_alive(pid)]


def test_a_killed_executor_leaves_nothing_behind(tmp_path: Path) -> None:
    """kill -9 of the worker takes its zygote and isolates along."""
    with house(tmp_path, blank_isolates=1) as made:
        made.namespace("ns")
        made.deploy("ns", "hello", HELLO)
        assert hello(made, "ns") == b"Hello"
        assert made.worker is not None
        family = _family(made.worker.pid)
        made.worker.send_signal(signal.SIGKILL)
        made.worker.wait(10)
        until = time.monotonic() + 10
        while [pid for pid in family if _is_alive(pid)] and time.monotonic() < until:
            time.sleep(0.01)
        assert not [pid for pid in family if _is_alive(pid)]


def test_a_worker_that_may_not_run_tenants_says_so(tmp_path: Path) -> None:
    """A sandbox that is not admitted: one clear line, exit code not zero, nothing consumed."""
    made = House(tmp_path)
    made.start()
    try:
        made.redis.lpush(dispatch_queue("ns"), b"stays")
        done = subprocess.run(
            WORKER,
            env={
                **os.environ,
                "CLOISTER_DATA": str(tmp_path),
                "CLOISTER_SECRET_KEY": made.settings.secret_key,
                "CLOISTER_SANDBOX_ACCEPT": "no-such-facility",
            },
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode != 0
        lines = [line for line in done.stderr.splitlines() if line.startswith("executor: ")]
        assert len(lines) == 1
        assert "no-such-facility" in lines[0]
        assert "Traceback" not in done.stderr
        assert made.redis.llen(dispatch_queue("ns")) == 1
    finally:
        made.stop()


def test_the_app_needs_no_settings_to_be_imported() -> None:
    """The Celery app is made from the environment alone."""
    app = create_app(Settings())
    assert {"cloister.dispatch", "cloister.compile", "cloister.wake"} <= app.tasks.keys()


def _family(pid: int) -> list[int]:
    """A process and all its descendants."""
    family = [pid]
    for one in family:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            family += [int(child) for child in task.read_text().split()]
    return family


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
