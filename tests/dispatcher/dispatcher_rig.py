"""The parts of the dispatcher's tests: a real dispatcher, a fake executor, a raw client."""

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import kombu.serialization
import msgspec
import redis

from cloister.blobs import Blobs
from cloister.broker import celery_app, redis_client
from cloister.bundles import encode_sources
from cloister.embedded import valkey_command, valkey_url
from cloister.limits import NO_LIMITS, Limits
from cloister.messages import (
    EXECUTORS_CHANNEL,
    Alive,
    Ask,
    Batch,
    End,
    Head,
    Invocation,
    Note,
    Source,
    body_list,
    decode_note,
    dispatch_queue,
    encode,
    executor_channel,
)
from cloister.registry import NewVersion, OutboundRule, Registry, change_publisher, open_registry
from cloister.settings import Settings

DEADLINE_S = 20.0
REPOSITORY = Path(__file__).parents[2]
NAMESPACES = ("production", "staging", "trusted")
DISPATCHER = ("gunicorn", "-c", "python:dispatcher.server", "dispatcher.server:app")
Play = Callable[["FakeExecutor", Invocation], None]


def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


@dataclass
class FakeExecutor:
    """Takes Celery messages off the queues as a worker does, and answers by the rule ``play``."""

    client: redis.Redis
    plays: dict[str, Play] = field(default_factory=dict)
    batches: list[list[Invocation]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    id: str = "fake"

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._paused = threading.Event()
        self._resting = threading.Event()
        self._listening = self.client.pubsub(ignore_subscribe_messages=True)
        self._listening.subscribe(EXECUTORS_CHANNEL, executor_channel(self.id))
        self._threads = [threading.Thread(target=t) for t in (self._consume, self._listen)]
        for thread in self._threads:
            thread.start()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Take nothing in this block."""
        self._paused.set()
        assert self._resting.wait(DEADLINE_S)
        yield
        self._paused.clear()
        self._resting.clear()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._listening.close()

    def reply(self, to: Invocation, *frames: object) -> None:
        self.client.rpush(to.reply_to, *(encode(frame) for frame in frames))

    def answer(self, to: Invocation, body: bytes, status: int = 200, **headers: str) -> None:
        pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
        head = Head(id=to.id, status=status, headers=pairs, executor=self.id, body=body, end=True)
        self.reply(to, head)

    def begin(self, to: Invocation, *pairs: tuple[str, str], status: int = 200) -> None:
        self.reply(to, Head(id=to.id, status=status, headers=list(pairs), executor=self.id))

    def end(self, to: Invocation) -> None:
        self.reply(to, End(id=to.id))

    def body(self, of: Invocation) -> bytes:
        """The whole body, from the list if it is streamed."""
        if not of.body_is_streamed:
            return of.body
        return b"".join(self.body_chunks(of))

    def body_chunks(self, of: Invocation) -> Iterator[bytes]:
        while True:
            popped = self.client.blpop([body_list(of.id)], timeout=DEADLINE_S)
            assert popped is not None, "the body never ended"
            if not popped[1]:
                return
            yield popped[1]

    def invocations(self, script: str) -> list[Invocation]:
        """What has come for a script so far."""
        return [item for batch in self.batches for item in batch if item.script == script]

    def _consume(self) -> None:
        queues = [dispatch_queue(name) for name in NAMESPACES]
        while not self._stop.is_set():
            if self._paused.is_set():
                self._resting.set()
                time.sleep(0.01)
                continue
            with contextlib.suppress(redis.ConnectionError):
                popped = self.client.brpop(queues, timeout=0.2)
                if popped is not None:
                    self._take(popped[1])

    def _take(self, data: bytes) -> None:
        message = json.loads(data)
        body = base64.b64decode(message["body"])
        kind, encoding = message["content-type"], message["content-encoding"]
        ((payload,), _, _) = kombu.serialization.loads(body, kind, encoding, accept=[kind])
        batch = msgspec.msgpack.decode(payload, type=Batch).invocations
        self.batches.append(batch)
        for invocation in batch:
            play = self.plays.get(invocation.script, echo)
            threading.Thread(target=play, args=(self, invocation)).start()

    def _listen(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(redis.ConnectionError):
                message = self._listening.get_message(timeout=0.1)
                if message is not None:
                    self._note(decode_note(message["data"]))

    def _note(self, note: Note) -> None:
        if not isinstance(note, Ask):
            self.notes.append(note)
            return
        taken = {item.id for batch in self.batches for item in batch}
        alive = Alive(id=note.id, executor=self.id, ids=sorted(taken & set(note.ids)))
        self.client.rpush(note.reply_to, encode(alive))


def echo(executor: FakeExecutor, invocation: Invocation) -> None:
    """Answer with what came, as JSON."""
    body = executor.body(invocation)
    seen = {
        "namespace": invocation.namespace,
        "script": invocation.script,
        "method": invocation.method,
        "url": invocation.url,
        "headers": invocation.headers,
        "body": len(body),
        "text": body[:100].decode("latin-1"),
        "limits": msgspec.to_builtins(invocation.limits),
        "cf": invocation.cf,
        "args": invocation.args,
        "outbound": msgspec.to_builtins(invocation.outbound),
    }
    executor.answer(invocation, json.dumps(seen).encode(), content_type="application/json")


@dataclass
class RawAnswer:
    """A response as it was on the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def json(self) -> dict[str, object]:
        return dict(json.loads(self.body))


class Client:
    """A raw HTTP/1.1 connection: bytes out, parsed answers in."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def head(self) -> RawAnswer:
        line = self.file.readline()
        assert line.startswith(b"HTTP/1."), f"no response but {line!r}"
        headers = []
        while (field_line := self.file.readline().rstrip(b"\r\n")) != b"":
            name, _, value = field_line.decode("latin-1").partition(": ")
            headers.append((name.lower(), value))
        return RawAnswer(int(line.split()[1]), headers, b"")

    def chunk(self) -> bytes:
        size = int(self.file.readline(), 16)
        data = self.file.read(size)
        assert self.file.read(2) == b"\r\n"
        return data

    def answer(self, method: str = "GET") -> RawAnswer:
        answer = self.head()
        if method == "HEAD" or answer.status in (204, 304) or answer.status < 200:
            return answer
        if answer.all("transfer-encoding"):
            while chunk := self.chunk():
                answer.body += chunk
        elif answer.all("content-length"):
            answer.body = self.file.read(int(answer["content-length"]))
        else:
            answer.body = self.file.read()
        return answer

    def at_end(self) -> bool:
        """Whether the server has closed, cleanly or not, with nothing more to read."""
        try:
            return self.file.read(1) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@dataclass
class Dispatcher:
    """A dispatcher process, its registry and its fake executor."""

    port: int
    values: dict[str, str]
    settings: Settings
    registry: Registry
    executor: FakeExecutor
    process: subprocess.Popen[bytes]
    log: Path
    account_id: str

    def deploy(self, namespace: str, script: str, limits: Limits = NO_LIMITS) -> None:
        view = self.registry.namespace_view(namespace)
        assert view is not None
        version = NewVersion(digest="0" * 64, main_module="main.py", limits=limits)
        self.registry.scripts.put_version(view.id, script, version)

    def deploy_code(self, script: str, code: str, limits: Limits = NO_LIMITS) -> None:
        """Deploy real code, for a real executor."""
        source = Source(name="main.py", content_type="text/x-python", data=code.encode())
        digest, data = encode_sources([source])
        Blobs.open(self.settings).put(f"source/{digest}", data)
        view = self.registry.namespace_view("production")
        assert view is not None
        version = NewVersion(digest=digest, main_module="main.py", limits=limits)
        self.registry.scripts.put_version(view.id, script, version)

    def play(self, script: str, play: Play, namespace: str = "production") -> None:
        """Deploy a script whose invocations are answered by ``play``."""
        self.executor.plays[script] = play
        self.deploy(namespace, script)

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        with contextlib.closing(Client(self.port)) as client:
            yield client

    def raw(self, data: bytes, method: str = "GET") -> RawAnswer:
        with self.client() as client:
            client.send(data)
            return client.answer(method)

    def request(
        self,
        host: str,
        target: str = "/",
        *,
        method: str = "GET",
        headers: tuple[str, ...] = (),
        body: bytes = b"",
    ) -> RawAnswer:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        return self.raw(head.encode("latin-1") + body, method)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def seed(registry: Registry) -> str:
    account = registry.accounts.create("tests")
    for name in NAMESPACES:
        registry.namespaces.create(account.id, name, trusted=name == "trusted")
    return account.id


@contextlib.contextmanager
def valkey() -> Iterator[str]:
    """A server of one's own, by its URL: notes to executors reach all databases of a server."""
    with tempfile.TemporaryDirectory(prefix="cloister-valkey-") as directory:
        path = Path(directory) / "valkey.sock"
        command = valkey_command(path, Path(directory), append_only=False)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            eventually(path.exists, "a socket")
            yield valkey_url(path)
        finally:
            finish(process)


@contextlib.contextmanager
def serving(redis_url: str, directory: Path, **options: str) -> Iterator[Dispatcher]:
    """A dispatcher process with these settings, until the end of the block."""
    port = free_port()
    values = {
        "TMPDIR": str(directory),
        "CLOISTER_DATA": str(directory / "data"),
        "CLOISTER_REDIS_URL": redis_url,
        "CLOISTER_DISPATCH_BIND": f"127.0.0.1:{port}",
        **{f"CLOISTER_{name.upper()}": value for name, value in options.items()},
    }
    settings = Settings.from_env(values)
    celery_app(settings)  # registers the serializer that the fake executor reads with
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(redis_client(settings))
        changes = stack.enter_context(contextlib.closing(change_publisher(settings)))
        registry = open_registry(settings, on_change=changes)
        stack.callback(registry.close)
        account_id = seed(registry)
        executor = stack.enter_context(contextlib.closing(FakeExecutor(client)))
        log = directory / "dispatcher.log"
        process = launch(DISPATCHER, values, log)
        stack.callback(finish, process)
        started = Dispatcher(port, values, settings, registry, executor, process, log, account_id)
        await_ready(started)
        for namespace in NAMESPACES:
            started.deploy(namespace, "echo")
        yield started


def launch(
    command: tuple[str, ...], values: dict[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    """One of our processes, with these settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLOISTER_")}
    path = ":".join(map(str, (REPOSITORY, Path(__file__).parent, REPOSITORY / "examples/plans")))
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**kept, **values, "PYTHONPATH": path},
            stdout=output,
            stderr=output,
        )


def finish(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def await_ready(dispatcher: Dispatcher) -> None:
    def is_ready() -> bool:
        assert dispatcher.process.poll() is None, dispatcher.log.read_text()
        try:
            return dispatcher.request("any", "/.cloister/readyz").status == 200
        except OSError:
            return False

    eventually(is_ready, f"ready\n{dispatcher.log.read_text()}")


def set_outbound(dispatcher: Dispatcher, rule: OutboundRule) -> None:
    """Give the namespace ``production`` an outbound rule."""
    dispatcher.registry.namespaces.update(dispatcher.account_id, "production", outbound=rule)
