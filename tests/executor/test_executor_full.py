"""The full language: what runs in its namespaces, what stays outside, and who may be in there."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from executor_house import ACCOUNT, Answer, House, house, worker

from cloister.languages import FULL, RESTRICTED
from cloister.limits import Limits
from cloister.outcomes import Outcome

EXAMPLES = Path(__file__).parents[2] / "examples"

FASTAPI = """
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from workers import asgi

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float = 1.5


@app.get("/sync/{number}")
def in_a_thread(number: int):
    return {"number": number}


@app.post("/items")
async def make(item: Item):
    return {"made": await run_in_threadpool(item.model_dump)}


Default = asgi.entrypoint(app)
"""

FLASK = """
from flask import Flask, render_template, request
from workers import wsgi

app = Flask(__name__)


@app.get("/")
def home():
    return render_template("home.html", name=request.args["name"])


Default = wsgi.entrypoint(app)
"""


PLAIN_PYTHON = """
import ast, functools, importlib, inspect, sys, typing

names = {}
exec("def made(x: int) -> int: return x + 1", names)
code = compile("6 * 7", "<made>", "eval")


class Meta(type):
    def __new__(mcs, name, bases, body):
        body["made_by"] = mcs.__name__
        return super().__new__(mcs, name, bases, body)


class Marked(metaclass=Meta):
    pass


Dynamic = type("Dynamic", (Marked,), {"value": property(lambda self: eval(code))})
made = names["made"]
said = f"{made(1)} {Dynamic().value} {Dynamic.made_by} {inspect.signature(made)}"
"""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running executor whose operator allows two frameworks, and a namespace that may use them
    beside one that may not."""
    directory: Path = tmp_path_factory.mktemp("full")
    with house(directory, packages=("fastapi", "flask"), blank_isolates=1) as made:
        made.namespace("full")
        made.registry.namespaces.set_language("full", "full")
        made.namespace("strict")
        yield made


def get(full: House, script: str, path: str, **fields: object) -> Answer:
    return full.call("full", script, url=f"http://{script}.localhost{path}", **fields)


def test_a_fastapi_app(full: House) -> None:
    """Synchronous endpoints, models and the thread pool work, though there is no thread."""
    full.deploy("full", "fastapi", FASTAPI)
    assert get(full, "fastapi", "/sync/7").body == b'{"number":7}'
    json = [("content-type", "application/json")]
    made = get(full, "fastapi", "/items", method="POST", headers=json, body=b'{"name": "a"}')
    assert (made.status, made.body) == (200, b'{"made":{"name":"a","price":1.5}}')
    assert get(full, "fastapi", "/sync/x").status == 422


def test_a_flask_app_with_a_template_of_its_own(full: House) -> None:
    """The template is a file of the upload, which the framework finds where it looks for files."""
    full.deploy("full", "flask", FLASK, ("templates/home.html", "<b>{{ name }}</b>"))
    assert get(full, "flask", "/?name=%3Cyou%3E").body == b"<b>&lt;you&gt;</b>"


def test_plain_python_runs_there_and_is_refused_elsewhere(full: House) -> None:
    """exec, eval, compile, metaclasses, type() and inspect: the same source, both languages."""
    source = worker("return Response(said)", top=PLAIN_PYTHON)
    full.deploy("full", "plain", source)
    assert get(full, "plain", "/").body == b"2 42 Meta (x: int) -> int"
    _, answer = full.compile(("worker.py", source))
    assert answer.errors


def test_limits_hold(full: House) -> None:
    """An endless loop ends at its CPU limit, an allocation storm at the memory's."""
    full.deploy("full", "loop", worker("while True: pass"), limits=Limits(cpu_ms=50))
    failure = full.call("full", "loop").failure
    assert failure is not None
    assert failure.outcome is Outcome.EXCEEDED_CPU
    full.deploy("full", "hog", worker("hog = []\nwhile True: hog.append(bytearray(10**7))"))
    failure = full.call("full", "hog").failure
    assert failure is not None
    assert failure.outcome is Outcome.EXCEEDED_MEMORY


