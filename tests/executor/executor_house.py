"""A whole executor under test: real Valkey, real registry, a real Celery worker as a subprocess."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import redis

from cloister import trial
from cloister.blobs import Blobs
from cloister.broker import celery_message, redis_client
from cloister.bundles import encode_sources
from cloister.embedded import valkey_command
from cloister.languages import RESTRICTED, Language
from cloister.limits import Limits, effective
from cloister.mailbox import wait_for_answer
from cloister.messages import (
    COMPILE_QUEUE,
    COMPILE_TASK,
    DISPATCH_TASK,
    Batch,
    Chunk,
    CompileAnswer,
    CompileJob,
    End,
    Failure,
    Head,
    Invocation,
    Source,
    Trace,
    decode_frame,
    dispatch_queue,
    encode,
    log_list,
    reply_list,
)
from cloister.registry import NewVersion, change_publisher, open_registry
from cloister.registry.names import is_plain
from cloister.secrets import open_cipher
from cloister.settings import Settings

WORKER = (
    *(sys.executable, "-m", "celery", "-A", "executor.app", "worker", "-P", "solo"),
    *(
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        "-Q",
        "compile",
        "-l",
        "WARNING",
    ),
)

ACCOUNT = "a" * 32


def worker(body: str, *, top: str = "") -> str:
    """A worker whose fetch() does this."""
    lines = "\n".join(f"        {line}" for line in body.strip("\n").split("\n"))
    return (
        f"from workers import WorkerEntrypoint, Response, fetch\n{top}\n"
        f"class Default(WorkerEntrypoint):\n    async def fetch(self, request):\n{lines}\n"
    )


class Answer:
    """A response, put together."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.body = b""
        self.failure: Failure | None = None
        self.frames: list[Any] = []

    @property
    def status(self) -> int:
        assert self.head is not None, self.failure
        return self.head.status

    @property
    def headers(self) -> dict[str, str]:
        assert self.head is not None, self.failure
        return dict(self.head.headers)


