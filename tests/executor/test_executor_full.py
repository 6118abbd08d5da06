"""The full language: what runs in its namespaces, what stays outside, and who may be in there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from executor_house import Answer, House, house, worker

from cloister.limits import Limits
from cloister.outcomes import Outcome

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