def test_a_change_of_language_holds_at_once(full: House) -> None:
    """The same deployed version answers in the new language, compiled anew, and again in the old
    one: from the next request on, while isolates of the other are still warm."""
    full.namespace("changing")
    told = "return Response(type(print).__name__ + str('worker' in __import__('sys').modules))"
    full.deploy("changing", "hello", worker("import sys\nreturn Response(sys.platform)"))
    assert full.call("changing", "hello").body == b"linux"
    full.registry.namespaces.set_language("changing", FULL)
    full.deploy("changing", "told", worker(told))
    assert full.call("changing", "told").body == b"builtin_function_or_methodTrue"
    assert full.call("changing", "hello").body == b"linux"
    full.registry.namespaces.set_language("changing", RESTRICTED)
    assert full.call("changing", "hello").body == b"linux"
    for _ in range(2):
        failure = full.call("changing", "told").failure
        assert failure is not None
        assert failure.outcome is Outcome.EXCEPTION
        assert "refused now" in failure.message
    refused, _, ran = full.traces("changing", "told", 3)
    assert (refused.language, ran.language) == ("restricted", "full")
    (told_why,) = refused.exceptions
    assert (told_why.name, "__import__" in told_why.message) == ("SyntaxError", True)
    full.registry.namespaces.set_language("changing", FULL)
    assert full.call("changing", "told").body == b"builtin_function_or_methodTrue"


def test_the_same_source_in_both_languages(full: House) -> None:
    """Sources are kept by digest, which two namespaces can share; what each runs is its own."""
    source = worker("import sys\nreturn Response(type(sys.modules).__name__)")
    full.deploy("full", "same", source)
    full.deploy("strict", "same", source)
    assert full.call("full", "same").body == b"dict"
    assert full.call("strict", "same").body == b"Modules"
    assert full.call("full", "same").body == b"dict"


COUNTING = worker(
    """
count.append(1)
cache["n"] = cache.get("n", 0) + 1
return Response(f"{len(count)} {cache['n']}")
""",
    top="count = []\ncache = {}",
)


@pytest.mark.parametrize("language", [RESTRICTED, FULL])
def test_a_fresh_isolate_for_each_request(full: House, language: str) -> None:
    """Nothing of a worker's state survives a request where the namespace says so; it does where it
    does not, and a change holds from the next request on."""
    name = f"fresh-{language}"
    full.namespace(name)
    full.registry.namespaces.set_language(name, language)
    full.deploy(name, "count", COUNTING)

    def asked(times: int) -> list[bytes]:
        return [full.call(name, "count").body for _ in range(times)]

    assert asked(2) == [b"1 1", b"2 2"]
    full.registry.namespaces.update(ACCOUNT, name, fresh_isolates=True)
    full.wait_for(lambda: asked(1) == [b"1 1"])  # executors hear of a change within milliseconds
    assert asked(3) == [b"1 1"] * 3
    full.registry.namespaces.update(ACCOUNT, name, fresh_isolates=False)
    assert asked(2)[-1] != b"1 1"


def test_the_fastapi_example(full: House) -> None:
    """It does what its page says: a page from a file, models, documentation, data in KV."""
    directory = EXAMPLES / "fastapi" / "src"
    sources = {
        path.relative_to(directory).as_posix(): path.read_text()
        for path in directory.rglob("*")
        if path.suffix in {".py", ".html"}
    }
    store = full.registry.kv.namespaces.create(ACCOUNT, "notes")
    binding = {"type": "kv_namespace", "name": "NOTES", "namespace_id": store.id}
    full.deploy("full", "notes", sources.pop("entry.py"), *sources.items(), bindings=[binding])
    json = [("content-type", "application/json")]

    def ask(method: str, path: str, body: bytes = b"") -> Answer:
        return get(full, "notes", path, method=method, headers=json, body=body)

    assert ask("GET", "/").body.startswith(b"<h1>Notes</h1>")
    made = ask("POST", "/notes", b'{"text": "buy milk", "tags": ["home"]}')
    assert made.status == 201
    id_ = msgspec.json.decode(made.body)["id"]
    assert ask("GET", f"/notes/{id_}").body == b'{"text":"buy milk","tags":["home"]}'
    assert ask("GET", "/notes/none").status == 404
    assert ask("POST", "/notes", b'{"text": ""}').status == 422
    assert b"/notes/{key}" in ask("GET", "/openapi.json").body
