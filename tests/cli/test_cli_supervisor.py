"""The supervisor with small real processes: restarts, order of stopping, nothing left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PREAMBLE = """
import sys
from cloister.service import Child, Service
from cloister.supervisor import StartFailed, StopRequested, Supervisor

def service(name, script, **options):
    return Service(name=name, command=("/bin/sh", "-c", script), **options)

def write(line):
    print(line, flush=True)
"""


def _wait_for(ready: Callable[[], Any], within_s: float = 15.0) -> Any:
    deadline = time.monotonic() + within_s
    while not (value := ready()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


class Program:
    """A program with a supervisor in it. Its processes carry a mark in their environment."""

    def __init__(self, directory: Path, body: str) -> None:
        self.mark = f"SUPERVISED={uuid.uuid4().hex}"
        self.log = directory / "output"
        name, _, value = self.mark.partition("=")
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PREAMBLE + textwrap.dedent(body)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, name: value},
                start_new_session=True,
            )

    def text(self) -> str:
        return self.log.read_text()

    def wait_for(self, text: str) -> None:
        _wait_for(lambda: text in self.text())

    def marked(self) -> dict[int, str]:
        """Live processes of this program, the program included."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if self.mark.encode() not in (entry / "environ").read_bytes():
                    continue
                if (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                    continue
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue
            found[int(entry.name)] = line
        return found

    def pid_of(self, words: str) -> int:
        """Pid of a process of the program whose command line ends with these words."""

        def found() -> list[int]:
            ours = self.process.pid
            return [
                pid for pid, line in self.marked().items() if line.endswith(words) and pid != ours
            ]

        return _wait_for(found)[0]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[[str], Program]]:
    """Run a supervisor program; it and all its processes are gone afterwards."""
    programs = []

    def run(body: str) -> Program:
        programs.append(Program(tmp_path, body))
        return programs[-1]

    yield run
    for program in programs:
        for pid in program.marked():
            os.kill(pid, signal.SIGKILL)
        program.process.wait(10)


SERVE = """
with Supervisor(write) as supervisor:
    child = supervisor.start(service("web", "echo up; exec sleep 1000"))
    supervisor.ready = True
    try:
        supervisor.serve()
    except StopRequested:
        supervisor.stop([[child]])
write("stopped")
"""


def test_output_is_prefixed_line_by_line(supervise: Callable[[str], Program]) -> None:
    """A line that came in pieces is one line; the last one needs no line end."""
    program = supervise("""
    with Supervisor(write) as supervisor:
        script = "printf one; sleep 0.2; printf 'A\\\\ntwo'"
        supervisor.run(service("plain", script, once=True))
        child = supervisor.start(service("web", "echo x; exec sleep 1000"))
        supervisor.wait_until(lambda: False, within_s=0.5)
    """)
    assert program.process.wait(10) == 0
    assert program.text().splitlines() == ["oneA", "two", "web          | x"]


def test_run_returns_the_exit_code(supervise: Callable[[str], Program]) -> None:
    """A service that runs once is not started again, and says how it ended."""
    program = supervise("""
    with Supervisor(write) as supervisor:
        write(supervisor.run(service("once", "exit 3", once=True)))
    """)
    assert program.process.wait(10) == 0
    assert program.text() == "3\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_it(supervise: Callable[[str], Program], number: signal.Signals) -> None:
    """Each of the three signals ends everything, with exit code 0."""
    program = supervise(SERVE)
    program.wait_for("up")
    program.process.send_signal(number)
    assert program.process.wait(10) == 0
    assert program.marked() == {}
    assert program.text().endswith("stopped\n")


def test_a_killed_service_is_started_again(supervise: Callable[[str], Program]) -> None:
    """kill -9 of a service: another takes its place, and the log says so."""
    program = supervise(SERVE)
    first = program.pid_of("sleep 1000")
    os.kill(first, signal.SIGKILL)
    program.wait_for("web ended (signal SIGKILL); starting it again")
    assert _wait_for(lambda: program.pid_of("sleep 1000") != first)


