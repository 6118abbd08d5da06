"""wrangler deploys one Python worker with everything at once, and another that watches it."""

import base64
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
from clients_installation import ACCOUNT, TOKEN, Platform, Wrangler, until

Project = Callable[..., Path]
Visit = Callable[..., httpx.Response]

NO_ADDRESS = "workers_dev = false\npreview_urls = false\n"
BILLING = """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def nothing(self):
        pass

class Charges(WorkerEntrypoint):
    async def charge(self, cents):
        return f"{self.ctx.props['tenant']} pays {cents}"
"""
WATCHER = """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def tail(self, events, env, ctx):
        for item in events:
            print("watched", item.scriptName, item.outcome, item.logs[0].message[0])
"""
SHOP = """
import json
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        print("said", self.env.GREETING)
        await self.env.CART.put("item", "tea")
        await self.env.DB.exec("CREATE TABLE IF NOT EXISTS t (a); INSERT INTO t VALUES (1)")
        counted = await self.env.DB.prepare("SELECT count(*) AS n FROM t").first()
        page = await self.env.FILES.fetch("https://any.test/page")
        await self.env.PHOTOS.put("tea.txt", "a photo of tea")
        photo = await self.env.PHOTOS.get("tea.txt")
        await self.env.ORDERS.send({"item": "tea"})
        return Response(json.dumps({
            "greeting": self.env.GREETING,
            "currency": self.env.SETTINGS["currency"],
            "item": await self.env.CART.get("item"),
            "rows": counted["n"],
            "page": await page.text(),
            "photo": await photo.text(),
            "friend": await (await self.env.FRIEND.fetch("http://friend/")).text(),
            "charge": await self.env.BILL.charge(5),
            "version": self.env.VERSION.id,
        }))
"""
FRIEND = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello friend")
"""
EVERYTHING = """
tail_consumers = [{service = "watcher"}]

[vars]
GREETING = "hello"
SETTINGS = {currency = "EUR"}
[assets]
directory = "./public"
binding = "FILES"
run_worker_first = true
[version_metadata]
binding = "VERSION"
[[kv_namespaces]]
binding = "CART"
[[d1_databases]]
binding = "DB"
[[r2_buckets]]
binding = "PHOTOS"
[[queues.producers]]
binding = "ORDERS"
queue = "everything-orders"
[[services]]
binding = "FRIEND"
service = "friend"
[[services]]
binding = "BILL"
service = "billing"
entrypoint = "Charges"
props = {tenant = "alice"}
"""


def test_everything_together(
    wrangler: Wrangler, project: Project, visit: Visit, platform: Platform
) -> None:
    """A user worker with variables, files, its version's id, KV, a database and a bucket that are
    made on the way, a queue that is pulled from, a worker of its namespace, and a plain Worker's
    entrypoint with props; its records come to the tail worker that it names, whose own records
    `wrangler tail` shows."""
    wrangler("dispatch-namespace", "create", "full")
    wrangler("queues", "create", "everything-orders")
    wrangler("queues", "consumer", "http", "add", "everything-orders")
    into = ("deploy", "--dispatch-namespace", "full")
    wrangler("deploy", cwd=project("billing", BILLING, NO_ADDRESS))
    wrangler("deploy", cwd=project("watcher", WATCHER, NO_ADDRESS))
    wrangler(*into, cwd=project("friend", FRIEND))
    directory = project("everything", SHOP, EVERYTHING)
    (directory / "public").mkdir()
    (directory / "public" / "page.html").write_text("a page")
    wrangler(*into, cwd=directory)
    with subprocess.Popen(
        wrangler.command("tail", "watcher", "--format", "pretty", "--status", "ok"),
        env=wrangler.environment,
        cwd=wrangler.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as tail:
        try:
            until("Connected to watcher", tail)
            answer = visit("/full/everything/").json()
            until("watched everything ok said hello", tail)
        finally:
            tail.send_signal(signal.SIGINT)
            tail.communicate(timeout=30)
    assert len(answer.pop("version")) == 36
    assert answer == {
        "greeting": "hello",
        "currency": "EUR",
        "item": "tea",
        "rows": 1,
        "page": "a page",
        "photo": "a photo of tea",
        "friend": "hello friend",
        "charge": "alice pays 5",
    }
    assert pulled(platform, "everything-orders") == [{"item": "tea"}]


def pulled(platform: Platform, name: str) -> list[object]:
    """The bodies of what a queue with a pull consumer holds, of JSON."""
    with httpx.Client(
        base_url=f"{platform.api}/accounts/{ACCOUNT}/queues",
        headers={"Authorization": f"Bearer {TOKEN}"},
        trust_env=False,
    ) as api:
        (queue,) = api.get("", params={"name": name}).json()["result"]
        answer = api.post(f"/{queue['queue_id']}/messages/pull", json={}).json()
        return [json.loads(base64.b64decode(each["body"])) for each in answer["result"]["messages"]]
