"""The real application, registry and Valkey behind a live server; only the compiler is a fake."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import kombu.transport.virtual
import msgspec
import pytest
import redis
from cloudflare import Cloudflare
from control_d1 import FakeDatabases
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from cloister.broker import redis_client
from cloister.databases import DATABASE_QUEUE, DatabaseJob
from cloister.messages import (
    COMPILE_QUEUE,
    CompileAnswer,
    CompileJob,
    Complaint,
    encode,
)
from cloister.registry import Registry, change_publisher, open_registry
from cloister.secrets import open_cipher
from cloister.settings import Settings
from control.app import create_app
from control.compiler import QueueCompiler

ACCOUNT = "a" * 32
OTHER_ACCOUNT = "b" * 32
TOKEN = "test-token-0123456789abcdef"
NAMESPACE = "production"
HELLO = b"from workers import WorkerEntrypoint\n"


@dataclass
class FakeExecutor:
    """Answers compile jobs, and databases', from the real queues, as an executor does; ``refuse``
    scripts it."""

    client: redis.Redis
    databases: FakeDatabases
    jobs: list[CompileJob] = field(default_factory=list)
    answer: CompileAnswer | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._stop.is_set():
            popped = self.client.brpop([COMPILE_QUEUE, DATABASE_QUEUE], timeout=0.2)
            if popped is None:
                continue
            if popped[0] == DATABASE_QUEUE.encode():
                asked = msgspec.msgpack.decode(_payload(popped[1]), type=DatabaseJob)
                self.client.rpush(asked.reply_to, encode(self.databases.answer(asked)))
                continue
            job = msgspec.msgpack.decode(_payload(popped[1]), type=CompileJob)
            self.jobs.append(job)
            good = CompileAnswer(id=job.id, handlers=["fetch"], startup_ms=3)
            answer = msgspec.structs.replace(self.answer or good, id=job.id)
            self.client.rpush(job.reply_to, encode(answer))
        self.databases.close()

    def refuse(self, *complaints: Complaint) -> None:
        self.answer = CompileAnswer(id="", errors=list(complaints))

    def stop(self) -> None:
        self._stop.set()


def _payload(message: bytes) -> bytes:
    envelope = msgspec.json.decode(message)
    assert envelope["headers"]["task"] in ("cloister.compile", "cloister.database")
    body = kombu.transport.virtual.Base64().decode(envelope["body"])
    (payload,), _, _ = msgspec.msgpack.decode(body)
    return payload


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return Settings(data=str(tmp_path / "data"), redis_url=redis_url, secret_key="k" * 64)


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    publisher = change_publisher(settings)
    opened = open_registry(settings, on_change=publisher)
    opened.accounts.ensure(ACCOUNT, "Test")
    opened.accounts.ensure(OTHER_ACCOUNT, "Other")
    opened.tokens.create(ACCOUNT, "test", text=TOKEN)
    opened.namespaces.create(ACCOUNT, NAMESPACE)
    yield opened
    opened.close()
    publisher.close()


@pytest.fixture
def valkey(settings: Settings) -> Iterator[redis.Redis]:
    client = redis_client(settings)
    yield client
    client.close()


@pytest.fixture
def executor(valkey: redis.Redis, registry: Registry, tmp_path: Path) -> Iterator[FakeExecutor]:
    fake = FakeExecutor(valkey, FakeDatabases(registry, tmp_path))
    thread = threading.Thread(target=fake.run)
    thread.start()
    yield fake
    fake.stop()
    thread.join(10)


@pytest.fixture
def stopping() -> threading.Event:
    return threading.Event()


@pytest.fixture
def app(
    settings: Settings, registry: Registry, valkey: redis.Redis, stopping: threading.Event
) -> Flask:
    return create_app(
        settings,
        registry=registry,
        client=valkey,
        compiler=QueueCompiler(valkey, open_cipher(settings), deadline_s=5),
        stopping=stopping.is_set,
    )


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_args: Any) -> None:
        pass


@pytest.fixture
def url(app: Flask, stopping: threading.Event) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    stopping.set()
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def sdk(url: str, executor: FakeExecutor) -> Iterator[Cloudflare]:
    with (
        httpx.Client(trust_env=False) as http,
        Cloudflare(
            api_token=TOKEN, base_url=f"{url}/client/v4", http_client=http, max_retries=0
        ) as client,
    ):
        yield client


@pytest.fixture
def api(url: str) -> Iterator[httpx.Client]:
    """A plain client, at the account of the token."""
    with httpx.Client(
        base_url=f"{url}/client/v4/accounts/{ACCOUNT}",
        headers={"Authorization": f"Bearer {TOKEN}"},
        trust_env=False,
    ) as client:
        yield client


Upload = Callable[..., httpx.Response]


@pytest.fixture
def upload(api: httpx.Client, executor: FakeExecutor) -> Upload:
    """Deploy a one-module worker; keywords go into its metadata."""

    def send(name: str, query: str = "", **metadata: Any) -> httpx.Response:
        said = {"main_module": "worker.py", **metadata}
        return api.put(
            f"/workers/dispatch/namespaces/{NAMESPACE}/scripts/{name}{query}",
            files={
                "metadata": (None, msgspec.json.encode(said), "application/json"),
                "worker.py": ("worker.py", HELLO, "text/x-python"),
            },
        )

    return send


@pytest.fixture
def address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def process(settings: Settings, registry: object, address: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "gunicorn", "-c", "python:control.server"]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CLOISTER")},
        "CLOISTER_DATA": settings.data,
        "CLOISTER_REDIS_URL": settings.redis_url,
        "CLOISTER_SECRET_KEY": settings.secret_key,
        "CLOISTER_CONTROL_BIND": address,
    }
    with subprocess.Popen(
        [*command, "control.server:app"],
        env=environment,
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "Booting worker" in line:
                break
        yield running
        if running.poll() is None:
            running.kill()


@pytest.fixture
def client(process: object, address: str) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"http://{address}/client/v4/accounts/{ACCOUNT}",
        headers={"Authorization": f"Bearer {TOKEN}"},
        trust_env=False,
        timeout=30,
    ) as opened:
        yield opened
