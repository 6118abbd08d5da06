"""What whoever runs it sees: starting, stopping, crashing, starting again."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from acceptance_installation import Account, Up, wait_for

HELLO = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("Hello World!")
"""

Make = Callable[..., Up]


def _pasteable(up: Up) -> list[str]:
    """The lines of the greeting that are there to be pasted."""
    greeting = up.text().partition("Cloister is ready")[2]
    return [line.strip() for line in greeting.splitlines() if line.startswith("  ")]


def test_the_lines_of_the_greeting_can_be_pasted(up: Up, http_client: httpx.Client) -> None:
    """Three lines: calling hello, deploying something new, the dashboard."""
    curl, deploy, dashboard = _pasteable(up)
    shell = {"shell": True, "cwd": up.directory, "env": up.environment, "text": True}
    called = subprocess.run(curl, capture_output=True, check=True, **shell)
    assert called.stdout == "Hello World!"
    deployed = subprocess.run(deploy, capture_output=True, check=True, **shell)
    url = deployed.stdout.split()[-1]
    assert http_client.get(url).text == "Hello World!"
    assert http_client.get(dashboard.split()[-1], follow_redirects=True).status_code == 200


def test_credentials_are_for_our_user_only(up: Up) -> None:
    """The file with the token is mode 0600."""
    mode = (up.data / "credentials.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(another_up: Make, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM or a closed terminal: an end in time, and no process is left."""
    running = another_up().start()
    assert len(running.processes()) > 4
    running.stop(number)
    assert running.processes() == {}
    for port in (running.dispatch_port, running.control_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_signal_during_the_start_stops_everything(another_up: Make) -> None:
    """Ctrl-C before it is ready leaves nothing either."""
    running = another_up().start(ready=False)
    wait_for(lambda: running.pids_of("valkey"), "the first process")
    running.stop()
    assert running.processes() == {}


def test_a_second_start_is_quick_and_keeps_everything(
    another_up: Make, http_client: httpx.Client
) -> None:
    """Deployed workers and the token survive a restart; ready within five seconds."""
    running = another_up().start()
    first = Account(running)
    first.deploy("kept", HELLO)
    first.sdk.close()
    running.stop()
    running.start()
    # CPU time, which other work on the machine changes little: two cores have ten seconds of it.
    assert _cpu_s(running) < 8
    second = Account(running)
    second.sdk.close()
    assert second.token == first.token
    assert http_client.get(second.url("kept")).text == "Hello World!"


def _cpu_s(running: Up) -> float:
    """CPU seconds of all its processes so far, and of those that they started and that ended."""
    stats = [Path(f"/proc/{pid}/stat").read_text() for pid in running.processes()]
    ticks = [sum(map(int, stat.rpartition(")")[2].split()[11:15])) for stat in stats]
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


def test_a_lost_database_is_made_again(another_up: Make) -> None:
    """Whoever deletes the registry gets a new one, with the account and token of before."""
    running = another_up().start()
    first = Account(running)
    first.sdk.close()
    running.stop()
    for file in running.data.glob("registry.db*"):
        file.unlink()
    running.start()
    second = Account(running)
    assert (second.id, second.token) == (first.id, first.token)
    second.deploy("again", HELLO)
    second.sdk.close()
    running.stop()


SLOW = """
import asyncio
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        print("begun")
        await asyncio.sleep(2)
        return Response("finished")
"""


def test_a_stop_waits_for_requests_and_for_nothing_else(another_up: Make) -> None:
    """What is under way is finished; a client that keeps its connection open is not waited for."""
    running = another_up().start()
    account = Account(running)
    account.deploy("slow", SLOW)
    account.sdk.close()
    with httpx.Client(trust_env=False) as idle, ThreadPoolExecutor() as threads:
        assert idle.get(account.url("hello")).status_code == 200
        assert idle.get(f"http://127.0.0.1:{running.control_port}/healthz").status_code == 200
        answer = threads.submit(httpx.get, account.url("slow"), trust_env=False, timeout=30)
        wait_for(lambda: _in_flight(running) == 1, "the request")
        begun = time.monotonic()
        running.stop()
        assert answer.result().text == "finished"
    assert time.monotonic() - begun < 8
    assert running.processes() == {}


def _in_flight(running: Up) -> int:
    """How many requests the dispatcher has, but for this one."""
    metrics = httpx.get(
        f"http://127.0.0.1:{running.dispatch_port}/.cloister/metrics", trust_env=False
    )
    found = re.search(r"^cloister_requests_in_flight (\d+)", metrics.text, re.MULTILINE)
    assert found, metrics.text
    return int(found[1])


def test_a_killed_process_is_replaced(another_up: Make, http_client: httpx.Client) -> None:
    """kill -9 of each process in turn: soon everything answers again, nothing is lost."""
    running = another_up().start()
    account = Account(running)
    account.deploy("survivor", HELLO)

    def serves() -> bool:
        try:
            answer = http_client.get(account.url("survivor"), timeout=5)
        except httpx.HTTPError:
            return False
        return answer.text == "Hello World!"

    for words in (
        ["dispatcher.server"],
        ["control.server"],
        ["executor.app"],
        ["valkey"],
        ["cloister.guard"],
        ["zygote"],
    ):
        victim = running.pids_of(*words)[0]
        os.kill(victim, signal.SIGKILL)
        wait_for(
            lambda words=words, victim=victim: [
                pid for pid in running.pids_of(*words) if pid != victim
            ],
            f"another {words[0]}",
        )
        wait_for(serves, f"an answer after kill -9 of {words[0]}")
    wait_for(lambda: _api_answers(account, http_client), "the control API")
    # Queues that are new since the broker came back are consumed too.
    account.namespaces.create(account_id=account.id, name="late")
    account.deploy("newcomer", HELLO, namespace="late")
    assert http_client.get(account.url("newcomer", namespace="late")).text == "Hello World!"
    account.sdk.close()
    running.stop()
    assert running.processes() == {}


def _api_answers(account: Account, http_client: httpx.Client) -> bool:
    try:
        return http_client.get(
            f"{account.control_url}/client/v4/user/tokens/verify",
            headers={"Authorization": f"Bearer {account.token}"},
        ).is_success
    except httpx.HTTPError:
        return False


def test_a_killed_supervisor_takes_everything_with_it(
    another_up: Make, http_client: httpx.Client
) -> None:
    """kill -9 of `cloister up` itself leaves no process, and the next start keeps everything."""
    running = another_up().start()
    account = Account(running)
    account.deploy("kept", HELLO)
    account.sdk.close()
    os.kill(running.supervisor, signal.SIGKILL)
    running.process.wait(10)
    wait_for(lambda: running.processes() == {}, "the end of every process")
    running.start()
    assert http_client.get(account.url("kept")).text == "Hello World!"


def _refusal(running: Up) -> str:
    """The line that a start which fails ends with."""
    running.start(ready=False)
    assert running.process.wait(30) != 0
    lines = [line for line in running.text().splitlines() if not line.startswith("make:")]
    assert running.processes() == {}
    return lines[-1]


def test_a_taken_port_is_named(another_up: Make) -> None:
    """One line says which address and which setting; nothing is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = _refusal(another_up(CLOISTER_DISPATCH_BIND=address))
    assert address in line
    assert "CLOISTER_DISPATCH_BIND" in line


def test_a_second_up_on_the_same_data_is_refused(up: Up, another_up: Make) -> None:
    """One line says so, and the first goes on."""
    line = _refusal(another_up(CLOISTER_DATA=str(up.data)))
    assert "already running" in line
    assert up.process.poll() is None


def test_a_wrong_setting_is_named(another_up: Make) -> None:
    """A misspelt variable stops the start with its name."""
    assert "CLOISTER_DISPACH_BIND" in _refusal(another_up(CLOISTER_DISPACH_BIND="127.0.0.1:1"))


def test_a_deep_data_directory_works(
    another_up: Make, tmp_path: Path, http_client: httpx.Client
) -> None:
    """A path too long for a unix socket is no obstacle."""
    deep = tmp_path / ("deep" * 20) / ("er" * 30)
    running = another_up(CLOISTER_DATA=str(deep)).start()
    account = Account(running)
    account.sdk.close()
    assert http_client.get(account.url("hello")).text == "Hello World!"
    running.stop()
    assert running.processes() == {}


def test_the_operator_fixes_account_and_token(another_up: Make, http_client: httpx.Client) -> None:
    """The API answers the token and the account id that the environment names."""
    fixed = {"CLOISTER_ACCOUNT_ID": "0123456789abcdef" * 2, "CLOISTER_API_TOKEN": "t" * 40}
    running = another_up(**fixed).start()
    answer = http_client.get(
        f"http://127.0.0.1:{running.control_port}/client/v4/accounts/"
        f"{fixed['CLOISTER_ACCOUNT_ID']}/workers/dispatch/namespaces",
        headers={"Authorization": f"Bearer {fixed['CLOISTER_API_TOKEN']}"},
    )
    assert [item["namespace_name"] for item in answer.json()["result"]] == ["production"]
    running.stop()


def test_tail_shows_an_invocation_as_it_happens(up: Up, http_client: httpx.Client) -> None:
    """`cloister tail` prints the record of a request made while it listens."""
    account = Account(up)
    account.sdk.close()
    program = str(up.directory / ".venv" / "bin" / "cloister")
    tail = subprocess.Popen(
        [program, "tail", "production", "hello", "--format", "json"],
        env={**up.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert tail.stdout is not None
    os.set_blocking(tail.stdout.fileno(), False)

    def record() -> str | None:
        # Called again and again: the tail may not listen yet when the first request is made.
        http_client.get(account.url("hello"))
        return tail.stdout.readline() or None

    try:
        found = json.loads(wait_for(record, "a record"))
    finally:
        tail.terminate()
        tail.wait(10)
        tail.stdout.close()
    assert found["outcome"] == "ok"
    assert found["scriptName"] == "hello"


def test_doctor_reports(up: Up) -> None:
    """`cloister doctor` names the kernel's facilities."""
    report = up.cli("doctor")
    assert "seccomp" in report.stdout.lower()


def test_commands_of_the_cli_work_against_it(up: Up, tmp_path: Path) -> None:
    """Scaffold, deploy, list, tag, delete; what does not exist is one line and an exit code."""
    project = tmp_path / "shop"
    assert up.cli("init", str(project)).returncode == 0
    deployed = up.cli("deploy", str(project), "--tag", "customer-9")
    assert deployed.returncode == 0, deployed.stderr
    listed = up.cli("workers", "list", "--json", "--tags", "customer-9:yes")
    assert [item["id"] for item in json.loads(listed.stdout)] == ["shop"]
    assert up.cli("workers", "tags", "production", "shop").stdout.split() == ["customer-9"]
    assert up.cli("workers", "delete", "production", "shop").returncode == 0
    gone = up.cli("workers", "get", "production", "shop")
    assert gone.returncode != 0
    assert len(gone.stderr.splitlines()) == 1


def test_the_operators_dispatch_worker_decides(another_up: Make, http_client: httpx.Client) -> None:
    """examples/plans: a worker runs under the plan that KV names, from the next request on."""
    plans = {"CLOISTER_DISPATCH_WORKER": "plans:Plans", "PYTHONPATH": "examples/plans"}
    running = another_up(**plans).start()
    account = Account(running)
    store = account.sdk.kv.namespaces.create(account_id=account.id, title="plans")
    assert http_client.get(account.url("hello")).headers["x-plan"] == "free"
    account.sdk.kv.namespaces.values.update(
        "hello", account_id=account.id, namespace_id=store.id, value=b"pro"
    )
    assert http_client.get(account.url("hello")).headers["x-plan"] == "pro"
    assert http_client.get(account.url("nobody")).text == "There is no such site.\n"
    account.sdk.close()
    running.stop()
