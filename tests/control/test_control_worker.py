"""Clients that would keep threads or memory for themselves, against the real server."""

import contextlib
import dataclasses
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from flask import Flask

from control import worker
from control.places import Places
from control.worker import ARRIVING, PacedUnreader, is_here

KV = "/storage/kv/namespaces"
SIGN_IN = (
    b"POST /sign-in HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
)
API = b"PUT /client/v4/accounts/x/storage/kv/namespaces/x/bulk HTTP/1.1\r\nHost: a\r\n"

BEGINNINGS = {
    "nothing": b"",
    "part of a head": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ",
    "part of a form": SIGN_IN + b"Content-Length: 100\r\n\r\ntoken=",
    "a form without its length": SIGN_IN + b"Transfer-Encoding: chunked\r\n\r\n5\r\ntok",
    "a form that is promised": SIGN_IN + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n",
    "part of an upload without a token": API + b"Content-Length: 90000000\r\n\r\n[",
    "a whole request, and nobody who hangs up": b"GET /healthz HTTP/1.0\r\n\r\n",
    "an idle connection": b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
}


@contextlib.contextmanager
def connections(address: str, count: int, beginning: bytes) -> Iterator[list[socket.socket]]:
    host, _, port = address.partition(":")
    opened = []
    try:
        for _ in range(count):
            opened.append(socket.create_connection((host, int(port))))
            opened[-1].sendall(beginning)
        yield opened
    finally:
        for one in opened:
            one.close()


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS.keys())
def test_slow_clients_do_not_stop_the_api(
    client: httpx.Client, address: str, beginning: bytes
) -> None:
    """64 of them, a byte at a time: others are answered as if they were not there."""
    with connections(address, 64, beginning) as slow:
        for _ in range(3):
            for one in slow:
                with contextlib.suppress(OSError):
                    one.sendall(b"a")
            begun = time.monotonic()
            assert client.get(KV).status_code == 200
            assert client.post(KV, json={}).status_code == 400
            with httpx.Client(trust_env=False) as another:
                assert another.get(f"http://{address}/healthz").status_code == 200
            assert time.monotonic() - begun < 2.5


def test_the_oldest_unfinished_request_makes_place(client: httpx.Client, address: str) -> None:
    """More connections than places: those that waited longest are closed, new ones are served."""
    with connections(address, ARRIVING + 20, b"GET / HTTP/1.1\r\n") as slow:
        assert client.get(KV).status_code == 200
        slow[0].settimeout(10)
        assert slow[0].recv(100) == b""
        slow[-1].sendall(b"Host: a\r\nConnection: close\r\n\r\n")
        assert slow[-1].recv(100).startswith(b"HTTP/1.1 303")


def test_a_head_without_end_is_refused(client: httpx.Client, address: str) -> None:
    """An endless head gets 431 and an end."""
    with connections(address, 1, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 30_000) as (one,):
        one.settimeout(10)
        assert one.recv(100).startswith(b"HTTP/1.1 431 ")
    assert client.get(KV).status_code == 200


def test_requests_in_one_packet_are_answered_in_turn(client: httpx.Client, address: str) -> None:
    """Pipelined requests, the last in two pieces, each get their answer."""
    one = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with connections(address, 1, one + one + last[:30]) as (opened,):
        opened.settimeout(10)
        received = b""
        while received.count(b'"status":"ok"') < 2:
            received += opened.recv(4096)
        opened.sendall(last[30:])
        while data := opened.recv(4096):
            received += data
    assert received.count(b"HTTP/1.1 200 OK") == 3


def test_it_stops_soon_with_open_connections(
    process: "subprocess.Popen[str]", client: httpx.Client, address: str
) -> None:
    """Idle and unfinished connections do not hold up the end."""
    assert client.get(KV).status_code == 200
    with connections(address, 20, b"GET / HTTP/1.1\r\n"):
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        process.stderr.read()
        assert process.wait(15) == 0
        assert time.monotonic() - begun < 4


