"""KV bindings, as the tenant's code sees them."""

import json
import time
from typing import Any

import pytest
from workers_cell import LATER, Refused

from executor.isolate import frames

HEAD = """
import asyncio
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        kv = self.env.KV
"""


class Store:
    """The executor's side of a KV binding, in a dict."""

    def __init__(self, cell: Any) -> None:
        self.cell = cell
        self.waiting: Any = None
        self.values: dict[str, tuple[bytes, Any]] = {}
        self.puts: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.streams: dict[int, bytes] = {}
        self.reading: dict[int, list[bytes]] = {}

    def __call__(self, call: Any) -> Any:
        if call.target == "stream":
            return self._stream(call.method, *call.arguments)
        assert call.target == "KV"
        self.asked.append(call.options)
        self.waiting = call
        return getattr(self, f"_{call.method}")(call.options, *call.arguments)

    def _get(self, options, key):
        if key not in self.values:
            return None
        value, metadata = self.values[key]
        entry = {"value": value} if len(value) < 300_000 else {"stream": 9}
        self.reading[9] = [value[:200_000], value[200_000:], b""]
        return entry | ({} if metadata is None else {"metadata": metadata})

    def _get_many(self, options, keys):
        return [self._get(options, key) for key in keys]

    def _put(self, options, key, value):
        self.puts.append(options)
        self.values[key] = (value, options.get("metadata"))
        return LATER if "stream" in options else None

    def _delete(self, options, key):
        self.values.pop(key, None)

    def _list(self, options):
        names = sorted(name for name in self.values if name.startswith(options.get("prefix", "")))
        return {"keys": [{"name": name} for name in names], "list_complete": True}

    def _stream(self, method, stream, *data):
        if method == "read":
            return self.reading[stream].pop(0)
        self.streams[stream] = self.streams.get(stream, b"") + data[0]
        if not data[0]:
            self.cell.send(frames.Reply(call=self.waiting.call, value=None))
        return None


@pytest.fixture
def store(cell) -> Store:
    return Store(cell)


@pytest.fixture
def evaluate(run, store):
    """The value of an expression over ``kv``, as text."""

    def evaluate(expression: str) -> str:
        source = HEAD + f"        return Response(str({expression}))"
        return run(source, store, live={"KV": "kv_namespace"}).text

    return evaluate


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("await kv.get('a')", "one"),
        ("await kv.get('missing')", "None"),
        ("await kv.get('j', 'json')", "{'n': [1, {'m': 2}]}"),
        ("(await kv.get('j', type='json')).n[1].m", "2"),
        ("(await kv.get('j', {'type': 'json'}))['n'][0]", "1"),
        ("(await kv.get('a', 'arrayBuffer')).tobytes()", "b'one'"),
        ("[bytes(chunk) async for chunk in await kv.get('a', 'stream')]", "[b'one']"),
        ("await kv.get('a', None)", "one"),
        ("await kv.get('a', type=None, cacheTtl=60)", "one"),
        ("await kv.get(['a', 'missing'])", "{'a': 'one', 'missing': None}"),
        ("(await kv.get(['j'], 'json'))['j'].n[0]", "1"),
        ("(await kv.getWithMetadata('j')).metadata.by", "ada"),
        ("(await kv.getWithMetadata('missing'))['metadata']", "None"),
        ("(await kv.getWithMetadata('a')).value", "one"),
        ("(await kv.getWithMetadata(['a', 'j']))['j'].metadata.by", "ada"),
        ("(await kv.list(prefix='j')).list_complete", "True"),
        ("[key.name for key in (await kv.list({'prefix': 'j', 'limit': 5}))['keys']]", "['j']"),
        ("await kv.delete('missing')", "None"),
        ("len(await kv.get('big'))", "500000"),
        ("await kv.get('empty') == ''", "True"),
    ],
)
def test_reading(evaluate, store, expression, text):
    """get, getWithMetadata and list, in all their forms."""
    store.values = {
        "a": (b"one", None),
        "j": (b'{"n": [1, {"m": 2}]}', {"by": "ada"}),
        "big": (b"x" * 500_000, None),
        "empty": (b"", None),
    }
    seen = evaluate(expression)
    assert text is None or seen == text


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("'text'", b"text"),
        ("''", b""),
        ("b'bytes'", b"bytes"),
        ("bytearray(b'ba')", b"ba"),
        ("memoryview(b'mv')", b"mv"),
        ("Response('body').body", b"body"),
    ],
)
def test_put_values(evaluate, store, value, stored):
    """Text, bytes and bodies can be stored, the empty string too."""
    evaluate(f"await kv.put('k', {value})")
    assert store.values == {"k": (stored, None)}


