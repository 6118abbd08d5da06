"""env: values, bindings, and nothing else."""

import pytest

HEAD = """
import asyncio
import workers
from workers import Response, WorkerEntrypoint, env, patch_env

class Default(WorkerEntrypoint):
    async def fetch(self, request):
"""

ENV = {"NAME": "ada", "CONFIG": {"a": {"b": [1, {"c": 2}]}, "items": 3}, "LIST": [1], "N": 5}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("self.env.NAME", "ada"),
        ("env.NAME", "ada"),
        ("workers.env.NAME", "ada"),
        ("self.env.CONFIG.a.b[1].c", "2"),
        ("self.env.CONFIG['a']['b'][0]", "1"),
        ("self.env.CONFIG['items']", "3"),
        ("isinstance(self.env.CONFIG, dict)", "True"),
        ("self.env.LIST", "[1]"),
        ("self.env.N + 1", "6"),
        ("hasattr(self.env, 'MISSING')", "False"),
        ("self.env.CONFIG.get('zz')", "None"),
        ("hasattr(self.env.CONFIG, 'zz')", "False"),
    ],
)
def test_values(run, expression, text):
    """Plain values are str or dicts with attribute access, on self.env and as an import."""
    assert run(HEAD + f"        return Response(str({expression}))", env=ENV).text == text


def test_missing_binding(run):
    """A missing name is an AttributeError that names it."""
    failed = run(HEAD + "        self.env.MISSING", env=ENV).failed
    assert failed.name == "AttributeError"
    assert "'MISSING'" in failed.message


def test_env_at_import(run):
    """env is usable while the module loads."""
    source = HEAD.replace("class Default", "greeting = 'hi ' + env.NAME\nclass Default")
    assert run(source + "        return Response(greeting)", env=ENV).text == "hi ada"


def test_env_cannot_be_set(run):
    """env is not a place for the tenant's state."""
    assert run(HEAD + "        self.env.NAME = 'eve'", env=ENV).failed.name == "TypeError"


def test_patch_env(run):
    """patch_env overrides for a while, in each of its forms, and nests."""
    source = (
        HEAD
        + """
        seen = [env.NAME]
        with patch_env(NAME="eve"):
            seen.append(env.NAME)
            with patch_env({"NAME": "bob", "EXTRA": "x"}):
                seen += [env.NAME, env.EXTRA]
            with patch_env([("NAME", "kim")]):
                seen.append(self.env.NAME)
            seen.append(env.NAME)
        seen += [env.NAME, hasattr(env, "EXTRA")]
        return Response(str(seen))
"""
    )
    expected = ["ada", "eve", "bob", "x", "kim", "eve", "ada", False]
    assert run(source, env=ENV).text == str(expected)


def test_patch_does_not_outlive_the_invocation(run, cell):
    """A patch that was never taken back ends with its invocation."""
    source = (
        HEAD.replace("class Default", HOLD)
        + """
        name = env.NAME
        asyncio.create_task(hold())
        await asyncio.sleep(0)
        return Response(name + env.NAME)
"""
    )
    assert run(source, env=ENV).text == "adaeve"
    assert cell.invoke().text == "adaeve"


HOLD = """
async def hold():
    with patch_env(NAME="eve"):
        await asyncio.sleep(3600)

class Default"""


def test_env_of_one_invocation(run, cell):
    """Outbound parameters are attributes of env for their invocation only."""
    source = HEAD + "        return Response(str(getattr(env, 'plan', None)) + env.NAME)"
    assert run(source, env=ENV, live={}).text == "Noneada"
    cell_env = {"plan": {"cpu": 5}, "NAME": "eve"}
    assert cell.invoke(env=cell_env).text == "{'cpu': 5}eve"
    assert cell.invoke().text == "Noneada"


@pytest.mark.parametrize("use", ["get('x')", "fetch('https://a.example/')", "prepare"])
def test_binding_of_an_unknown_type(run, use):
    """It exists, and any use of it says clearly that its type is not available."""
    failed = run(HEAD + f"        self.env.DB.{use}", live={"DB": "browser"}).failed
    assert failed.name == "NotImplementedError"
    assert failed.message == "env.DB: bindings of type browser are not available on this platform"


def test_props(run):
    """ctx.props carries what the binding's owner has set."""
    source = HEAD + "        return Response(self.ctx.props.plan.name)"
    assert run(source, props={"plan": {"name": "pro"}}).text == "pro"


def test_cf(run):
    """request.cf is there in trusted namespaces only."""
    source = HEAD + "        return Response(str(request.cf and request.cf.country))"
    assert run(source).text == "None"


def test_no_public_name_leads_into_the_runtime():
    """Nothing that a tenant can hold has a public attribute that is a module, frame or loop."""
    import asyncio
    import types

    from executor.isolate import frames
    from executor.isolate.env import Env, Unavailable
    from executor.isolate.invocation import Invocation, Runtime
    from executor.isolate.workers import facade
    from executor.isolate.workers.bodies import BodyStream
    from executor.isolate.workers.d1 import D1Database
    from executor.isolate.workers.entrypoints import Context
    from executor.isolate.workers.kv import KVNamespace
    from executor.isolate.workers.requests import incoming_request
    from executor.isolate.workers.responses import Response
    from executor.isolate.workers.services import Service

    frame = frames.Invoke(url="https://a.example/", body=b"x")
    held = [
        *facade.WORKERS.values(),
        *(each for names in facade.SUBMODULES.values() for each in names.values()),
        incoming_request(frame),
        Response("x"),
        BodyStream(b""),
        Context({}),
        KVNamespace("KV"),
        D1Database("DB"),
        D1Database("DB").withSession(),
        D1Database("DB").prepare("SELECT 1"),
        Service("S"),
        Env(),
        Unavailable("A", "b"),
    ]
    inside = (types.ModuleType, types.FrameType, Runtime, Invocation, asyncio.AbstractEventLoop)
    for each in held:
        for name in dir(each):
            if not name.startswith("_"):
                assert not isinstance(getattr(each, name), inside), (each, name)
