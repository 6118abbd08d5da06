"""Deploys, splits and rollbacks under load: real dispatcher, Valkey and executors."""

import contextlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Self

import pytest
from dispatcher_rig import Client, Dispatcher, eventually, finish, launch, serving, valkey

from cloister.blobs import Blobs
from cloister.bundles import encode_sources
from cloister.messages import Source
from cloister.registry import NewVersion
from cloister.registry.rollout import Share

EXECUTOR = (
    *("celery", "-A", "executor.app", "worker", "-P", "solo", "-Q", "compile", "-l", "WARNING"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
)

MODULE = """
NUMBER = {number}
"""

MAIN = """
import asyncio
import part
from workers import Response, WorkerEntrypoint

NUMBER = {number}

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        async def pieces():
            yield f"{{NUMBER}} {{part.NUMBER}} {{self.env.NUMBER}}".encode()
            await asyncio.sleep(0.02)
            import part as again
            yield f" {{again.NUMBER}} {{self.env.NUMBER}} end".encode()
        if request.url.endswith("/stream"):
            return Response(pieces())
        return Response(f"{{NUMBER}} {{part.NUMBER}} {{self.env.NUMBER}} end")
"""

WHOLE = re.compile(rb"(\d+)( \1)+ end")
CLIENTS = 8
ROUNDS = 4


class Platform:
    """A dispatcher with real executors, and a worker of many versions."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.registry = dispatcher.registry
        view = dispatcher.registry.namespace_view("production")
        assert view is not None
        self.namespace = view.id
        self.ids: dict[int, str] = {}

    def version(self, number: int) -> NewVersion:
        """A version all of whose parts say its number."""
        sources = [
            Source(name=name, content_type="text/x-python", data=text.encode())
            for name, text in (
                ("main.py", MAIN.format(number=number)),
                ("part.py", MODULE.format(number=number)),
            )
        ]
        digest, data = encode_sources(sources)
        Blobs.open(self.dispatcher.settings).put(f"source/{digest}", data)
        bindings = [{"name": "NUMBER", "type": "json", "json": number}]
        return NewVersion(digest=digest, main_module="main.py", bindings=bindings)

    def deploy(self, number: int) -> None:
        view = self.registry.scripts.put_version(self.namespace, "busy", self.version(number))
        self.ids[number] = view.version_id

    def split(self, shares: dict[int, float]) -> None:
        versions = [Share(self.ids[number], share) for number, share in shares.items()]
        self.registry.deployments.create(self.namespace, "busy", versions)

    def ask(self) -> int:
        body = self.dispatcher.request("busy.localhost").body
        found = WHOLE.fullmatch(body)
        assert found, body
        return int(found[1])


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Two executors, so that what one knows the other must be told as well."""
    directory = tmp_path_factory.mktemp("rollout")
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(valkey())
        started = stack.enter_context(serving(url, directory, blank_isolates="2"))
        stack.enter_context(started.executor.paused())
        for name in ("one", "two"):
            process = launch(EXECUTOR, started.values, directory / f"{name}.log")
            stack.callback(finish, process)
        made = Platform(started)
        made.deploy(0)
        eventually(lambda: made.ask() == 0, "an executor")
        yield made


class Load:
    """Clients that ask without a pause; what each answer was."""

    def __init__(self, port: int) -> None:
        self.seen: Counter[int] = Counter()
        self.wrong: list[bytes] = []
        self.count = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask, args=(port, index)) for index in range(CLIENTS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def more(self, count: int = 40) -> None:
        """Wait for so many more answers, each of which was asked for from now on."""
        wanted = self.count + count + CLIENTS
        eventually(lambda: self.count >= wanted or self.wrong, f"{count} more answers")

    def _ask(self, port: int, index: int) -> None:
        path = "stream" if index % 2 else "whole"
        request = f"GET /{path} HTTP/1.1\r\nHost: busy.localhost\r\n\r\n".encode()
        with contextlib.closing(Client(port)) as client:
            while not self._stop.is_set():
                try:
                    client.send(request)
                    answer = client.answer()
                except (AssertionError, OSError, ValueError) as exc:
                    self._note(0, repr(exc).encode())
                    return
                self._note(answer.status, answer.body)

    def _note(self, status: int, body: bytes) -> None:
        found = WHOLE.fullmatch(body)
        with self._lock:
            self.count += 1
            if status == 200 and found:
                self.seen[int(found[1])] += 1
            else:
                self.wrong.append(b"%d %b" % (status, body))


def test_no_request_is_lost_or_of_two_versions(platform: Platform) -> None:
    """While clients ask without a pause, versions are deployed, split and rolled back: every answer
    is whole, of one version in all of its parts, and of one that was live."""
    platform.deploy(0)
    eventually(lambda: platform.ask() == 0, "the first version")
    with Load(platform.dispatcher.port) as load:
        load.more()
        for number in range(1, ROUNDS, 2):
            platform.deploy(number)
            load.more()
            platform.deploy(number + 1)
            load.more()
            platform.split({number: 50, number + 1: 50})
            load.more()
            platform.registry.deployments.roll_back(platform.namespace, "busy")
            load.more()
            platform.split({number: 0, number + 1: 100})
            load.more()
    assert load.wrong == []
    assert set(load.seen) == set(range(ROUNDS + 1))


@pytest.mark.parametrize("step", ["deploy", "split", "rollback"])
def test_the_next_request_is_of_what_is_live(platform: Platform, step: str) -> None:
    """Once a change is known, no request gets what was live before."""
    platform.deploy(100)
    platform.deploy(101)
    steps: dict[str, tuple[int, Callable[[], object]]] = {
        "deploy": (102, lambda: platform.deploy(102)),
        "split": (100, lambda: platform.split({100: 100, 101: 0})),
        "rollback": (
            100,
            lambda: platform.registry.deployments.roll_back(platform.namespace, "busy"),
        ),
    }
    expected, change = steps[step]
    change()
    eventually(lambda: platform.ask() == expected, "the change")
    assert {platform.ask() for _ in range(30)} == {expected}
