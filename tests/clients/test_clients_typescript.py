"""The TypeScript SDK, pointed at the platform by base URL, token and account id alone."""

from collections.abc import Callable
from pathlib import Path

import httpx
from clients_installation import Wrangler, run_typescript

Visit = Callable[..., httpx.Response]

WORKER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await self.env.STORE.put("k", "v")
        return Response(f"{self.env.GREETING} {self.env.KEY} {await self.env.STORE.get('k')}")
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
const namespaces = client.workersForPlatforms.dispatch.namespaces;
const scripts = namespaces.scripts;

assert.equal((await client.user.tokens.verify()).status, "active");
await namespaces.create({ account_id, name: "typed" });
const names = [];
for await (const each of namespaces.list({ account_id })) names.push(each.namespace_name);
assert(names.includes("typed"));

const store = await client.kv.namespaces.create({ account_id, title: "typed" });
const source = process.env.WORKER;
const upload = (name) => scripts.update("typed", name, {
  account_id,
  metadata: {
    main_module: "worker.py",
    bindings: [
      { type: "plain_text", name: "GREETING", text: "hello" },
      { type: "kv_namespace", name: "STORE", namespace_id: store.id },
    ],
    tags: ["free"],
  },
  files: [new File([source], "worker.py", { type: "text/x-python" })],
});
assert.equal((await upload("one")).id, "one");
await scripts.secrets.update("typed", "one", {
  account_id, name: "KEY", text: "secret", type: "secret_text",
});
const kept = [];
for await (const each of scripts.secrets.list("typed", "one", { account_id })) kept.push(each.name);
assert.deepEqual(kept, ["KEY"]);
const settings = await scripts.settings.get("typed", "one", { account_id });
assert.deepEqual(settings.tags, ["free"]);
assert.equal(await (await scripts.content.get("typed", "one", { account_id })).text(), source);

await upload("two");
await scripts.delete("typed", "two", { account_id });
await assert.rejects(
  scripts.get("typed", "two", { account_id }),
  (error) => error instanceof Cloudflare.NotFoundError && error.errors[0].code === 10092,
);
"""


def test_the_sdk_in_typescript(wrangler: Wrangler, visit: Visit, tmp_path: Path) -> None:
    """Namespaces, KV, an upload with bindings, secrets, settings, content, and a typed error."""
    run_typescript(wrangler, tmp_path, PROGRAM, WORKER=WORKER)
    assert visit("/typed/one/").text == "hello secret v"
