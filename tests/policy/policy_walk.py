"""Walks everything that a worker can read, to any depth, and prints what it should not reach.

Run as a program: the walk hardens its process. Each step is what worker code could do: the guard's
``getattr`` of any name, iteration of a container, ``vars``, ``dir``.
"""

import asyncio
import functools
import io
import json
import sys
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from executor.isolate.policy import (
    ModuleSpace,
    building,
    compile_sources,
    guards,
    handlers,
    ownership,
    warm_up,
)
from executor.isolate.policy.builtin_names import base_builtins
from executor.isolate.policy.facades import Facade, library
from executor.isolate.policy.names import FORBIDDEN_DUNDERS, INTERPRETER_ATTRIBUTES

SAMPLES = b"""
import asyncio, collections, contextlib, contextvars, csv, dataclasses, datetime, decimal, enum
import functools, io, itertools, json, logging, operator, os, queue, random, re, string, sys
import threading, time, types, typing, uuid, weakref, zlib, hashlib, hmac, struct, http.cookies
import argparse, codecs, configparser, inspect, pathlib, concurrent.futures, logging.config
import html.parser
import xml.etree.ElementTree as ET
class Own:
    "Doc."
    def __init__(self): self._x = 1
    def method(self): return self._x
    @property
    def prop(self): return 1
    @functools.cached_property
    def cached(self): return 1
    @classmethod
    def made(cls): return cls()
    @staticmethod
    def static(): pass
    def gen(self): yield 1
    async def co(self): pass
    async def agen(self): yield 1
@dataclasses.dataclass(order=True)
class Data:
    a: int = 0
class Color(enum.Enum):
    RED = 1
Tup = collections.namedtuple("Tup", "a b")
@functools.lru_cache
def lru(x): return x
@contextlib.contextmanager
def manager(): yield 1
@functools.singledispatch
def single(x): pass
def boom():
    try: 1 / 0
    except ZeroDivisionError as e: return e
class Sub(Own):
    def up(self): return super()
    def __exit__(self, *e): self.e = e
    def __enter__(self): return self
def trace():
    s = Sub()
    try:
        with s: raise KeyError(1)
    except KeyError: pass
    return s.e
co = Own().co(); co.close()
things = [
    Own(), Own, Own().method, Own().gen(), co, Own().agen(), Data(1), Data, Color, Color.RED,
    Tup(1, 2), Tup, lru, lru(1), manager, manager(), single, boom(), Sub().up(), trace(), lambda: 0,
    functools.partial(print, 1), functools.wraps(lru), dataclasses.fields(Data), weakref.ref(Own),
    re.compile("a"), re.match("a", "a"), io.StringIO(), io.BytesIO(), contextvars.copy_context(),
    decimal.getcontext(), datetime.datetime.now(), json.JSONEncoder(), logging.getLogger("x"),
    queue.Queue(), random.Random(), threading.Lock(), threading.RLock(), threading.local(),
    types.SimpleNamespace(), uuid.uuid4(), zlib.decompressobj(), zlib.compressobj(), hashlib.md5(),
    hmac.new(b"k", digestmod="md5"), struct.Struct("i"), http.cookies.SimpleCookie("a=1"),
    typing.List[int], typing.Optional[int], typing.TypeVar("T"), typing.ForwardRef("x"),
    list[int], int | str, csv.reader(["a"]), csv.writer(io.StringIO()), itertools.count(),
    operator.itemgetter(1), string.Template("x"), string.Formatter(), sys.modules,
    os.environ, contextlib.ExitStack(),
    weakref.WeakSet(), weakref.finalize(Own, print), memoryview(b"x"), iter([]), reversed([]),
    zip(), range(3), slice(1), map(str, []), {}.keys(), {}.items(), object(), print, getattr, type,
    super, vars(Own), "text".format, str.format, contextlib.suppress(KeyError), NotImplemented, ...]
parser = argparse.ArgumentParser()
config = configparser.ConfigParser(converters={"list": lambda text: text.split()})
config.read_string("[s]\\na=1")
things += [
    parser, parser.add_argument("--x"), parser.parse_args([]), parser.add_argument_group("g"),
    parser.add_subparsers(), argparse.FileType(), argparse.HelpFormatter("p"), config, config["s"],
    config.converters, pathlib.Path("a/b"), pathlib.Path("/").iterdir(),
    io.TextIOWrapper(io.BytesIO(b"x")), codecs.getincrementaldecoder("utf-8")(),
    codecs.lookup("hex"),
    inspect.signature(Own.method), inspect.signature(Data), inspect.signature(lru).bind(1),
    next(iter(inspect.signature(Own.method).parameters.values())), inspect.getfullargspec(boom),
    inspect.getmembers(Own), ET.fromstring("<a b='1'><c/>t</a>"), ET.ElementTree(ET.Element("a")),
    ET.XMLParser(), ET.XMLParser(target=Own()), ET.TreeBuilder(), ET.XMLPullParser(), ET.QName("a"),
    ET.fromstring("<a><b/></a>").iter(), ET.iterparse(io.StringIO("<a/>")),
    html.parser.HTMLParser(), concurrent.futures.ThreadPoolExecutor(),
    concurrent.futures.ThreadPoolExecutor().submit(len, ""),
    threading.Event(), threading.Condition(), threading.Semaphore(), threading.Barrier(1),
    threading.current_thread(), contextlib.redirect_stdout(io.StringIO()), sys.stdin, sys.stdout]
async def main():
    things.extend([asyncio.current_task(), asyncio.get_running_loop(), asyncio.Queue(),
        asyncio.Lock(), asyncio.Event(), asyncio.Semaphore(), asyncio.Condition(),
        asyncio.timeout(1), asyncio.TaskGroup(), asyncio.get_running_loop().create_future(),
        asyncio.create_task(asyncio.sleep(0)), asyncio.get_running_loop().call_soon(print),
        asyncio.sleep(0), asyncio.gather(asyncio.sleep(0))])
"""

