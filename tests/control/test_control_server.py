"""The real command under gunicorn: what only a real server shows."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator

import httpx

ACCOUNT = "a" * 32
S = "/workers/dispatch/namespaces/production/scripts/hello"


def test_paths_arrive_as_sent(client: httpx.Client) -> None:
    """Encoded slashes and dots stay in a key; bytes that are no UTF-8 are refused."""
    made = client.post("/storage/kv/namespaces", json={"title": "t"}).json()["result"]
    kv = f"/storage/kv/namespaces/{made['id']}"
    for key in ("%2Fa%2F..%2Fb", "a//b/", "a%252F"):
        assert client.put(f"{kv}/values/{key}", content=b"v").status_code == 200
    keys = [item["name"] for item in client.get(f"{kv}/keys").json()["result"]]
    assert keys == ["/a/../b", "a%2F", "a//b/"]
    refused = client.get(f"{kv}/values/%FF")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, 10004)


def test_oversized_upload_gets_its_answer(client: httpx.Client) -> None:
    """A client that streams too much gets 10027, not a broken connection."""

    def endless() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="a"; filename="a.py"\r\n\r\n'
        for _ in range(70):
            yield b"x" * 1024 * 1024

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    refused = client.put(S, content=endless(), headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, 10027)
    assert client.get(S).status_code == 404


def test_stops_with_an_open_tail(
    process: "subprocess.Popen[str]", client: httpx.Client, registry: object
) -> None:
    """SIGTERM ends an open stream and the process, soon and with code 0."""
    from cloister.registry import NewVersion, Registry

    assert isinstance(registry, Registry)
    namespace = registry.namespaces.get(ACCOUNT, "production").id
    registry.scripts.put_version(
        namespace, "hello", NewVersion(digest="0" * 64, main_module="a.py")
    )
    with client.stream("GET", f"{S}/tail") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(httpx.RemoteProtocolError):
            assert list(lines)[-1:] in ([], [""])
    assert process.stderr is not None
    process.stderr.read()
    assert process.wait(15) == 0