def test_what_a_killed_service_left_is_ended_before_the_next(
    supervise: Callable[[str], Program],
) -> None:
    """Its children would hold its port."""
    program = supervise(SERVE.replace("exec sleep 1000", "sleep 1001 & exec sleep 1000"))
    left = program.pid_of("sleep 1001")
    os.kill(program.pid_of("sleep 1000"), signal.SIGKILL)
    _wait_for(lambda: left not in program.marked())


def test_a_service_that_never_starts_gives_the_start_up(
    supervise: Callable[[str], Program],
) -> None:
    """Three ends before everything was ready once are enough."""
    program = supervise("""
    with Supervisor(write) as supervisor:
        supervisor.start(service("web", "exit 7"))
        try:
            supervisor.serve()
        except StartFailed as exc:
            write(exc)
    """)
    assert program.process.wait(10) == 0
    assert program.text().count("exit code 7") == 3
    assert program.text().endswith("web does not start; its lines above say why.\n")


def test_stages_stop_one_after_the_other(supervise: Callable[[str], Program]) -> None:
    """The second stage gets its signal when the first has ended."""
    program = supervise("""
    def stage(name):
        script = f"trap 'sleep 0.2; echo bye; exit' TERM; echo up; while :; do sleep 0.05; done"
        return service(name, script)

    with Supervisor(write) as supervisor:
        front, back = supervisor.start(stage("front")), supervisor.start(stage("back"))
        supervisor.ready = True
        try:
            supervisor.serve()
        except StopRequested:
            supervisor.stop([[front], [back]])
    """)
    _wait_for(lambda: program.text().count("up") == 2)
    program.process.terminate()
    assert program.process.wait(10) == 0
    goodbyes = [line.split()[0] for line in program.text().splitlines() if "bye" in line]
    assert goodbyes == ["front", "back"]


STUBBORN = """
with Supervisor(write) as supervisor:
    script = "trap '' TERM; echo up; while :; do sleep 0.05; done"
    child = supervisor.start(service("deaf", script, stop_s={stop_s}))
    supervisor.ready = True
    try:
        supervisor.serve()
    except StopRequested:
        write("stopping")
        supervisor.stop([[child]])
"""


def test_a_service_that_does_not_stop_is_killed(supervise: Callable[[str], Program]) -> None:
    """At its deadline."""
    program = supervise(STUBBORN.format(stop_s=0.3))
    program.wait_for("up")
    program.process.terminate()
    assert program.process.wait(5) == 0
    assert "deaf did not stop in time; killing it" in program.text()
    assert program.marked() == {}


def test_a_second_signal_kills_at_once(supervise: Callable[[str], Program]) -> None:
    """Whoever presses Ctrl-C twice does not want to wait."""
    program = supervise(STUBBORN.format(stop_s=600))
    program.wait_for("up")
    program.process.terminate()
    program.wait_for("stopping")
    program.process.terminate()
    assert program.process.wait(5) == 0
    assert program.marked() == {}


def test_a_killed_supervisor_leaves_nothing(supervise: Callable[[str], Program]) -> None:
    """The guard ends what does not notice: here a service deaf to SIGTERM, and its child."""
    program = supervise(STUBBORN.format(stop_s=600))
    program.wait_for("up")
    program.process.kill()
    program.process.wait(10)
    _wait_for(lambda: program.marked() == {})


def test_a_killed_guard_is_replaced_and_knows_everything(
    supervise: Callable[[str], Program],
) -> None:
    """Also services that were started before it."""
    program = supervise(STUBBORN.format(stop_s=600))
    program.wait_for("up")
    first = program.pid_of("cloister.guard")
    os.kill(first, signal.SIGKILL)
    _wait_for(lambda: program.pid_of("cloister.guard") != first)
    program.process.kill()
    program.process.wait(10)
    _wait_for(lambda: program.marked() == {})


def test_an_orphan_that_left_its_session_is_ended(supervise: Callable[[str], Program]) -> None:
    """A grandchild in a session of its own, whose parent has gone, is still ours to end."""
    program = supervise(SERVE.replace("exec sleep 1000", "setsid sleep 1002 & exec sleep 1000"))
    program.pid_of("sleep 1002")
    program.process.terminate()
    assert program.process.wait(10) == 0
    assert program.marked() == {}
