"""An isolate that was made ready before it was forked: as blank as any other, but warm."""

import sys
from collections.abc import Iterator

import pytest
from workers_cell import Cell, compiled

from executor.isolate import frames, main
from executor.isolate.invocation import runtime
from executor.isolate.policy import ownership

STATEFUL = """
from workers import WorkerEntrypoint, Response

count = 0
print("loading")

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        global count
        count += 1
        return Response(f"{count} {request.url}")
"""


@pytest.fixture
def prepared() -> Iterator[Cell]:
    """An isolate that prepared itself."""
    cell = Cell(main.prepare)
    yield cell
    cell.close()


def known() -> list[object]:
    """What counts as a worker's."""
    owned = (ownership._namespaces, ownership._modules, ownership._functions)
    return [set(ownership.own_classes), set(ownership._files), *map(dict, owned)]


def rehearse_and_look() -> None:
    """Prepare, and see to it that nothing is left of the rehearsal."""
    before = known()
    main.prepare()
    main._prepared[0].rehearse_alone()
    assert known() == before
    assert "rehearsal" not in sys.modules
    assert not ownership.is_own_class(main._Rehearsal)
    (isolate,) = main._prepared
    assert isolate._handlers is None
    assert isolate._loop.is_idle
    assert not isolate._loop._ready  # type: ignore[attr-defined]
    assert not isolate._loop._scheduled  # type: ignore[attr-defined]
    assert runtime.invocation is None
    assert runtime._early == []
    assert runtime.calls is not None
    assert not runtime.calls.pending
    assert not isolate.channel._arrived
    assert isolate._space._loaded == {}


def test_the_rehearsal_leaves_nothing() -> None:
    """No class, module or function counts as a worker's, nothing runs or waits, nothing is
    loaded: else the isolate ends before it is ready."""
    Cell(rehearse_and_look).close()


def test_it_answers_nothing_before_it_is_loaded(prepared: Cell) -> None:
    """The rehearsal's worker is gone: an Invoke ends the isolate."""
    prepared.send(frames.Invoke(url="http://x/"))
    assert prepared.receive() is None


def test_a_worker_of_the_rehearsals_name(prepared: Cell) -> None:
    """What was rehearsed is in nobody's way: a worker may be called the same, and its module finds
    the builtins that belong to it."""
    sources = {"main.py": "import rehearsal\nassert rehearsal.mine == 1" + STATEFUL}
    sources["rehearsal.py"] = "mine = 1\nassert globals()['mine'] == 1"
    loaded = prepared.load("", modules=compiled(sources).modules)
    assert loaded == frames.Loaded(handlers={"Default": ["fetch"]})
    assert prepared.invoke(url="http://x/").text == "1 http://x/"


def test_it_becomes_a_worker_as_any_other(prepared: Cell) -> None:
    """The twin: loaded, it starts with that worker's first request and log."""
    assert prepared.load(STATEFUL) == frames.Loaded(handlers={"Default": ["fetch"]})
    first = prepared.invoke(url="http://x/")
    assert (first.text, first.lines) == ("1 http://x/", [("log", "loading")])
    second = prepared.invoke(url="http://y/")
    assert (second.text, second.lines) == ("2 http://y/", [])
