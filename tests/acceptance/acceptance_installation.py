"""A fresh clone of this checkout, and `make up` running in it."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from cloudflare import Cloudflare

from cloister.credentials import Credentials

CHECKOUT = Path(__file__).parents[2]
READY = "Cloister is ready"
MARKER = "ACCEPTANCE_RUN"
PYTHON_WORKER = {"compatibility_date": "2026-01-01", "compatibility_flags": ["python_workers"]}


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clone(target: Path) -> None:
    """Copy what git would see of the working tree, uncommitted changes included."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source = CHECKOUT / name
        if source.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


def wait_for(ready: Callable[[], Any], what: str, within_s: float = 30.0) -> Any:
    """The first true value of ``ready()``."""
    deadline = time.monotonic() + within_s
    while not (value := ready()):
        assert time.monotonic() < deadline, f"waited {within_s} s for {what}"
        time.sleep(0.05)
    return value


class Up:
    """One run of `make up`. ``run`` marks its processes, so that leftovers can be found."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self.run = uuid.uuid4().hex
        self.directory = directory
        self.data = directory / ".cloister"
        self.dispatch_port, self.control_port = free_port(), free_port()
        self._added = {
            "CLOISTER_DATA": str(self.data),
            "CLOISTER_DISPATCH_BIND": f"127.0.0.1:{self.dispatch_port}",
            "CLOISTER_CONTROL_BIND": f"127.0.0.1:{self.control_port}",
            "CLOISTER_EXECUTOR_PROCESSES": "1",
            MARKER: self.run,
            **(environment or {}),
        }
        self.log = directory / f"up-{self.run[:6]}.log"
        self.data = Path(self._added["CLOISTER_DATA"])
        self._seen: dict[int, Process] = {}

    @property
    def environment(self) -> dict[str, str]:
        """The tester's environment without Cloister's settings, and this run's own."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("CLOISTER_")}
        for name in ("REDIS_URL", "MAKEFLAGS", "MAKELEVEL", "VIRTUAL_ENV"):
            inherited.pop(name, None)
        return {**inherited, **self._added}

    def start(self, *, ready: bool = True) -> "Up":
        """Start it in a process group of its own, as a shell does; wait until it is ready."""
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                ["make", "up"],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        if ready:
            wait_for(self._is_ready, "make up", 120)
        return self

    def _is_ready(self) -> bool:
        text = self.text()
        assert self.process.poll() is None, f"make up ended:\n{text}"
        return READY in text

    def text(self) -> str:
        """Everything it printed."""
        return self.log.read_text(errors="replace")

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Signal the process group, as a terminal's Ctrl-C does, and wait for the end."""
        self.processes()
        os.killpg(self.process.pid, number)
        self.process.wait(60)

    def kill(self) -> None:
        """Whatever state it is in, leave nothing of it."""
        if self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes(self) -> dict[int, str]:
        """Live processes of this run, by pid: command lines.

        Those with its mark, their descendants (the sandbox clears environments), and what was seen
        of either before and still lives, whoever its parent is by now.
        """
        everything = _everything()
        marker = f"{MARKER}={self.run}".encode()
        found = {pid for pid, one in everything.items() if marker in one.environment}
        found |= {pid for pid, one in self._seen.items() if everything.get(pid) == one}
        while more := {pid for pid, one in everything.items() if one.parent in found} - found:
            found |= more
        self._seen = {pid: everything[pid] for pid in found}
        return {pid: one.line for pid, one in self._seen.items()}

    def pids_of(self, *words: str) -> list[int]:
        """Pids of this run's processes whose command line has all these words, oldest first."""
        return sorted(
            pid for pid, line in self.processes().items() if all(word in line for word in words)
        )

    @property
    def supervisor(self) -> int:
        """Pid of `cloister up` itself."""
        return next(
            pid for pid, line in self.processes().items() if re.search(r"cloister up\s*$", line)
        )

    def credentials(self) -> Credentials:
        """What it wrote for people and the CLI."""
        return msgspec.json.decode((self.data / "credentials.json").read_bytes(), type=Credentials)

    def cli(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command of the clone's own CLI."""
        return subprocess.run(
            [str(self.directory / ".venv" / "bin" / "cloister"), *arguments],
            cwd=options.pop("cwd", self.directory),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **options,
        )


class Account:
    """The official SDK and plain HTTP, pointed at a running installation."""

    def __init__(self, up: Up) -> None:
        who = up.credentials()
        self.id = who.account_id
        self.token = who.api_token
        self.control_url = who.control_url
        self.dispatch_url = who.dispatch_url
        self.sdk = Cloudflare(
            api_token=who.api_token, base_url=f"{who.control_url}/client/v4", max_retries=0
        )
        self.scripts = self.sdk.workers_for_platforms.dispatch.namespaces.scripts
        self.namespaces = self.sdk.workers_for_platforms.dispatch.namespaces

    def deploy(
        self,
        name: str,
        source: str | dict[str, str],
        *,
        namespace: str = "production",
        **metadata: Any,
    ) -> Any:
        """Upload with the SDK, exactly as its documentation shows."""
        modules = {"worker.py": source} if isinstance(source, str) else source
        return self.scripts.update(
            name,
            account_id=self.id,
            dispatch_namespace=namespace,
            metadata={"main_module": next(iter(modules)), **PYTHON_WORKER, **metadata},
            files=[(module, text.encode(), "text/x-python") for module, text in modules.items()],
        )

    def url(self, name: str, path: str = "/", namespace: str = "production") -> str:
        """Address of a worker in path mode."""
        return f"{self.dispatch_url}/{namespace}/{name}{path}"


@dataclass(frozen=True)
class Process:
    """A live process. ``began`` tells it from a later one of the same pid."""

    began: str
    parent: int = field(compare=False)
    line: str = field(compare=False)
    environment: tuple[bytes, ...] = field(compare=False)


def _everything() -> dict[int, Process]:
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            state, parent, *rest = (entry / "stat").read_text().rpartition(")")[2].split()
            if state != "Z":
                found[int(entry.name)] = Process(
                    began=rest[17],
                    parent=int(parent),
                    line=(entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip(),
                    environment=tuple((entry / "environ").read_bytes().split(b"\0")),
                )
    return found
