"""wrangler's live tail: its own WebSocket client, from the first frame to Ctrl-C."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
from clients_installation import ACCOUNT, TOKEN, Platform, Wrangler, until

Project = Callable[..., Path]
Visit = Callable[..., httpx.Response]

NO_ADDRESS = "workers_dev = false\npreview_urls = false\n"
DISPATCHER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        print("said of", request.url)
        return Response("ok")
"""


def test_a_tail(wrangler: Wrangler, project: Project, platform: Platform, visit: Visit) -> None:
    """Records come as they are made, only those that the filter lets through; Ctrl-C closes it.
    Its address is no one's who has not its id, and nothing but a WebSocket's."""
    wrangler("deploy", cwd=project("dispatcher", DISPATCHER, NO_ADDRESS))
    tails = f"{platform.api}/accounts/{ACCOUNT}/workers/scripts/dispatcher/tails"
    whole = {"Authorization": f"Bearer {TOKEN}"}
    with subprocess.Popen(
        wrangler.command("tail", "dispatcher", "--format", "pretty", "--search", "/wanted"),
        env=wrangler.environment,
        cwd=wrangler.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as tail:
        try:
            until("Connected to dispatcher", tail)
            (opened,) = httpx.get(tails, headers=whole, trust_env=False).json()["result"]
            visit("/other", "tail.example.org")
            visit("/wanted", "tail.example.org")
            seen = until("said of", tail)
            assert "GET http://tail.example.org/wanted - Ok" in seen
            assert "/other" not in seen
        finally:
            tail.send_signal(signal.SIGINT)
            tail.communicate(timeout=30)
    assert httpx.get(tails, headers=whole, trust_env=False).json()["result"] == []

    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    made = httpx.post(tails, headers=whole, trust_env=False).json()["result"]
    for url, headers, code in (
        (opened["url"], upgrade, 10058),
        (made["url"], {}, 10004),
        (made["url"], upgrade, 10004),  # of no protocol
    ):
        answer = httpx.get(url.replace("ws:", "http:"), headers=headers, trust_env=False)
        assert answer.json()["errors"][0]["code"] == code, url
    unknown = {"filters": [{"client_ip": ["self"]}]}
    assert httpx.post(tails, json=unknown, headers=whole, trust_env=False).status_code == 400
