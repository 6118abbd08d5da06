"""Executors that die with requests in their hands: a real dispatcher, real executors, SIGKILL."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dispatcher_rig import Dispatcher, finish, launch, serving, valkey

EXECUTOR = (
    *("celery", "-A", "executor.app", "worker", "-P", "solo", "-Q", "compile", "-l", "WARNING"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
)

SLOW = """
import asyncio, time
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        {body}
"""

ANSWERED_S = 4.5
"""A second of silence, then two rounds of a second each; and this machine is shared."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dispatcher]:
    """A dispatcher whose fake executor takes nothing: the real ones do."""
    options = {"executor_concurrency": "2", "worker_concurrency": "1", "blank_isolates": "1"}
    with valkey() as url, serving(url, tmp_path_factory.mktemp("lost"), **options) as started:
        started.executor.pause()
        started.deploy_code("hello", SLOW.format(body="return Response('hello')"))
        yield started


@contextlib.contextmanager
def executor(dispatcher: Dispatcher, log: Path) -> Iterator[Callable[[], None]]:
    """A real executor, serving; the value kills it."""
    process = launch(EXECUTOR, dispatcher.values, log)
    try:
        answer = dispatcher.request("hello.localhost")
        assert answer.body == b"hello", log.read_text()
        yield process.kill
    finally:
        if process.poll() is None:
            finish(process)
        process.wait()


def test_the_client_hears_of_a_killed_executor(alone: Dispatcher, tmp_path: Path) -> None:
    """Who waits gets our failure and who reads a stream a broken connection, in seconds and not at
    the deadline; the next executor serves as if nothing had been."""
    alone.deploy_code("waiting", SLOW.format(body="await asyncio.sleep(25)"))
    alone.deploy_code(
        "streaming",
        SLOW.format(
            body="""
        async def parts():
            yield b"first"
            await asyncio.sleep(25)
        return Response(parts())
"""
        ),
    )
    with alone.client() as waiting, alone.client() as streaming:
        with executor(alone, tmp_path / "one.log") as kill:
            waiting.send(b"GET / HTTP/1.1\r\nHost: waiting.localhost\r\n\r\n")
            streaming.send(b"GET / HTTP/1.1\r\nHost: streaming.localhost\r\n\r\n")
            assert streaming.head().status == 200
            assert streaming.chunk() == b"first"
            kill()
            killed_at = time.monotonic()
            answer = waiting.answer()
            assert (answer.status, b"1100" in answer.body) == (500, True)
            assert streaming.at_end()
            assert time.monotonic() - killed_at < ANSWERED_S
    with executor(alone, tmp_path / "two.log"):
        assert alone.request("hello.localhost").status == 200


def test_slowness_is_no_loss(alone: Dispatcher, tmp_path: Path) -> None:
    """A handler that blocks its isolate for longer than any silence is waited for; so is what
    stands behind it, in the executor's memory and in the queue."""
    alone.deploy_code("blocking", SLOW.format(body="time.sleep(3); return Response('done')"))
    answers: list[bytes] = []

    def ask() -> None:
        answers.append(alone.request("blocking.localhost").body)

    with executor(alone, tmp_path / "executor.log"):
        started_at = time.monotonic()
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.monotonic() - started_at
    assert answers == [b"done"] * 3
    assert took_s > 6  # they did wait for one another
