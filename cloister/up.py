"""`cloister up`: everything of one machine, in the foreground.

Order of starting: Valkey (unless a URL names one); the registry's tables and first credentials,
unless an earlier start made them; then an executor, control and dispatcher together; when requests
are served, the greeting, the scheduler and the other executors.
Order of stopping: scheduler, dispatcher and control, which finish the requests they have while the
rest still runs; executors, which have nothing left to do; Valkey last.
"""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from cloister import addresses, credentials, data_directory, greeting, logs
from cloister.credentials import Credentials
from cloister.embedded import valkey_command, valkey_socket, valkey_url
from cloister.messages import COMPILE_QUEUE
from cloister.notices import VARIABLE as NOTIFY_VARIABLE
from cloister.notices import Notices
from cloister.probe import Probe
from cloister.service import Child, Service
from cloister.settings import Settings
from cloister.supervisor import StartFailed, StopRequested, Supervisor, prefixed

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
        line = logs.line_of if settings.log_json else prefixed
        with _output() as write, Supervisor(write, keep_open=[lock], line=line) as supervisor:
            installation = Installation(supervisor, settings)
            try:
                installation.start()
                supervisor.serve()
            except StopRequested:
                installation.stop()
            except StartFailed:
                installation.stop()
                raise
    finally:
        os.close(lock)


class Installation:
    """What runs on this machine, in the order of starting."""

    def __init__(self, supervisor: Supervisor, settings: Settings) -> None:
        self._supervisor = supervisor
        self._settings = settings
        self._environment = {"CLOISTER_DATA": str(settings.data_dir)}
        self._valkey: list[Child] = []
        self._executors: list[Child] = []
        self._fronts: list[Child] = []

    def start(self) -> None:
        """Start everything, and say so.

        Raises:
            StartFailed: something does not start.
        """
        if not self._settings.redis_url:
            self._start_valkey()
        prepared = credentials.kept(self._settings) is not None
        if not prepared:
            self._run("bootstrap", "The registry could not be prepared")
        notices = valkey_socket(self._settings.data_dir).with_name("notify.sock")
        with contextlib.closing(Notices(notices)) as told:
            others = self._start_rooms(notices)
            who = self._wait_until_ready(told)
            if who is None and prepared:
                # The database is another one than last time.
                self._run("bootstrap", "The registry could not be prepared")
                who = self._wait_until_ready(told)
        if who is None:
            raise StartFailed("The API does not know the token in the credentials file.")
        if not greeting.hello_mark(self._settings).exists():
            self._run("hello", "The first worker could not be deployed")
        for line in greeting.message(self._settings, who).splitlines():
            self._supervisor.say(line, "")
        self._supervisor.ready = True
        self._fronts.append(self._supervisor.start(scheduler(self._environment)))
        self._executors += [self._supervisor.start(service) for service in others]

    def stop(self) -> None:
        """Stop everything, in an order in which nothing needs what is gone."""
        self._supervisor.stop([self._fronts, self._executors, self._valkey])

    def _start_valkey(self) -> None:
        path = valkey_socket(self._settings.data_dir)
        self._environment["CLOISTER_REDIS_URL"] = valkey_url(path)
        self._valkey.append(self._supervisor.start(_valkey(self._settings.data_dir, path)))
        if not self._supervisor.wait_until(lambda: _answers(path), within_s=VALKEY_START_S):
            raise StartFailed("The embedded Valkey does not answer.")

    def _start_rooms(self, notices: Path) -> list[Service]:
        """Start what is needed to serve. Returns the executors left: one is enough to begin with,
        and more would slow down the start."""
        first, *others = executors(
            self._settings, {**self._environment, NOTIFY_VARIABLE: str(notices)}
        )
        self._executors.append(self._supervisor.start(first))
        self._fronts += [self._supervisor.start(service) for service in fronts(self._environment)]
        return others

    def _run(self, name: str, failure: str) -> None:
        """Run a module of ours to its end."""
        service = _python(name, "-m", f"cloister.{name}", environment=self._environment, once=True)
        if self._supervisor.run(service):
            raise StartFailed(f"{failure}; the lines above say why.")

    def _wait_until_ready(self, told: Notices) -> Credentials | None:
        """Wait until requests are served. None if the API does not know our token."""
        who = credentials.load(self._settings.data_dir)
        if who is None:
            raise StartFailed(f"{self._settings.data_dir} has no {credentials.FILE_NAME}.")
        api = Probe(f"{who.control_url}/client/v4/user/tokens/verify", api_token=who.api_token)
        front = Probe(f"{who.dispatch_url}/.cloister/readyz")
        awaited = {api.url: api.answered, front.url: front.answered, "executor-1": told.came}
        with contextlib.closing(api), contextlib.closing(front):
            self._supervisor.wait_until(
                lambda: all(ready() for ready in awaited.values()), within_s=READY_S
            )
            for name, ready in awaited.items():
                if not ready():
                    raise StartFailed(f"{name} is not ready after {READY_S:.0f} s.")
        return None if api.status == UNAUTHENTICATED else who


def executors(settings: Settings, environment: dict[str, str]) -> list[Service]:
    """The executors of the Procfile, as services."""
    # Isolates compute, an executor only supervises: one keeps two cores busy.
    count = settings.executor_processes or max(1, (os.cpu_count() or 1) // 2)
    # Celery warns of root because tasks would run as root; tenants' code does not.
    quiet = {**environment, "PYTHONWARNINGS": "ignore:You're running the worker"}
    return [
        _python(f"executor-{number}", *_celery(number), environment=quiet, stop_s=10.0)
        for number in range(1, count + 1)
    ]


def fronts(environment: dict[str, str]) -> list[Service]:
    """What others reach, of the Procfile: control plane and dispatcher."""
    return [
        _python("control", *_gunicorn("control"), environment=environment, stop_s=8.0),
        _python("dispatcher", *_gunicorn("dispatcher"), environment=environment, stop_s=15.0),
    ]


def scheduler(environment: dict[str, str]) -> Service:
    """The scheduler of the Procfile."""
    beat = ("beat", "-S", "scheduler.beat:Beat")
    command = ("-m", "celery", "-q", "-A", "scheduler.app", *beat)
    return _python("scheduler", *command, environment=environment, stop_s=8.0)


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