BOUND = (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)
BAD_TYPES = (
    types.FrameType, types.CodeType, types.ModuleType, types.CellType, asyncio.AbstractEventLoop,
    io.TextIOWrapper, io.FileIO, io.BufferedWriter, io.BufferedReader, ModuleSpace, type(sys.flags),
)  # fmt: skip
BAD_VALUES = [
    type, eval, exec, compile, open, __import__, input, breakpoint, globals, locals, vars, getattr,
    setattr, delattr, str.format, str.format_map, types.FunctionType, types.CodeType,
    types.ModuleType, ownership.own_classes, sys.modules, building.subclassable,
    guards.writable_types, guards.HANDLERS, ownership.MARK,
]  # fmt: skip
BAD_HOMES = {
    "os", "posix", "nt", "subprocess", "socket", "_socket", "ctypes", "gc", "importlib", "shutil",
    "_frozen_importlib", "_frozen_importlib_external", "zipimport", "pickle", "_pickle", "signal",
    "code", "codeop", "linecache", "tokenize", "pathlib", "multiprocessing", "ssl", "_thread",
    "executor.isolate.policy.modules", "executor.isolate.policy.hardening",
}  # fmt: skip
ALLOWED_HOMES = {
    "os.PathLike", "os.fspath", "posix.fspath", "posix._path_normpath",
    "posix.urandom", "posix.strerror", "os._fscodec",
    "pathlib.PurePath", "pathlib.PurePosixPath", "pathlib._PathParents",
    "_thread.allocate_lock", "_thread.RLock",
    "_thread._local", "_thread.get_ident", "_thread.lock",
}  # fmt: skip


def problem(value: Any) -> str | None:
    """Why a worker should not hold this value, or None."""
    if isinstance(value, io.TextIOWrapper) and isinstance(value.buffer, io.BytesIO):
        return None
    if isinstance(value, BAD_TYPES) and not ownership.is_own_module(value):
        return f"a {type(value).__name__}"
    if any(value is bad for bad in BAD_VALUES):
        return "a value of the interpreter"
    if isinstance(value, type) and issubclass(value, type) and type(value) is type(type):
        return "a metaclass"
    if isinstance(value, dict) and ("__builtins__" in value or "__loader__" in value):
        return "a namespace"
    if not {"exec_module", "find_spec"}.isdisjoint(dir(value)):  # stubs have any name
        return "a loader"
    if callable(value) and not isinstance(value, Facade):
        return _bad_home(value)
    return None


def _bad_home(value: Any) -> str | None:
    home, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(home, str) or not isinstance(name, str) or home not in BAD_HOMES:
        return None
    full = f"{home}.{name}"
    inside = any(full == ok or full.startswith(f"{ok}.") for ok in ALLOWED_HOMES)
    return None if inside else f"an unlisted callable, {full}"


def steps(value: Any) -> Iterator[tuple[str, Any]]:
    """Everything one step away."""
    names = set(dir(value)) | INTERPRETER_ATTRIBUTES | set(FORBIDDEN_DUNDERS)
    for name in sorted(n for n in names if isinstance(n, str)):
        try:
            yield f".{name}", guards.read(value, name)
        except Exception:
            continue
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", item) for key, item in list(value.items()))
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))


def identity(value: Any) -> Any:
    """What makes a value one that was seen; bound methods are made anew at each step."""
    if isinstance(value, BOUND):
        return (
            type(value),
            getattr(value, "__qualname__", ""),
            type(getattr(value, "__self__", None)),
        )
    if isinstance(value, types.FunctionType) and value.__module__ == handlers.__name__:
        return value.__qualname__
    if isinstance(value, functools.partial):
        return type(value), identity(value.func)
    return id(value)


