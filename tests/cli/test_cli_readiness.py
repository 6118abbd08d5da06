"""How `cloister up` finds out that others are ready: by asking, and by being told."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloister import credentials
from cloister.credentials import Credentials
from cloister.notices import VARIABLE, Notices, tell_ready
from cloister.probe import Probe
from cloister.settings import Settings


def _until(ready: Callable[[], bool], within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.005)
    return ready()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        yield listening


def _url(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}/path"


def test_a_probe_never_waits(server: socket.socket) -> None:
    """It has asked, and says at once that there is no answer yet; later it has the status."""
    probe = Probe(_url(server), api_token="secret")
    begun = time.monotonic()
    assert not probe.answered()
    assert not probe.answered()
    assert time.monotonic() - begun < 1
    connection, _ = server.accept()
    with connection:
        asked = connection.recv(4096)
        assert asked.startswith(b"GET /path HTTP/1.1\r\n")
        assert b"\r\nAuthorization: Bearer secret\r\n" in asked
        connection.sendall(b"HTTP/1.1 4")
        assert not probe.answered()
        connection.sendall(b"01 Unauthorized\r\n")
        assert _until(probe.answered)
    assert probe.status == 401


def test_a_probe_asks_again(server: socket.socket) -> None:
    """A server that hangs up, or that is not there yet, is asked again."""
    probe = Probe(_url(server))

    def serve() -> None:
        for answer in (b"", b"HTTP/1.1 200 OK\r\n\r\n"):
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    assert _until(probe.answered)
    thread.join(10)
    assert probe.status == 200
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = _url(free)
    assert not Probe(url).answered()


def test_a_notice_comes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the socket's path says that it is ready; the path is gone afterwards."""
    path = tmp_path / "notify.sock"
    path.touch()  # left behind by a killed start
    told = Notices(path)
    assert not told.came()
    monkeypatch.setenv(VARIABLE, str(path))
    program = "from cloister.notices import tell_ready; tell_ready()"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert told.came()
    assert told.came()
    told.close()
    assert not path.exists()


def test_other_notices_are_not_readiness(tmp_path: Path) -> None:
    """gunicorn and others send a status too."""
    told = Notices(tmp_path / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(b"STATUS=READY=1 soon", str(tmp_path / "notify.sock"))
        assert not told.came()
        client.sendto(b"STATUS=up\nREADY=1\n", str(tmp_path / "notify.sock"))
    assert told.came()
    told.close()


@pytest.mark.parametrize("path", [None, "", "/nowhere/notify.sock", "@cloister-nobody-listens"])
def test_nobody_need_listen(path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a listener the notice is dropped."""
    monkeypatch.delenv(VARIABLE, raising=False)
    if path is not None:
        monkeypatch.setenv(VARIABLE, path)
    tell_ready()


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({}, True),
        ({"api_token": "t" * 40}, True),
        ({"api_token": "u" * 40}, False),
        ({"account_id": "b" * 32}, False),
        ({"control_bind": "127.0.0.1:1"}, False),
        ({"default_namespace": "staging"}, False),
    ],
)
def test_when_an_earlier_start_prepared_all(
    tmp_path: Path, changed: dict[str, str], kept: bool
) -> None:
    """Credentials hold for as long as the settings say the same."""
    assert credentials.kept(Settings(data=str(tmp_path))) is None
    saved = credentials.of(Settings(), "a" * 32, "t" * 40)
    credentials.save(tmp_path, saved)
    found = credentials.kept(Settings(data=str(tmp_path), **changed))
    assert found == (saved if kept else None)
    assert isinstance(saved, Credentials)
