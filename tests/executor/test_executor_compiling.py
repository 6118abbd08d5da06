"""Compile jobs through a real worker: what the control plane is told, and how soon."""

import time

import pytest
from executor_house import House, worker

from cloister.limits import Limits
from cloister.outcomes import Outcome

HELLO = worker('return Response("Hello")')


def test_a_good_worker(shared: House) -> None:
    """Handlers of every entrypoint, and the time that its top level took."""
    source = HELLO + (
        "    async def scheduled(self, controller, env, ctx):\n        pass\n\n"
        "class Other(WorkerEntrypoint):\n    async def name(self):\n        return 1\n"
    )
    _, answer = shared.compile(("worker.py", source))
    assert answer.errors == []
    assert answer.failure is None
    assert set(answer.handlers) == {"fetch", "scheduled"}
    assert answer.named_handlers == {"Other": ["name"]}
    assert 0 <= answer.startup_ms < 1000


def test_several_modules(shared: House, namespace: str) -> None:
    """Modules of the bundle import one another."""
    digest, answer = shared.compile(
        ("worker.py", "from helper import text\n" + worker("return Response(text)")),
        ("helper.py", "text = 'helped'\n"),
    )
    assert answer.errors == [], answer
    assert digest


def test_source_that_does_not_compile(shared: House) -> None:
    """The file, the line and the reason; every error, not only the first module's."""
    _, answer = shared.compile(
        ("worker.py", HELLO + "\ndef broken(:\n"), ("other.py", "x = 1\ny = = 2\n")
    )
    assert answer.failure is None
    places = {(each.module, each.line) for each in answer.errors}
    assert places == {("worker.py", 7), ("other.py", 2)}
    assert answer.handlers == []


def test_top_level_code_that_fails(shared: House) -> None:
    """The exception with the tenant's own traceback."""
    _, answer = shared.compile(("worker.py", HELLO + "\n1 / 0\n"))
    assert answer.errors[0].message.startswith("Uncaught ZeroDivisionError")
    assert "line 7" in answer.errors[0].message


def test_top_level_code_sees_the_bindings_of_the_upload(shared: House) -> None:
    """Plain values and secrets, as on the product; without them, the same source fails."""
    source = "from workers import env\n" + HELLO + "\nassert env.NAME + env.KEY == 'ab', 'no'\n"
    source += "assert env.STORE\n"
    bindings = [
        {"name": "NAME", "type": "plain_text", "text": "a"},
        {"name": "KEY", "type": "secret_text", "text": "b"},
        {"name": "STORE", "type": "kv_namespace", "namespace_id": "f" * 32},
    ]
    _, answer = shared.compile(("worker.py", source), bindings=bindings)
    assert (answer.errors, answer.handlers) == ([], ["fetch"])
    _, answer = shared.compile(("worker.py", source))
    assert "NAME" in answer.errors[0].message


BOMBS = {
    "parentheses": "x = " + "(" * 100_000,
    "nested lists": "x = " + "[" * 5_000 + "]" * 5_000,
    "unary": "x = " + "-" * 100_000 + "1",
    "constant": "x = 'a' * 10**10\n",
    "power": "x = 9**9**9\n",
    "long sum": "x = " + "+".join(["1"] * 200_000),
    "deep attributes": "x = a" + ".b" * 100_000,
    "many functions": "\n".join(f"def f{n}(): pass" for n in range(60_000)),
    "loop": "while True:\n    pass\n",
    "memory": "x = []\nwhile True:\n    x.append('y' * 1_000_000)\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(shared: House, name: str) -> None:
    """They end as an error in a few seconds, and the executor goes on."""
    started = time.monotonic()
    _, answer = shared.compile(("worker.py", HELLO + BOMBS[name]))
    assert time.monotonic() - started < 15  # CPU seconds on a machine that others use
    assert answer.errors, answer
    assert answer.failure in {None, Outcome.EXCEEDED_CPU, Outcome.EXCEEDED_MEMORY}
    assert shared.compile(("worker.py", HELLO))[1].errors == []


def test_startup_cpu(shared: House) -> None:
    """The product's sentence for top-level code that takes too long."""
    _, answer = shared.compile(("worker.py", HELLO + "\nwhile True:\n    pass\n"))
    assert answer.errors[0].message.startswith("Python Worker startup exceeded CPU limit")
    assert answer.failure is Outcome.EXCEEDED_CPU


def test_code_that_was_compiled_by_another_release(shared: House, namespace: str) -> None:
    """With no compiled blob of ours, the source is compiled when it is first called."""
    version = shared.deploy(namespace, "hello", HELLO + f"# {namespace}\n", compile_first=False)
    bundle = shared.registry.bundle(version)
    assert bundle is not None
    compiled = shared.directory / "blobs" / "compiled"
    assert not list(compiled.glob(f"{bundle.digest}*"))
    assert shared.call(namespace, "hello").body == b"Hello"
    assert len(list(compiled.glob(f"{bundle.digest}*"))) == 1


def test_source_that_is_gone(shared: House, namespace: str) -> None:
    """That is the platform's failure, not the tenant's."""
    version = shared.deploy(namespace, "hello", HELLO + f"#2 {namespace}\n", compile_first=False)
    bundle = shared.registry.bundle(version)
    assert bundle is not None
    shared.blobs.delete(f"source/{bundle.digest}")
    answer = shared.call(namespace, "hello")
    assert answer.failure is not None
    assert answer.failure.outcome is Outcome.INTERNAL


def test_loading_is_not_the_requests_time(shared: House, namespace: str) -> None:
    """A top level that takes longer than the request may take does not count against it."""
    source = "total = sum(range(3_000_000))\n" + HELLO
    shared.deploy(namespace, "heavy", source, limits=Limits(cpu_ms=20))
    answer = shared.call(namespace, "heavy")
    assert answer.body == b"Hello"
    assert shared.traces(namespace, "heavy")[0].cpu_ms < 20