def walk(roots: dict[str, Any], limit: int = 200_000) -> tuple[list[str], int]:
    """What is reached and should not be, and how many objects were seen."""
    found: list[str] = []
    seen: dict[Any, Any] = {}
    queue = deque(roots.items())
    while queue and len(seen) < limit:
        path, value = queue.popleft()
        if isinstance(value, (str, bytes, int, float)) or (key := identity(value)) in seen:
            continue
        seen[key] = value
        if reason := problem(value):
            found.append(f"{path}: {reason}")
            continue
        if path.count(".") + path.count("[") < 9:
            queue += [(path + step, item) for step, item in steps(value)]
    return found, len(seen)


def extended_classes() -> dict[str, Any]:
    """An own subclass of each class that may be extended: it also reads what is private there."""
    classes: dict[str, Any] = {}
    for base in sorted(building.subclassable, key=repr):
        namespace = {"$base": base, "__builtins__": base_builtins(), "__name__": "worker"}
        result = compile_sources({"w.py": b"class C(BASE): pass"}, "w.py")
        assert not result.errors
        import marshal

        code = marshal.loads(result.modules["w"])[2]
        namespace["BASE"] = base
        try:
            exec(code, namespace)
        except TypeError:
            continue
        classes[f"subclass of {base.__name__}"] = namespace["C"]
    return classes


def given() -> list[Any]:
    """What only the platform makes, and hands to a worker: bindings and what they return, the
    arguments of events, and an object's context."""
    from cloister.events import QueueBatch, QueueMessage, Scheduled
    from executor.isolate.env import BINDINGS, Env, Unavailable, fill
    from executor.isolate.events import EVENTS
    from executor.isolate.workers import d1, objects, r2, storage
    from executor.isolate.workers.scheduled import ScheduledController

    env = Env()
    fill(env, {"TEXT": "a"}, {kind: kind for kind in BINDINGS})
    batch = QueueBatch(queue="q", messages=[QueueMessage("1", 0, 1, "json", b"{}")])
    described = {"key": "k", "version": "v", "size": 1, "etag": "e", "checksums": {"md5": "00"}}
    described |= {"uploaded": 0, "httpMetadata": {}, "customMetadata": {}, "body": b"x"}
    described |= {"storageClass": "Standard", "range": {"offset": 0, "length": 1}}
    rows = {"columns": ["a"], "rows": [[b"x"]], "rows_read": 1, "rows_written": 0}
    id_ = objects.DurableObjectId("N", "0" * 64, "name")
    database = d1.D1Database("D")
    return [
        env, *(getattr(env, kind) for kind in BINDINGS), Unavailable("U", "x"),
        EVENTS["queue"].argument(msgspec.msgpack.encode(batch)),
        ScheduledController(Scheduled(cron="* * * * *", scheduled_time=0)),
        EVENTS["tail"].argument(msgspec.msgpack.encode({"items": [{"a": 1}]})),
        r2.R2ObjectBody(described), r2.R2Object(described), r2.R2MultipartUpload("B", "k", "u"),
        database.prepare("SELECT 1"), database.withSession(), d1.D1Error("message"),
        objects.DurableObjectState(id_), id_, objects.DurableObjectNamespace("N").get(id_),
        objects.DurableObjectAbort("reason"), storage.Cursor(rows), storage.Cursor(rows).raw(),
        storage.Transaction(), env.dispatch_namespace.get("worker"),
    ]  # fmt: skip


def main() -> None:
    """Walk from the library, the builtins, samples of objects, what the platform hands to workers
    and extended classes."""
    warm_up()
    from executor.isolate.env import Env
    from executor.isolate.workers.facade import facades

    guests = given()

    compiled = compile_sources({"samples.py": SAMPLES}, "samples.py")
    assert not compiled.errors, compiled.errors
    space = ModuleSpace(compiled.modules, {}, facades(Env()))
    namespace = space.run_main("samples.py")
    asyncio.run(namespace["main"]())
    roots: dict[str, Any] = {f"import {name}": facade for name, facade in library().items()}
    roots |= {f"platform {name}": space.import_name(name) for name in ("workers", "asgi")}
    roots |= {n: v for n, v in base_builtins().items() if n.isidentifier() and n[:2] != "__"}
    roots |= {f"sample {i} {type(t).__name__}": t for i, t in enumerate(namespace["things"])}
    roots["own module"] = sys.modules["samples"]
    roots |= {f"given {type(each).__name__}": each for each in guests}
    roots |= extended_classes()
    if sys.argv[1:] == ["planted"]:
        roots = {
            "planted": types.SimpleNamespace(
                a=[{"b": json}],
                c=types.SimpleNamespace(d=sys._getframe()),
                e=(globals(),),
                f=sys.meta_path[-1],
            )
        }
    found, count = walk(roots)
    print(json.dumps({"found": found, "count": count}))


if __name__ == "__main__":
    main()
