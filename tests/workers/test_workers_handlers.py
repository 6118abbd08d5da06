"""Which functions and classes of a main module answer, and with which arguments."""

import pytest

from executor.isolate import frames
from executor.isolate.handlers import discover
from executor.isolate.workers.entrypoints import WorkerEntrypoint


@pytest.mark.parametrize(
    "method",
    [
        "def fetch(self): return Response('yes')",
        "def fetch(self, request): return Response('yes')",
        "async def fetch(self, request, env): return Response(env.WORD)",
        "async def fetch(self, request, env, ctx): return Response(env.WORD + str(ctx.props)[2:])",
        "async def fetch(self, *args): return Response('yes' if len(args) == 3 else 'no')",
        "def fetch(self): return self.other()\n    async def other(self): return Response('yes')",
    ],
)
def test_fetch_takes_what_it_wants(run, method):
    """fetch may be sync or async, and surplus arguments are dropped."""
    source = f"""
from workers import WorkerEntrypoint, Response
class Default(WorkerEntrypoint):
    {method}
"""
    assert run(source, env={"WORD": "yes"}).text == "yes"


@pytest.mark.parametrize("signature", ["request", "request, env", "request, env, ctx", ""])
@pytest.mark.parametrize("decorator", ["", "@handler"])
def test_legacy_functions(run, signature, decorator):
    """on_fetch functions answer, with the handler decorator or without."""
    source = f"""
from workers import Response, handler
{decorator}
async def on_fetch({signature}):
    return Response("old")
"""
    assert run(source).text == "old"


def test_on_methods_of_a_class(run):
    """A class may still have its handlers with the on_ prefix."""
    source = """
from workers import WorkerEntrypoint, Response
class Default(WorkerEntrypoint):
    def on_fetch(self, request):
        return Response("old method")
"""
    assert run(source).text == "old method"


NAMED = """
from workers import WorkerEntrypoint, Response

class Base(WorkerEntrypoint):
    def shared(self):
        return "shared"

class Admin(Base):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.ready = True

    async def fetch(self, request):
        return Response("admin" if self.ready else "")

    def add(self, a, b):
        return a + b

    @staticmethod
    def helper():
        return 1

    @classmethod
    def make(cls):
        return 1

    def _private(self):
        return 1

    def on_old(self):
        return 1

class Default(WorkerEntrypoint):
    def fetch(self):
        return Response("default")
"""


def test_named_entrypoints(cell):
    """Each exported entrypoint class lists its public plain methods, inherited ones included."""
    assert cell.load(NAMED) == frames.Loaded(
        handlers={
            "Base": ["shared"],
            "Admin": ["shared", "fetch", "add", "on_old"],
            "Default": ["fetch"],
        }
    )
    assert cell.invoke().text == "default"
    assert cell.invoke(entrypoint="Admin").text == "admin"
    assert cell.invoke(entrypoint="Admin", handler="add", arguments=[2, 3]).returned == 5
    assert cell.invoke(entrypoint="Base", handler="shared").returned == "shared"


@pytest.mark.parametrize(
    "name", ["_private", "helper", "make", "nothing", "__init__", "env", "ctx", "old"]
)
def test_what_is_no_rpc_method(cell, name):
    """Private, static, class and missing methods do not exist for a caller."""
    cell.load(NAMED)
    failed = cell.invoke(entrypoint="Admin", handler=name).failed
    assert (failed.name, failed.message) == ("TypeError", f"Method {name} does not exist")


def test_missing_entrypoint_and_handler(cell):
    """A missing entrypoint or handler is named."""
    cell.load(NAMED)
    assert "an entrypoint named Nobody" in cell.invoke(entrypoint="Nobody").failed.message
    assert "does not export a handler fetch()" in cell.invoke(entrypoint="Base").failed.message


def test_all_decides_what_is_exported():
    """__all__ says which names count; without it all public ones do."""

    class Default(WorkerEntrypoint):
        def fetch(self): ...

    class Other(WorkerEntrypoint):
        def fetch(self): ...

    module = {
        "Default": Default,
        "Other": Other,
        "_Hidden": Other,
        "WorkerEntrypoint": WorkerEntrypoint,
    }
    assert list(discover(module).listing()) == ["Default", "Other"]
    assert list(discover({**module, "__all__": ["Default"]}).listing()) == ["Default"]


def test_new_instance_for_each_invocation(cell):
    """State on self does not outlive the invocation; module state does."""
    cell.load("""
from workers import WorkerEntrypoint, Response
class Default(WorkerEntrypoint):
    def fetch(self):
        self.count = getattr(self, "count", 0) + 1
        return Response(str(self.count))
""")
    assert [cell.invoke().text for _ in range(2)] == ["1", "1"]


def test_unavailable_base_class(run):
    """It can be subclassed, so that a module loads; an instance is refused clearly."""
    source = """
from workers import WorkerEntrypoint, Response, WorkflowEntrypoint
class Thing(WorkflowEntrypoint):
    async def run(self): pass
class Default(WorkerEntrypoint):
    def fetch(self):
        Thing(self.ctx, self.env)
"""
    failed = run(source).failed
    assert failed.name == "NotImplementedError"
    assert "not available on this platform" in failed.message


def test_import_from_javascript(run):
    """Importing from JavaScript is an ImportError that says what to do."""
    source = """
from workers import WorkerEntrypoint, import_from_javascript
class Default(WorkerEntrypoint):
    def fetch(self):
        import_from_javascript("cloudflare:sockets")
"""
    assert run(source).failed.name == "ImportError"
