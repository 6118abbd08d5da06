"""wrangler and the TypeScript SDK with queues."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx
from clients_installation import ACCOUNT, TOKEN, Platform, Wrangler, run_typescript

Project = Callable[..., Path]
Visit = Callable[..., httpx.Response]

WORKER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("plain")

    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            await self.env.SEEN.put(batch.queue, str(message.body))
            if batch.queue == "orders":
                await self.env.NEXT.send("passed on")
"""
QUEUES = """
workers_dev = false
preview_urls = false

[[kv_namespaces]]
binding = "SEEN"

[[queues.producers]]
binding = "NEXT"
queue = "next"

[[queues.consumers]]
queue = "orders"
max_batch_size = 5
max_batch_timeout = 0
dead_letter_queue = "orders-failed"

[[queues.consumers]]
queue = "next"
max_batch_timeout = 0
"""
PROGRAM = """
import Cloudflare from "cloudflare";
import assert from "node:assert";

const account_id = process.env.CLOUDFLARE_ACCOUNT_ID;
const client = new Cloudflare({
  apiToken: process.env.CLOUDFLARE_API_TOKEN,
  baseURL: process.env.CLOUDFLARE_BASE_URL,
  maxRetries: 0,
});
const queue = await client.queues.create({ account_id, queue_name: "typed" });
const id = queue.queue_id;
await client.queues.consumers.create(id, { account_id, type: "http_pull" });
await client.queues.messages.push(id, { account_id, body: "hi", content_type: "text" });
await client.queues.messages.bulkPush(id, {
  account_id, messages: [{ body: { a: 1 }, content_type: "json" }],
});
const { messages } = await client.queues.messages.pull(id, { account_id, batch_size: 10 });
assert.equal(messages[0].body, "hi");
assert.deepEqual(JSON.parse(atob(messages[1].body)), { a: 1 });
const acks = messages.map(({ lease_id }) => ({ lease_id }));
assert.equal((await client.queues.messages.ack(id, { account_id, acks })).ackCount, 2);
await client.queues.purge.start(id, { account_id, delete_messages_permanently: true });
assert.equal((await client.queues.purge.status(id, { account_id })).completed, "true");
"""


def test_queues_from_wrangler(wrangler: Wrangler) -> None:
    """Created, listed, described, changed, paused, resumed, purged, deleted; pulled from; and told
    what is missing or taken."""
    assert "Created queue" in wrangler("queues", "create", "jobs").stdout
    code, again = wrangler.attempt("queues", "create", "jobs")
    assert code != 0
    assert "already taken" in again.stdout + again.stderr
    assert "jobs" in wrangler("queues", "list").stdout
    delay = ["--delivery-delay-secs", "3"]
    wrangler("queues", "update", "jobs", *delay, "--message-retention-period-secs", "600")
    wrangler("queues", "pause-delivery", "jobs")
    wrangler("queues", "resume-delivery", "jobs")
    wrangler("queues", "consumer", "http", "add", "jobs", "--batch-size", "3")
    info = wrangler("queues", "info", "jobs").stdout
    assert "Number of Consumers: 1" in info
    assert "HTTP Pull Consumer" in info
    wrangler("queues", "consumer", "http", "remove", "jobs")
    wrangler("queues", "purge", "jobs", "--force")
    wrangler("queues", "delete", "jobs")
    code, gone = wrangler.attempt("queues", "info", "jobs")
    assert code != 0
    assert 'Queue "jobs" does not exist' in gone.stdout + gone.stderr


def test_a_worker_with_queues_from_wrangler(
    wrangler: Wrangler, project: Project, platform: Platform
) -> None:
    """Deployed with producers and consumers, twice; what is sent over the API goes through it to
    the queue that it sends to. The consumer is removed and added by hand."""
    for name in ("orders", "next"):
        wrangler("queues", "create", name)
    directory = project("chain", WORKER, QUEUES)
    for _ in range(2):
        wrangler("deploy", cwd=directory)
    assert "worker:chain" in wrangler("queues", "info", "orders").stdout
    with httpx.Client(
        base_url=f"{platform.api}/accounts/{ACCOUNT}",
        headers={"Authorization": f"Bearer {TOKEN}"},
        trust_env=False,
    ) as api:
        (queue,) = api.get("/queues", params={"name": "orders"}).json()["result"]
        assert queue["consumers"][0]["dead_letter_queue"] == "orders-failed"
        assert api.post(f"/queues/{queue['queue_id']}/messages", json={"body": 7}).is_success
        (kv,) = (
            each
            for each in api.get("/storage/kv/namespaces").json()["result"]
            if "seen" in each["title"].lower()
        )
        until = time.monotonic() + 60
        seen = ""
        while seen != "passed on" and time.monotonic() < until:
            time.sleep(0.05)
            seen = api.get(f"/storage/kv/namespaces/{kv['id']}/values/next").text
        assert seen == "passed on"
    wrangler("queues", "consumer", "remove", "orders", "chain")
    limits = ["--batch-size", "2", "--batch-timeout", "1"]
    wrangler("queues", "consumer", "add", "orders", "chain", *limits)
    assert "worker:chain" in wrangler("queues", "info", "orders").stdout


def test_queues_by_the_sdk_in_typescript(wrangler: Wrangler, tmp_path: Path) -> None:
    """Sent, pulled, acknowledged, purged."""
    run_typescript(wrangler, tmp_path, PROGRAM)
