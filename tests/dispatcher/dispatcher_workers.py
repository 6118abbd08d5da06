"""Dispatch workers for the tests; the dispatcher's process imports this module."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from dispatcher import (
    Context,
    CpuLimitExceeded,
    DispatchFailure,
    DispatchWorker,
    Environment,
    Request,
    Response,
    WorkerNotFound,
)


class Everything(DispatchWorker):
    """Does what the first segment of the path says."""

    kv_namespaces = {"PLANS": "plans-title"}
    vars = {"GREETING": "hello"}

    async def fetch(self, request: Request, env: Environment, ctx: Context) -> Response:
        name = request.url.split("/")[3].partition("?")[0]
        return await getattr(self, name)(request, env, ctx)

    async def said(self, request: Request, env: Environment, ctx: Context) -> Response:
        return Response.from_json({"hostname": request.hostname, "cf": dict(request.cf)})

    async def lazily(self, request: Request, env: Environment, ctx: Context) -> Response:
        stub = env.DISPATCHER.get("no-such-worker")
        try:
            return await stub.fetch(request)
        except WorkerNotFound as exc:
            return Response(str(exc), status=404)

    async def limits(self, request: Request, env: Environment, ctx: Context) -> Response:
        limits = {"cpuMs": 50, "subRequests": 5, "wall_ms": 900, "memory_mb": 999_999}
        return await env.DISPATCHER.get("echo", {"a": [1]}, limits=limits).fetch(request)

    async def bad_limits(self, request: Request, env: Environment, ctx: Context) -> Response:
        refused = []
        for limits in ({"cpu": 1}, {"cpu_ms": 0}, {"cpu_ms": 1.5}, {"cpu_ms": True}):
            try:
                env.DISPATCHER.get("echo", limits=limits)  # type: ignore[arg-type]
            except ValueError as exc:
                refused.append(str(exc))
        return Response.from_json(refused)

    async def outbound(self, request: Request, env: Environment, ctx: Context) -> Response:
        return await env.DISPATCHER.get("echo", outbound={"customer": "c1"}).fetch(request)

    async def undeclared(self, request: Request, env: Environment, ctx: Context) -> Response:
        try:
            return await env.DISPATCHER.get("echo", outbound={"other": 1}).fetch(request)
        except ValueError as exc:
            return Response(str(exc))

    async def other_outbound(self, request: Request, env: Environment, ctx: Context) -> Response:
        stub = env.DISPATCHER.get("echo", outbound={"x": 1}, outbound_worker="guard")
        return await stub.fetch(request)

    async def elsewhere(self, request: Request, env: Environment, ctx: Context) -> Response:
        return await env.DISPATCHER.get("echo", namespace="staging").fetch(request)

    async def rewritten(self, request: Request, env: Environment, ctx: Context) -> Response:
        stub = env.DISPATCHER.get("echo")
        response = await stub.fetch(
            "https://inside.example/x?y", method="PUT", headers={"X-A": "1"}, body="new"
        )
        seen = await response.json()
        response.headers["x-added"] = seen["method"]
        response.status = 202
        return response

    async def twice(self, request: Request, env: Environment, ctx: Context) -> Response:
        await request.bytes()
        both = await asyncio.gather(*(env.DISPATCHER.get("echo").fetch(request) for _ in range(2)))
        return Response.from_json([await response.json() for response in both])

    async def streamed(self, request: Request, env: Environment, ctx: Context) -> Response:
        async def upper() -> AsyncIterator[bytes]:
            async for chunk in request.body:
                yield chunk.upper()

        return Response(upper(), headers={"content-type": "text/plain"})

    async def environment(self, request: Request, env: Environment, ctx: Context) -> Response:
        await env.PLANS.put("k", "v")
        found: dict[str, Any] = {
            "greeting": env.GREETING,
            "value": await env.PLANS.get("k"),
            "missing": await env.PLANS.get("none"),
            "keys": await env.PLANS.list(prefix="k"),
            "worker": request.worker,
            "namespace": request.namespace,
        }
        await env.PLANS.delete("k")
        return Response.from_json(found)

    async def limited(self, request: Request, env: Environment, ctx: Context) -> Response:
        try:
            return await env.DISPATCHER.get("costly").fetch(request)
        except CpuLimitExceeded as exc:
            return Response(str(exc), status=429)

    async def threw(self, request: Request, env: Environment, ctx: Context) -> Response:
        try:
            return await env.DISPATCHER.get("thrower").fetch(request)
        except DispatchFailure as exc:
            return Response(f"{type(exc).__name__}: {exc}")

    async def uncaught(self, request: Request, env: Environment, ctx: Context) -> Response:
        return await env.DISPATCHER.get("costly").fetch(request)

    async def bug(self, request: Request, env: Environment, ctx: Context) -> Response:
        raise RuntimeError("the operator's secret")

    async def nothing(self, request: Request, env: Environment, ctx: Context) -> Any:
        return None

    async def splitting(self, request: Request, env: Environment, ctx: Context) -> Response:
        return Response("x", headers={"x-a": "b\r\nx-c: d"})

    async def later(self, request: Request, env: Environment, ctx: Context) -> Response:
        ctx.wait_until(env.PLANS.put("later", "done"))
        return Response("now")


class Synchronous:
    """No base class, no async: runs in a thread, and may return what a stub's fetch gives."""

    def fetch(self, request: Request, env: Environment) -> Any:
        if request.url.endswith("/own"):
            return Response("own")
        return env.DISPATCHER.get(request.worker).fetch(request)


class Versions(DispatchWorker):
    """Asks for the version that the path names."""

    async def fetch(self, request: Request, env: Environment) -> Response:
        how, worker, version = [*request.url.split("/")[3:], "", ""][:3]
        if how == "override":
            request.headers["cloudflare-workers-version-overrides"] = f'{worker}="{version}"'
        stub = env.DISPATCHER.get(request.worker, version=version if how == "version" else None)
        return await stub.fetch(request)