def test_put_large_value_as_a_stream(evaluate, store):
    """A value too large for one frame is written as a stream that the call names."""
    evaluate("await kv.put('k', 'x' * 1_000_000, metadata={'a': 1})")
    (options,) = store.puts
    assert options["metadata"] == {"a": 1}
    assert store.streams == {options["stream"]: b"x" * 1_000_000}


@pytest.mark.parametrize("form", ["{options}", "**{options}"])
def test_put_options(evaluate, store, form):
    """Options go in a dict or by keyword, None meaning not given."""
    soon = int(time.time()) + 1000
    options = {"expiration": soon, "expirationTtl": 60, "metadata": {"a": [None, 1]}}
    evaluate(f"await kv.put('k', 'v', {form.format(options=options)})")
    assert store.puts == [{"expiration": soon, "expiration_ttl": 60, "metadata": {"a": [None, 1]}}]


def test_cache_ttl_goes_along(evaluate, store):
    """cacheTtl reaches the executor."""
    evaluate("await kv.get('k', cacheTtl=300)")
    assert store.asked == [{"cache_ttl": 300}]


@pytest.mark.parametrize(
    ("expression", "name", "message"),
    [
        ("kv.get('')", "TypeError", "Key name cannot be empty."),
        ("kv.get('.')", "TypeError", '"." is not allowed as a key name.'),
        ("kv.put('..', 'x')", "TypeError", '".." is not allowed as a key name.'),
        ("kv.get('\u00e9' * 257)", "ValueError", "length of 514 exceeds key length limit of 512"),
        ("kv.delete(5)", "TypeError", "A KV key is a str, not int"),
        ("kv.get('k', 'xml')", "TypeError", "Unknown response type"),
        ("kv.get(['k'], 'stream')", "ValueError", '"stream" is not a valid type'),
        ("kv.get(['k'] * 101)", "ValueError", "maximum of 100 keys"),
        ("kv.get('k', cacheTtl=5)", "ValueError", "Invalid cache_ttl of 5"),
        ("kv.get('k', 5)", "TypeError", "options must be a dict, not int"),
        ("kv.put('k', {})", "TypeError", "KV put() accepts only strings"),
        ("kv.put('k', None)", "TypeError", "KV put() accepts only strings"),
        ("kv.put('k', 'v', expirationTtl=59)", "ValueError", "Invalid expiration_ttl of 59"),
        ("kv.put('k', 'v', expirationTtl='x')", "ValueError", "Invalid expiration_ttl of x"),
        ("kv.put('k', 'v', expiration=1)", "ValueError", "Invalid expiration of 1"),
        ("kv.put('k', 'v', metadata='x' * 1025)", "ValueError", "Metadata length of 1027 exceeds"),
        ("kv.put('k', 'x' * (25 * 1024 * 1024 + 1))", "ValueError", "Value length of 26214401"),
        ("kv.list(limit=1001)", "ValueError", "Invalid key_count_limit of 1001"),
        ("kv.list(limit=0)", "ValueError", "Invalid key_count_limit of 0"),
    ],
)
def test_refused_without_asking(run, store, expression, name, message):
    """What breaks KV's rules is refused in the product's words, without a subrequest."""
    result = run(HEAD + f"        await {expression}", store, live={"KV": "kv_namespace"})
    assert result.failed.name == name
    assert message in result.failed.message
    assert result.calls == []


def test_invalid_json(run, store):
    """A value that is no JSON raises ValueError when read as such."""
    store.values = {"k": (b"{", None)}
    result = run(HEAD + "        await kv.get('k', 'json')", store, live={"KV": "kv_namespace"})
    assert result.failed.name == "JSONDecodeError"


def test_refusal(run):
    """What the executor refuses is the exception that it names."""

    def refuse(call):
        raise Refused("SubrequestLimit", "Too many subrequests.")

    result = run(HEAD + "        await kv.get('k')", refuse, live={"KV": "kv_namespace"})
    assert (result.failed.name, result.failed.message) == (
        "SubrequestLimit",
        "Too many subrequests.",
    )


def test_metadata_is_json(evaluate, store):
    """Metadata goes as JSON would carry it."""
    evaluate("await kv.put('k', 'v', metadata=(1, {2: 'x'}))")
    assert json.dumps(store.puts[0]["metadata"]) == '[1, {"2": "x"}]'
