"""The isolate's life: load, invoke, fail, go on."""

from executor.isolate import frames

HELLO = """
from workers import WorkerEntrypoint, Response

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("Hello " + request.url)
"""


def test_hello(cell):
    """A worker loads, tells its handlers and answers, several times in the same process."""
    assert cell.load(HELLO) == frames.Loaded(handlers={"Default": ["fetch"]})
    for _ in range(3):
        result = cell.invoke()
        assert result.text == "Hello https://worker.example/"
        assert result.status == 200
        assert ("content-type", "text/plain;charset=UTF-8") in result.headers
        assert result.order == ["Head"]