class House:
    """Everything in one directory."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.directory = directory
        self.settings = Settings(data=str(directory), secret_key="ab" * 32, **settings)
        self.valkey: subprocess.Popen[bytes] | None = None
        self.worker: subprocess.Popen[str] | None = None
        self.output: list[str] = []
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        self.start_valkey()
        self.publisher = change_publisher(self.settings)
        self.registry = open_registry(self.settings, on_change=self.publisher)
        self.registry.accounts.ensure(ACCOUNT, "test")
        self.blobs = Blobs.open(self.settings)
        self.redis = redis_client(self.settings)

    def stop(self) -> None:
        try:
            self.stop_worker()
        finally:
            self.redis.close()
            self.publisher.close()
            self.registry.close()
            self.stop_valkey()

    def start_valkey(self) -> None:
        socket = self.directory / "valkey.sock"
        self.valkey = subprocess.Popen(
            valkey_command(socket, self.directory, append_only=True), stdout=subprocess.DEVNULL
        )
        client = redis.Redis(unix_socket_path=str(socket))
        self.wait_for(lambda: _pings(client))
        client.close()

    def stop_valkey(self) -> None:
        if self.valkey is not None:
            self.valkey.kill()
            self.valkey.wait(10)
            self.valkey = None

    def start_worker(self) -> None:
        environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith("CLOISTER_")
            },
            **_environment(self.settings),
        }
        self.worker = subprocess.Popen(
            WORKER,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self.worker,))
        self._reader.start()

    def _read(self, worker: "subprocess.Popen[str]") -> None:
        assert worker.stdout is not None
        self.output.extend(worker.stdout)

    def stop_worker(self) -> int | None:
        if self.worker is None:
            return None
        self.worker.send_signal(signal.SIGTERM)
        try:
            code = self.worker.wait(20)
        finally:
            self.worker.kill()
            assert self._reader is not None
            self._reader.join(10)
            assert self.worker.stdout is not None
            self.worker.stdout.close()
            self.worker = None
        return code

    def wait_for(self, condition: Any, timeout_s: float = 15) -> Any:
        """Poll until it holds."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if found := condition():
                return found
            if self.worker is not None and self.worker.poll() is not None:
                break
            time.sleep(0.005)
        raise AssertionError("".join(self.output) or "it did not come to be")

    # What the control plane does:

    def namespace(self, name: str, **fields: Any) -> str:
        """Make a namespace; its id."""
        self.registry.namespaces.create(ACCOUNT, name, **fields)
        return self.registry.namespaces.get(ACCOUNT, name).id

    def compile(
        self,
        *sources: tuple[str, str],
        main: str = "worker.py",
        bindings: list[dict[str, Any]] | None = None,
        language: Language = RESTRICTED,
    ) -> tuple[str, CompileAnswer]:
        """Store sources and have them compiled, and tried with these bindings."""
        digest, data = encode_sources([_source(*each) for each in sources])
        self.blobs.put(f"source/{digest}", data)
        job_id = uuid.uuid4().hex
        job = CompileJob(
            id=job_id,
            digest=digest,
            main_module=main,
            reply_to=reply_list(job_id),
            deadline=time.time() + 20,
            environment=trial.seal(open_cipher(self.settings), job_id, bindings or []),
            language=language,
        )
        self.redis.lpush(COMPILE_QUEUE, celery_message(COMPILE_TASK, encode(job), COMPILE_QUEUE))
        return digest, wait_for_answer(self.redis, job.reply_to, job_id, timeout_s=20)

    def deploy(
        self,
        namespace: str,
        name: str,
        source: str,
        *more: tuple[str, str],
        bindings: list[dict[str, Any]] | None = None,
        limits: Limits | None = None,
        compile_first: bool = True,
    ) -> str:
        """Deploy a worker whose main module has that source; its version."""
        sources = ("worker.py", source), *more
        if is_plain(namespace):
            found = self.registry.namespaces.plain(ACCOUNT)
        else:
            found = self.registry.namespaces.get(ACCOUNT, namespace)
        if compile_first:
            digest, answer = self.compile(*sources, language=found.language)
            assert not answer.errors, answer
            assert answer.failure is None, answer
        else:
            digest, data = encode_sources([_source(*each) for each in sources])
            self.blobs.put(f"source/{digest}", data)
        view = self.registry.scripts.put_version(
            found.id,
            name,
            NewVersion(
                digest=digest,
                main_module="worker.py",
                bindings=bindings or [],
                limits=limits or Limits(),
            ),
        )
        return view.version.id

    # What the dispatcher does:

    def invocation(self, namespace: str, script: str, **fields: Any) -> Invocation:
        """An invocation of the live version."""
        route = self.registry.resolve(namespace, script)
        assert route is not None
        limits = fields.pop("limits", None)
        values: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "namespace": namespace,
            "script": script,
            "version": route.version,
            "method": "GET",
            "url": f"http://{script}.localhost/",
            "headers": [("host", f"{script}.localhost")],
            "reply_to": reply_list(uuid.uuid4().hex),
            "deadline": time.time() + 20,
            "limits": effective(self.settings, route.namespace_limits, route.script_limits, limits),
        }
        return Invocation(**{**values, **fields})

    def publish(self, *invocations: Invocation) -> None:
        """Send them as one message."""
        queue = dispatch_queue(invocations[0].namespace)
        batch = encode(Batch(invocations=list(invocations)))
        self.redis.lpush(queue, celery_message(DISPATCH_TASK, batch, queue))

    def call(self, namespace: str, script: str, **fields: Any) -> Answer:
        """Send a request and wait for all of the response."""
        invocation = self.invocation(namespace, script, **fields)
        self.publish(invocation)
        return self.answer(invocation)

    def answer(self, invocation: Invocation, timeout_s: float = 20) -> Answer:
        """All of a response."""
        answer = Answer()
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            popped = self.redis.blpop([invocation.reply_to], timeout=0.5)
            if popped is None:
                continue
            frame = decode_frame(popped[1])
            answer.frames.append(frame)
            match frame:
                case Head():
                    answer.head, answer.body = frame, frame.body
                    if frame.end:
                        return answer
                case Chunk():
                    answer.body += frame.data
                case End():
                    return answer
                case Failure():
                    answer.failure = frame
                    return answer
        raise AssertionError(f"no answer: {answer.frames}\n{''.join(self.output)}")

    def traces(self, namespace: str, script: str, count: int = 1) -> list[Trace]:
        """The last invocation records, once there are so many."""
        key = log_list(namespace, script)
        self.wait_for(lambda: self.redis.llen(key) >= count)
        return [msgspec.json.decode(data, type=Trace) for data in self.redis.lrange(key, 0, -1)]


@contextmanager
def house(directory: Path, **settings: Any) -> Iterator[House]:
    """A house with its worker started."""
    made = House(directory, **settings)
    made.start()
    try:
        made.start_worker()
        yield made
    finally:
        made.stop()


def _source(name: str, text: str) -> Source:
    kind = "text/x-python" if name.endswith(".py") else "text/plain"
    return Source(name=name, content_type=kind, data=text.encode())


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _environment(settings: Settings) -> dict[str, str]:
    default = Settings()
    changed = {}
    for name in Settings.__dataclass_fields__:
        value = getattr(settings, name)
        if value != getattr(default, name):
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            changed[f"CLOISTER_{name.upper()}"] = text
    return changed
