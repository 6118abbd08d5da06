"""`cloister up`: everything of one machine, in the foreground.

Order of starting: Valkey (unless a URL names one); the registry's tables and first credentials,
unless an earlier start made them; then executors, control and dispatcher together; when both
addresses answer, the greeting.
Order of stopping: dispatcher and control, which finish the requests they have while the rest still
runs; executors, which have nothing left to do; Valkey last.
"""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from cloister import addresses, credentials, data_directory, greeting
from cloister.credentials import Credentials
from cloister.embedded import valkey_command, valkey_socket, valkey_url
from cloister.errors import NotReady
from cloister.messages import COMPILE_QUEUE
from cloister.probe import Probe
from cloister.service import Child, Service
from cloister.settings import Settings
from cloister.supervisor import StartFailed, StopRequested, Supervisor

VALKEY_START_S = 15.0
READY_S = 60.0

UNAUTHENTICATED = 401


def run(settings: Settings) -> None:
    """Run until a signal stops us.

    Raises:
        NotReady: an address or the data directory is taken, or a service does not start.
    """
    data_directory.prepare(settings.data_dir)
    lock = data_directory.lock(settings.data_dir)
    try:
        addresses.require_free(settings.dispatch_bind, "CLOISTER_DISPATCH_BIND")
        addresses.require_free(settings.control_bind, "CLOISTER_CONTROL_BIND")
        with _output() as write, Supervisor(write, keep_open=[lock]) as supervisor:
            _supervise(supervisor, settings)
    finally:
        os.close(lock)


def _supervise(supervisor: Supervisor, settings: Settings) -> None:
    stages: list[Sequence[Child]] = []
    try:
        _start(supervisor, settings, stages)
        supervisor.serve()
    except StopRequested:
        supervisor.stop(reversed(stages))
    except StartFailed:
        supervisor.stop(reversed(stages))
        raise


def _start(supervisor: Supervisor, settings: Settings, stages: list[Sequence[Child]]) -> None:
    """Start everything; ``stages`` grows with what runs, in the order of starting."""
    shared = {"CLOISTER_DATA": str(settings.data_dir)}
    if not settings.redis_url:
        path = valkey_socket(settings.data_dir)
        shared["CLOISTER_REDIS_URL"] = valkey_url(path)
        valkey = _valkey(settings.data_dir, path)
        stages.append([supervisor.start(valkey)])
        if not supervisor.wait_until(lambda: _answers(path), within_s=VALKEY_START_S):
            raise StartFailed("The embedded Valkey does not answer.")
    prepared = credentials.kept(settings) is not None
    if not prepared:
        _prepare(supervisor, shared)
    for services in rooms(settings, shared):
        stages += [[supervisor.start(service) for service in services]]
    who = _wait_until_ready(supervisor, settings)
    if who is None and prepared:
        # The database is another one than last time.
        _prepare(supervisor, shared)
        who = _wait_until_ready(supervisor, settings)
    if who is None:
        raise StartFailed("The control API does not know the token in the credentials file.")
    if not greeting.hello_mark(settings).exists():
        _run(supervisor, "hello", shared, "The first worker could not be deployed")
    for line in greeting.message(settings, who).splitlines():
        supervisor.write(line)
    supervisor.ready = True


def _prepare(supervisor: Supervisor, shared: dict[str, str]) -> None:
    _run(supervisor, "bootstrap", shared, "The registry could not be prepared")


def _run(supervisor: Supervisor, name: str, shared: dict[str, str], failure: str) -> None:
    service = _python(name, "-m", f"cloister.{name}", environment=shared, once=True)
    if supervisor.run(service):
        raise StartFailed(f"{failure}; the lines above say why.")


def _wait_until_ready(supervisor: Supervisor, settings: Settings) -> Credentials | None:
    """Wait until both addresses answer. None if the API does not know our token."""
    who = credentials.load(settings.data_dir)
    if who is None:
        raise NotReady(f"There is no {credentials.FILE_NAME} in {settings.data_dir}.")
    api = Probe(f"{who.control_url}/client/v4/user/tokens/verify", api_token=who.api_token)
    front = Probe(f"{who.dispatch_url}/.cloister/readyz")
    with contextlib.closing(api), contextlib.closing(front):
        ready = supervisor.wait_until(lambda: api.answered() and front.answered(), within_s=READY_S)
    if not ready:
        silent = front if api.status else api
        raise StartFailed(f"{silent.url} does not answer.")
    return None if api.status == UNAUTHENTICATED else who


def rooms(settings: Settings, environment: dict[str, str]) -> list[list[Service]]:
    """The processes of the Procfile as services, in the order of starting."""
    count = settings.executor_processes or os.cpu_count() or 1
    # Celery warns of root because tasks would run as root; tenants' code does not.
    quiet = {**environment, "PYTHONWARNINGS": "ignore:You're running the worker"}
    executors = [
        _python(f"executor-{number}", *_celery(number), environment=quiet, stop_s=10.0)
        for number in range(1, count + 1)
    ]
    control = _python("control", *_gunicorn("control"), environment=environment, stop_s=8.0)
    dispatcher = _python(
        "dispatcher", *_gunicorn("dispatcher"), environment=environment, stop_s=15.0
    )
    return [executors, [control, dispatcher]]


def _celery(number: int) -> list[str]:
    alone = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    queues = ("-Q", COMPILE_QUEUE)  # those of the namespaces are found at run time
    name = ("-n", f"executor-{number}@%h")
    return [
        "-m",
        "celery",
        "-q",
        "-A",
        "executor.app",
        "worker",
        "-P",
        "solo",
        *queues,
        *name,
        *alone,
    ]


def _gunicorn(room: str) -> list[str]:
    return ["-m", "gunicorn", "-c", f"python:{room}.server", f"{room}.server:app"]


def _python(
    name: str,
    *arguments: str,
    environment: dict[str, str],
    stop_s: float = 5.0,
    once: bool = False,
) -> Service:
    return Service(
        name=name,
        command=(sys.executable, *arguments),
        environment={**environment, "PYTHONUNBUFFERED": "1"},
        stop_s=stop_s,
        once=once,
    )


def _valkey(data_dir: Path, path: Path) -> Service:
    command = [*valkey_command(path, data_dir, append_only=True), "--loglevel", "warning"]
    return Service(name="valkey", command=tuple(command), stop_s=5.0)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(7) == b"+PONG\r\n"
        except OSError:
            return False


@contextlib.contextmanager
def _output() -> Iterator["_Terminal"]:
    terminal = _Terminal()
    yield terminal
    if terminal.broken:
        # Python would complain about the closed pipe when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Terminal:
    """Lines to standard output; whoever read them may have gone."""

    def __init__(self) -> None:
        self.broken = False

    def __call__(self, line: str) -> None:
        if self.broken:
            return
        try:
            click.echo(line)
        except BrokenPipeError:
            self.broken = True
            os.kill(os.getpid(), signal.SIGTERM)
