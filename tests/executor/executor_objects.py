"""Durable Objects in a house: workers with classes, and calls of their objects."""

from typing import Any

from executor_house import ACCOUNT, Answer, House

from cloister.registry import NewVersion
from cloister.registry.object_classes import Migration, Step

COUNTER = """
from workers import DurableObject, Response, WorkerEntrypoint
import json
from urllib.parse import urlparse, parse_qs

class Counter(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.calls = 0

    async def increment(self, by=1):
        self.calls += 1
        value = (await self.ctx.storage.get("value") or 0) + by
        await self.ctx.storage.put("value", value)
        return value

    async def value(self):
        return await self.ctx.storage.get("value") or 0

    async def seen(self):
        return self.calls

    async def fetch(self, request):
        return Response(f"{self.ctx.id.name} {request.method} {await request.text()}")

CALLS
"""


def worker(calls: str, methods: str = "") -> str:
    """A worker with the class Counter, which may have more methods, whose fetch() does that with
    ``stub``, the object that the path names."""
    body = "\n".join(f"        {line}" for line in calls.strip("\n").split("\n"))
    more = "\n".join(f"    {line}" for line in methods.strip("\n").split("\n"))
    entry = (
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request):\n"
        "        name = urlparse(request.url).path[1:] or 'a'\n"
        "        stub = self.env.COUNTERS.getByName(name)\n"
        f"{body}\n"
    )
    return COUNTER.replace("CALLS", f"{more}\n\n{entry}")


def deploy(
    house: House,
    namespace: str,
    source: str,
    *,
    name: str = "main",
    sqlite: bool = True,
    **more: Any,
) -> str:
    """Deploy a worker with a class Counter and a binding to it; the class's id."""
    found = house.registry.namespaces.get(ACCOUNT, namespace)
    digest, answer = house.compile(("worker.py", source), language=found.language)
    assert not answer.errors, answer
    assert answer.failure is None, answer
    handlers = {"Default": answer.handlers, **answer.named_handlers}
    exists = house.registry.resolve(namespace, name) is not None
    migration = None
    if not exists:
        classes = ["Counter"]
        step = Step(new_sqlite_classes=classes) if sqlite else Step(new_classes=classes)
        migration = Migration(new_tag="v1", steps=[step])
    binding = {"type": "durable_object_namespace", "name": "COUNTERS", "class_name": "Counter"}
    view = house.registry.scripts.put_version(
        found.id,
        name,
        NewVersion(
            digest=digest,
            main_module="worker.py",
            handlers=handlers,
            bindings=[binding, *more.pop("bindings", [])],
            **more,
        ),
        migration=migration,
    )
    return str(view.version.bindings[0]["namespace_id"])


def call(house: House, namespace: str, path: str = "a", **fields: Any) -> Answer:
    """Call the worker with that path."""
    return house.call(namespace, "main", url=f"http://main.localhost/{path}", **fields)
