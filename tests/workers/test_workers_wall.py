"""No object of the tenant's API is a way around the first wall."""

import pytest
from workers_cell import Cell

from executor.isolate import frames

REACHING = [
    "fetch.__globals__",
    "fetch.__code__",
    "Response.from_json.__func__",
    "Response.json.__self__",
    "Response.redirect.__globals__",
    "request.text.__func__",
    "request._body",
    "request._headers",
    "request.headers._pairs",
    "self.ctx._props",
    "self.ctx.waitUntil.__self__",
    "self.env._base",
    "self.env.__getattr__",
    "self.env.KV._name",
    "self.env.KV.get.__func__",
    "self.env.API.anything.__closure__",
    "asgi.fetch.__globals__",
    "asgi.entrypoint(None).fetch.__globals__",
    "workers.__dict__",
    "workers.__spec__",
    "vars(workers)",
    "vars(self.env)",
    "getattr(request, '_bo' + 'dy')",
    "getattr(self.ctx, '_pro' + 'ps')",
    "getattr(fetch('https://a.example/'), 'cr_' + 'frame')",
    "fetch('https://a.example/').cr_frame",
    "Request.text(request).cr_frame.f_globals",
    "request.body.__aiter__().ag_frame",
    "patch_env(A=1).__enter__.__self__",
    "'{0.headers._pairs}'.format(request)",
    "type(self.env)._base",
    "object.__getattribute__(request, '_body')",
    "Sub(request)._invocation.channel",
    "Sub._headers.__get__(request)",
    "Sub2._props.__get__(self.ctx)",
    "Sub3._pairs.__get__(request.headers)",
    "super(Sub, Sub(request))._headers._pairs",
    "import_module('executor.isolate.invocation')",
    "import_module('sys').modules['executor.isolate.invocation']",
]

SOURCE = """
import workers
from importlib import import_module
from workers import Context, Headers, Request, Response, WorkerEntrypoint, asgi, fetch, patch_env

class Sub(Request):
    pass

class Sub2(Context):
    pass

class Sub3(Headers):
    pass

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        reached = {expression}
        return Response("reached " + str(reached))
"""


@pytest.mark.parametrize("expression", REACHING)
def test_private_parts_are_out_of_reach(cell: Cell, expression: str):
    """Each expression is refused by the compiler, or fails when it runs."""
    source = SOURCE.format(expression=expression).encode()
    cell.send(frames.Compile(main="main.py", sources={"main.py": source}, only_compile=True))
    compiled = cell.receive()
    assert isinstance(compiled, frames.Compiled)
    if compiled.errors:
        return
    live = {"KV": "kv_namespace", "API": "service"}
    loaded = cell.load("", modules=compiled.modules, live=live)
    assert isinstance(loaded, frames.Loaded), loaded
    result = cell.invoke(method="POST", body=b"x")
    assert result.head is None, result.text
    assert result.failed.name in ("AttributeError", "TypeError", "ModuleNotFoundError", "KeyError")


def test_the_same_worker_runs_with_a_public_expression(cell: Cell):
    """What refuses is the expression, not the rest of the worker."""
    source = SOURCE.format(expression="request.method").encode()
    cell.send(frames.Compile(main="main.py", sources={"main.py": source}, only_compile=True))
    compiled = cell.receive()
    assert isinstance(compiled, frames.Compiled)
    assert not compiled.errors
    cell.load("", modules=compiled.modules)
    assert cell.invoke(method="POST", body=b"x").text == "reached POST"