@pytest.mark.parametrize(
    ("received", "here"),
    [
        (b"", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.1\nHost: a\n\n", True),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", False),
        (b"POST / HTTP/1.1\r\ncontent-LENGTH:3 \r\n\r\nabc", True),
        (b"POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nX: a\r\n\r\nContent-Length: 9\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", True),
    ],
)
def test_when_a_thread_gets_a_request(received: bytes, here: bool) -> None:
    """With its head and a small body; a larger body need not be here."""
    assert is_here(received) is here


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_slow_body_is_given_up(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes must come at some pace; whatever comes in between does not begin the wait anew."""
    monkeypatch.setattr(worker, "PACE_GRACE_S", 0.3)
    ours, theirs = pair
    reader = PacedUnreader(ours)
    reader.begin(b"head")
    assert reader.read() == b"head"
    theirs.sendall(b"x")
    assert reader.read() == b"x"
    with pytest.raises(TimeoutError):
        reader.read()
    theirs.sendall(b"y")
    with pytest.raises(TimeoutError):
        reader.read()


def test_a_fast_body_takes_its_time(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has come earns more time, up to the longest for any body."""
    monkeypatch.setattr(worker, "PACE_GRACE_S", 0.0)
    monkeypatch.setattr(worker, "PACE_BYTES_PER_S", 1)
    ours, theirs = pair
    reader = PacedUnreader(ours)
    reader.begin(b"")
    with pytest.raises(TimeoutError):
        reader.read()
    monkeypatch.setattr(worker, "PACE_GRACE_S", 5.0)
    theirs.sendall(b"x" * 100)
    assert reader.read() == b"x" * 100
    monkeypatch.setattr(worker, "PACE_GRACE_S", 0.0)
    theirs.sendall(b"y")
    assert reader.read() == b"y"
    monkeypatch.setattr(worker, "BODY_S", 0.0)
    with pytest.raises(TimeoutError):
        reader.read()


LARGE = {"title": "t" * 100_000}


def test_large_bodies_are_few_at_once(api: httpx.Client, app: Flask) -> None:
    """With every place taken another large body is 429, a small one is served as ever."""
    house = dataclasses.replace(
        app.extensions["cloister"], uploads=Places(1, waiting=0, wait_s=0.0)
    )
    house.install(app)
    for _ in range(3):  # each gives its place back
        assert api.post(KV, json=LARGE).status_code == 400
    assert house.uploads.take()
    refused = api.post(KV, json=LARGE)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (429, 10429)
    assert api.post(KV, json={"title": "small"}).status_code == 200
    house.uploads.give()
    assert api.post(KV, json=LARGE).status_code == 400


def test_places_let_some_wait() -> None:
    """As many as there are places get one, a few more wait for theirs, nobody else does."""
    places = Places(1, waiting=1, wait_s=0.05)
    assert places.take()
    begun = time.monotonic()
    assert not places.take()
    assert time.monotonic() - begun >= 0.05
    places.give()
    assert places.take()
    hurried = Places(1, waiting=0, wait_s=60)
    assert hurried.take()
    assert not hurried.take()


class _Stalled:
    """A body whose client has gone quiet."""

    def read(self, *_: Any) -> bytes:
        raise TimeoutError

    readinto = read


@pytest.mark.parametrize("length", [{"CONTENT_LENGTH": "100"}, {"wsgi.input_terminated": True}])
def test_a_body_that_stalls_is_408(app: Flask, length: dict[str, Any]) -> None:
    """It is the client's fault, and said so, not an internal error."""
    client = app.test_client()
    answer = client.post(
        f"/client/v4/accounts/{'a' * 32}{KV}",
        headers={"Authorization": "Bearer test-token-0123456789abcdef"},
        environ_overrides={"wsgi.input": _Stalled(), **length},
    )
    assert answer.status_code == 408
