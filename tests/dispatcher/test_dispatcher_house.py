"""The dispatcher's own pages, trusted proxies, and starting with wrong settings."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dispatcher_rig import Dispatcher, eventually, serving


@pytest.mark.parametrize("host", ["localhost", "echo.localhost", "anything.example.com", "[::1]"])
def test_health_on_any_host(dispatcher: Dispatcher, host: str) -> None:
    """Health and readiness answer on every host, and no worker can take their place."""
    assert dispatcher.request(host, "/.cloister/healthz").body == b"ok\n"
    assert dispatcher.request(host, "/.cloister/readyz").status == 200
    assert dispatcher.request(host, "/.cloister/unknown").status == 404


@pytest.mark.parametrize(
    "target",
    [
        *(
            "//.cloister/healthz",
            "/%2ecloister/healthz",
            "/%2Ecloiste%72/healthz",
            "/.CLOISTER/healthz",
        ),
        *("/./.cloister/healthz", "/x/../.cloister/healthz", "/%2f.cloister%2fhealthz"),
        *("/\\.cloister\\healthz", "http://echo.localhost/.cloister/healthz"),
        *("HTTP://echo.localhost//.cloister/healthz",),
    ],
)
def test_health_in_every_spelling(dispatcher: Dispatcher, target: str) -> None:
    """No spelling that a proxy or a browser may make of the path gets a worker's answer."""
    before = len(dispatcher.executor.invocations("echo"))
    assert dispatcher.request("echo.localhost", target).body == b"ok\n"
    assert len(dispatcher.executor.invocations("echo")) == before


@pytest.mark.parametrize("target", ["/.cloister", "/.cloister/", "http://echo.localhost/.cloister"])
def test_the_bare_prefix_is_nobodys(dispatcher: Dispatcher, target: str) -> None:
    """What has no page of ours is not found; it does not fall through to a worker."""
    assert dispatcher.request("echo.localhost", target).status == 404


@pytest.mark.parametrize(
    "target", ["/.cloisters", "/.well-known/x", "/a/.cloister/healthz", "/%252ecloister/x", "//a"]
)
def test_other_paths_are_the_workers(dispatcher: Dispatcher, target: str) -> None:
    """What only resembles the reserved prefix reaches the worker as it was sent."""
    url = dispatcher.request("echo.localhost", target).json()["url"]
    assert url == f"http://echo.localhost{target}"


def test_metrics(dispatcher: Dispatcher) -> None:
    """Requests by namespace and outcome, latency, requests under way; unknown names make no
    series."""
    dispatcher.request("echo.localhost")
    for n in range(5):
        dispatcher.request(f"x.nonsense{n}.localhost")
    text = dispatcher.request("localhost", "/.cloister/metrics").body.decode()
    assert 'cloister_requests_total{namespace="production",outcome="ok"}' in text
    assert 'cloister_requests_total{namespace="",outcome="scriptNotFound"}' in text
    assert "nonsense" not in text
    assert "cloister_requests_in_flight 0.0" in text
    assert "cloister_request_seconds_bucket" in text


def test_metrics_of_several_processes(start: Callable[..., Dispatcher], tmp_path: Path) -> None:
    """Whichever process is asked answers for all, also for one that was killed; at the end no file
    is left."""
    dispatcher = start(dispatcher_processes="2")

    def served() -> float:
        text = dispatcher.request("localhost", "/.cloister/metrics").body.decode()
        _, _, rest = text.partition('cloister_requests_total{namespace="production",outcome="ok"} ')
        is_counted = rest and "cloister_requests_in_flight 0.0" in text
        return float(rest.split()[0]) if is_counted else -1

    for _ in range(20):
        dispatcher.request("echo.localhost")
    eventually(lambda: {served() for _ in range(20)} == {20}, "the same of all")
    files = tmp_path.glob("cloister-metrics-*/gauge_livesum_*.db")
    gauges = {int(file.stem.rpartition("_")[2]): file for file in files}
    del gauges[dispatcher.process.pid]
    pid, file = gauges.popitem()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not file.exists(), "a process less")
    assert served() == 20
    listening = "ASGI server listening"  # gunicorn's workers hear no signal before that
    eventually(lambda: dispatcher.log.read_text().count(listening) == 3, "one in its place")
    dispatcher.process.terminate()
    assert dispatcher.process.wait(20) == 0
    assert list(tmp_path.glob("cloister-metrics-*")) == []


def test_metrics_are_not_for_visitors(dispatcher: Dispatcher) -> None:
    """What comes through a proxy does not see the metrics."""
    answer = dispatcher.request(
        "localhost", "/.cloister/metrics", headers=("X-Forwarded-For: 8.8.8.8",)
    )
    assert answer.status == 404


@pytest.fixture(scope="module")
def behind(_valkey_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dispatcher]:
    """A dispatcher behind a proxy, for small uploads."""
    options = {"trusted_proxies": "127.0.0.0/8,10.0.0.0/8", "request_body_bytes": "1000000"}
    with serving(f"{_valkey_server}?db=5", tmp_path_factory.mktemp("behind"), **options) as started:
        yield started


def test_trusted_proxy_is_believed(behind: Dispatcher) -> None:
    """From a trusted network the forwarded client, scheme and host count; hops that the client
    invented do not."""
    seen = behind.request(
        "inner.example",
        "/x",
        headers=(
            "X-Forwarded-For: 6.6.6.6, 9.9.9.9, junk, 10.1.1.1",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: echo.staging.localhost",
        ),
    ).json()
    headers = dict(seen["headers"])  # type: ignore[attr-defined]
    assert seen["namespace"] == "staging"
    assert seen["url"] == "https://echo.staging.localhost/x"
    assert headers["host"] == "echo.staging.localhost"
    assert headers["cf-connecting-ip"] == headers["x-real-ip"] == "9.9.9.9"
    assert headers["x-forwarded-for"] == "6.6.6.6, 9.9.9.9, 10.1.1.1, 127.0.0.1"
    assert headers["x-forwarded-proto"] == "https"
    bad = ("X-Forwarded-Host: a b",)
    assert behind.request("echo.localhost", headers=bad).status == 400
    odd = ("X-Forwarded-Proto: javascript",)
    assert behind.request("echo.localhost", headers=odd).json()["url"] == "http://echo.localhost/"


def test_body_limit_of_a_chunked_upload(behind: Dispatcher) -> None:
    """A body without a length is cut off at the limit: 413, small or beside the message."""
    behind.play("sink", lambda ex, inv: None)
    chunked = b"POST / HTTP/1.1\r\nHost: sink.localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"186a0\r\n" + b"x" * 100_000 + b"\r\n"
    with behind.client() as client:
        client.send(chunked + chunk * 11)
        assert client.answer().status == 413


def test_start_up_fails_with_one_clear_line(redis_url: str, tmp_path: Path) -> None:
    """A dispatch worker that is none stops the process with a message that names the setting."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLOISTER_")}
    environment = {
        **kept,
        "CLOISTER_DATA": str(tmp_path),
        "CLOISTER_REDIS_URL": redis_url,
        "CLOISTER_DISPATCH_BIND": "127.0.0.1:0",
        "CLOISTER_DISPATCH_WORKER": "dispatcher.default:NoSuchClass",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:dispatcher.server"]
    ended = subprocess.run(
        [*command, "dispatcher.server:app"], env=environment, capture_output=True, timeout=30
    )
    assert ended.returncode != 0
    assert b"CLOISTER_DISPATCH_WORKER='dispatcher.default:NoSuchClass'" in ended.stderr
    assert b"Traceback" not in ended.stderr
