"""wrangler with dispatch namespaces, user workers in them, and KV."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
from clients_installation import ACCOUNT, Wrangler

Project = Callable[..., Path]
Visit = Callable[..., httpx.Response]

SHOP = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await self.env.CART.put("item", self.env.GREETING)
        price = await self.env.PRICES.fetch("http://prices/")
        item = await self.env.CART.get("item")
        return Response(f"{item} {self.env.SETTINGS['currency']} {await price.text()}")
"""
PRICES = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("42")
"""
BOUND = """
[vars]
GREETING = "hello"
SETTINGS = {currency = "EUR"}
[[kv_namespaces]]
binding = "CART"
[[services]]
binding = "PRICES"
service = "prices"
"""


def test_whoami(wrangler: Wrangler) -> None:
    """It finds the token's account by itself."""
    assert ACCOUNT in wrangler("whoami").stdout


def test_life_of_a_namespace(wrangler: Wrangler) -> None:
    """Made, listed, shown, renamed, deleted; deleting it twice fails with the API's words."""
    wrangler("dispatch-namespace", "create", "life")
    assert "'life'" in wrangler("dispatch-namespace", "list").stdout
    assert "namespace_name: 'life'" in wrangler("dispatch-namespace", "get", "life").stdout
    wrangler("dispatch-namespace", "rename", "life", "after")
    wrangler("dispatch-namespace", "delete", "after")
    code, said = wrangler.attempt("dispatch-namespace", "delete", "after")
    assert code != 0
    assert "code: 100119" in said.stdout + said.stderr


def test_a_user_worker(wrangler: Wrangler, project: Project, visit: Visit) -> None:
    """Deployed into a namespace with variables, JSON, a service, and a KV namespace that is made on
    the way; deployed again, it is changed."""
    wrangler("dispatch-namespace", "create", "shops")
    prices = project("prices", PRICES)
    wrangler("deploy", "--dispatch-namespace", "shops", cwd=prices)
    said = wrangler("deploy", "--dispatch-namespace", "shops", cwd=project("shop", SHOP, BOUND))
    assert "Uploaded shop" in said.stdout
    assert visit("/shops/shop/").text == "hello EUR 42"
    project("prices", PRICES.replace("42", "43"))
    wrangler("deploy", "--dispatch-namespace", "shops", cwd=prices)
    assert visit("/shops/shop/").text == "hello EUR 43"


def test_a_worker_that_is_not_one(wrangler: Wrangler, project: Project) -> None:
    """What the compiler says reaches who deploys, with the line."""
    broken = project("broken", "import socket\n\nclass Default:\n    x = 1 +\n")
    code, said = wrangler.attempt("deploy", "--dispatch-namespace", "production", cwd=broken)
    assert code != 0
    assert "worker.py:4" in said.stdout + said.stderr


def test_kv(wrangler: Wrangler, tmp_path: Path) -> None:
    """A KV namespace and its keys, one by one and in bulk."""
    wrangler("kv", "namespace", "create", "things")
    listed = json.loads(wrangler("kv", "namespace", "list").stdout)
    kv_id = next(item["id"] for item in listed if item["title"] == "things")
    where = ("--namespace-id", kv_id, "--remote")
    wrangler("kv", "key", "put", "one", "first", *where)
    assert wrangler("kv", "key", "get", "one", *where).stdout.strip() == "first"
    (tmp_path / "put.json").write_text('[{"key": "two", "value": "second"}]')
    (tmp_path / "keys.json").write_text('["one", "two"]')
    wrangler("kv", "bulk", "put", "put.json", *where, cwd=tmp_path)
    found = wrangler("kv", "bulk", "get", "keys.json", *where, cwd=tmp_path).stdout
    assert json.loads(found[found.index("{") : found.rindex("}") + 1]) == {
        "one": "first",
        "two": "second",
    }
    wrangler("kv", "bulk", "delete", "keys.json", "--force", *where, cwd=tmp_path)
    assert json.loads(wrangler("kv", "key", "list", *where).stdout) == []
    wrangler("kv", "namespace", "delete", "--namespace-id", kv_id, "--skip-confirmation")
