"""Executors that die with requests in their hands: a real dispatcher, real executors, SIGKILL."""

import contextlib
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

ANSWERED_S = 6.0
"""A second of silence, two rounds with a second between them, and time for a busy machine."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dispatcher]:
    """A dispatcher whose fake executor takes nothing: the real ones do."""
    options = {"worker_concurrency": "2", "blank_isolates": "2"}
    directory = tmp_path_factory.mktemp("lost")
    with valkey() as url, serving(url, directory, **options) as started, started.executor.paused():
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
    the deadline."""
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
        with executor(alone, tmp_path / "executor.log") as kill:
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


def test_slowness_is_no_loss(alone: Dispatcher, tmp_path: Path) -> None:
    """A handler that blocks its isolate for longer than any silence is waited for; so is what
    stands behind it in the executor."""
    body = "time.sleep(5 if request.url.endswith('/slow') else 0); return Response('done')"
    alone.deploy_code("blocking", SLOW.format(body=body))
    with contextlib.ExitStack() as stack:
        stack.enter_context(executor(alone, tmp_path / "executor.log"))
        clients = [stack.enter_context(alone.client()) for _ in range(4)]
        started_at = time.monotonic()
        for client, path in zip(clients, (b"/slow", b"/slow", b"/", b"/"), strict=True):
            client.send(b"GET %b HTTP/1.1\r\nHost: blocking.localhost\r\n\r\n" % path)
        assert [client.answer().body for client in clients] == [b"done"] * 4
        assert time.monotonic() - started_at > 5
