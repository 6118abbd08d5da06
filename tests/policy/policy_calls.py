"""Calls everything that a worker can call, with objects that are not meant for it.

Run as a program: the calls harden and hurt its process. Each call is one that worker code could
make, on its own objects, on the library's and on a recorder that keeps whatever it is handed. It
prints what came out, in results or to the recorder, that a worker must not hold, and which objects
of the runtime were changed.
"""

import asyncio
import contextlib
import contextvars
import json
import os
import random
import signal
import sys
import time
import types
from collections.abc import Iterator
from typing import Any

import policy_walk

from executor.isolate.env import Env
from executor.isolate.policy import ModuleSpace, compile_sources, guards, kinds, ownership, warm_up
from executor.isolate.policy.facades import Facade, library
from executor.isolate.policy.receivers import _UNCHECKED, _WITHOUT_SELF
from executor.isolate.policy.wrappers import is_wrapper

HOSTILE = b'''
import asyncio, collections, dataclasses, enum, json, logging, threading, typing, contextlib
seen = []
class Recorder:
    """Keeps what it is handed, and claims to have and to equal everything."""
    _asyncio_future_blocking = False
    def __init__(self, depth=0): self._depth = depth
    def __getattr__(self, name):
        if self._depth > 4: raise AttributeError(name)
        return Recorder(self._depth + 1)
    def __call__(self, *args, **kwargs):
        seen.extend([args, kwargs])
        return self
    def __eq__(self, other): seen.append(other); return False
    def __ne__(self, other): seen.append(other); return True
    def __lt__(self, other): seen.append(other); return True
    def __gt__(self, other): seen.append(other); return True
    def __hash__(self): return 1
    def __iter__(self): return iter([])
    def __next__(self): raise StopIteration
    def __len__(self): return 1
    def __bool__(self): return True
    def __index__(self): return 1
    def __float__(self): return 1.0
    def __getitem__(self, key):
        seen.append(key)
        raise IndexError(1)
    def __setitem__(self, key, value): seen.extend([key, value])
    def __contains__(self, item): seen.append(item); return True
    def __enter__(self): return self
    def __exit__(self, *error): seen.extend(error); return True
    def __await__(self): yield self
    def __get__(self, instance, owner): seen.extend([instance, owner]); return self
    def __set_name__(self, owner, name): seen.append(owner)
    def __format__(self, spec): return "1"
    def __str__(self): return "1"
    def __repr__(self): return "1"
    def __fspath__(self): return "/"
class Operators(Recorder):
    def __add__(self, other): seen.append(other); return self
    def __ror__(self, other): seen.append(other); return self
    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __add__
    __or__ = __and__ = __rand__ = __xor__ = __rxor__ = __mod__ = __rmod__ = __rlshift__ = __ror__
class Liar(Operators):
    def __init__(self, claimed): self._claimed = claimed; self._depth = 3
    def __getattribute__(self, name):
        if name == "__class__": return object.__getattribute__(self, "_claimed")
        return object.__getattribute__(self, name)
class Own:
    x: int = 1
    def method(self, *args): seen.extend(args); return self
class Abstract(collections.abc.Mapping):
    def __getitem__(self, key): seen.append(key); return 1
    def __iter__(self): return iter(["a"])
    def __len__(self): return 1
@dataclasses.dataclass
class Data:
    _loop: int = 1
class Color(enum.Enum): RED = 1
def function(*args, **kwargs): seen.extend([args, kwargs])
def generator():
    try: seen.append((yield 1))
    except BaseException as error: seen.append(error)
async def coroutine(): return 1
try: json.nope
except AttributeError as error: raised = error
small = [Operators(), Own(), Own, int, json.dumps, "x"]
pool = [*small, Liar(list), Liar(asyncio.Lock), Liar(type), Abstract(), Data(), Color.RED, function,
    json, json.JSONEncoder, logging.getLogger("x"), asyncio.Lock(), threading.Lock(), type, raised,
    types_list := [json, int, Own], {"a": Operators()}, 1, b"x", None, typing.List[int], list[Own],
    typing.Type[int], contextlib.ExitStack, property(function), classmethod(function), Own().method]
'''

DEADLINE_S = 0.3
SKIPPED = frozenset({"exit", "print", "input", "sleep", "help"})
EXEMPT = _UNCHECKED | _WITHOUT_SELF
C_MODULES = {
    "math",
    "cmath",
    "unicodedata",
    "zlib",
    "keyword",
    "struct",
    "binascii",
    "time",
    "html",
    "html.entities",
    "bisect",
    "heapq",
    "colorsys",
    "__future__",
    "array",
    "email",
    "urllib",
}
"""Modules of plain functions of C, on plain data."""


class TooLong(BaseException):
    """The call took longer than a call may take."""


def problem(value: Any, live: dict[int, str]) -> str | None:
    """Why a worker should not hold this value, or None."""
    if ownership.is_own(value) or ownership.is_own(getattr(value, "exec_module", None)):
        return None
    if id(value) in live and type(value) is dict:
        return f"the dictionary of {live[id(value)]}"
    if isinstance(value, type) and (value in kinds._STANDS or _is_metaclass(value)):
        return f"the real {value.__name__}"
    if isinstance(value, contextvars.Context | asyncio.AbstractEventLoop | types.CellType):
        return f"a {type(value).__name__}"
    behind = _behind(value) if type(value) is types.MappingProxyType else None
    if type(behind) is dict and ("__module__" in behind or id(behind) in live):
        return "a namespace"
    return policy_walk.problem(value)


def _behind(proxy: Any) -> Any:
    """The mapping behind a proxy, which a comparison hands over."""
    handed: list[Any] = []

    class Taker:
        __hash__ = None

        def __eq__(self, other: object) -> bool:
            handed.append(other)
            return True

    return handed.pop() if proxy == Taker() else None


def _is_metaclass(value: type) -> bool:
    return issubclass(value, type) and type(value) is not kinds._Stand


def live_dictionaries() -> dict[int, str]:
    """Namespaces of the runtime's modules and of its objects, by identity."""
    found = {
        id(vars(module)): f"the module {name}"
        for name, module in list(sys.modules.items())
        if isinstance(module, types.ModuleType) and not ownership.is_own_module(module)
    }
    for name, facade in library().items():
        found[id(vars(facade))] = f"the facade {name}"
        for key, value in vars(facade).items():
            if hasattr(value, "__dict__") and type(vars(value)) is dict:
                found.setdefault(id(vars(value)), f"{name}.{key}")
    return found


def state() -> dict[str, Any]:
    """What the classes and modules of the runtime hold, by name."""
    found: dict[str, Any] = {}
    for home, module in list(sys.modules.items()):
        if not isinstance(module, types.ModuleType) or ownership.is_own_module(module):
            continue
        for name, value in list(vars(module).items()):
            found[f"{home}.{name}"] = id(value)
            if isinstance(value, type) and not ownership.is_own_class(value):
                for attribute, item in list(vars(value).items()):
                    if attribute not in CHANGING:
                        found[f"{home}.{name}:{attribute}"] = id(item)
            elif isinstance(value, types.FunctionType):
                found[f"{home}.{name}:dict"] = sorted(map(str, vars(value)))
    return found


CHANGING = frozenset({"__annotations__", "__abstractmethods__", "_abc_impl", "__doc__"})
LAZY = ("base64._", "urllib.parse._typeprog", "mimetypes.", "_strptime.", "weakref.finalize:_")
"""What the library makes when it is first used."""


def callables(name: str, facade: Any, known: set[tuple[int, str]]) -> Iterator[tuple[str, Any]]:
    """What a worker can call of a module: functions, classes, and their methods, bound and not.

    A method is called on each class that defines it, not again on those that inherit it or in
    another module that has the class, which ``known`` is there for.
    """
    for key, value in sorted(vars(facade).items()):
        if key in SKIPPED or key.startswith("__") or "$" in key or isinstance(value, PASSIVE):
            continue
        yield f"{name}.{key}", value
        kind = value if isinstance(value, type) else type(value)
        for attribute in sorted(dir(value)) if kind is not types.FunctionType else ():
            owner = next((base for base in kind.__mro__ if attribute in vars(base)), kind)
            if (id(owner), attribute) in known:
                continue
            known.add((id(owner), attribute))
            try:
                yield f"{name}.{key}.{attribute}", guards.read(value, attribute)
            except Exception:
                continue


PASSIVE = (Facade, int, float, complex, str, bytes, dict, list, tuple, set, frozenset)


def arguments(
    pool: list[Any], small: list[Any], chance: random.Random
) -> Iterator[tuple[Any, ...]]:
    """Arguments to try."""
    yield ()
    yield from ((each,) for each in pool)
    yield from (tuple(chance.choices(small, k=2)) for _ in range(8))
    yield from (tuple(chance.choices(pool, k=count)) for count in (2, 2, 2, 3, 3))


class Caller:
    """Makes the calls and collects what came of them."""

    def __init__(self, namespace: dict[str, Any], live: dict[int, str]) -> None:
        self.seen: list[Any] = namespace["seen"]
        self.pool: list[Any] = namespace["pool"]
        self.small: list[Any] = namespace["small"]
        self.live = live
        self.found: set[str] = set()
        self.calls = 0

    def call(self, path: str, function: Any, given: tuple[Any, ...]) -> None:
        """One call, its result used a little."""
        self.calls += 1
        self.seen.clear()
        result: Any = None
        signal.setitimer(signal.ITIMER_REAL, DEADLINE_S, DEADLINE_S)
        try:
            result = function(*given)
            result = [result, *self._used(result)]
        except BaseException as error:
            result = [error]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        shown = ", ".join(type(each).__name__ for each in given)
        self._check(f"{path}({shown})", result, 3)
        self._check(f"{path}({shown}) to the recorder", list(self.seen), 3)

    def _used(self, result: Any) -> list[Any]:
        """What a worker gets out of a result by driving and reading it."""
        got: list[Any] = []
        if isinstance(result, types.GeneratorType | types.CoroutineType):
            for value in (None, None):
                try:
                    got.append(result.send(value))
                except BaseException as error:
                    got.append(getattr(error, "value", None))
            result.close()
        elif hasattr(type(result), "__next__"):
            got.append(next(result, None))
        elif callable(result) and not isinstance(result, type) and type(result) is not Facade:
            got.append(result(*self.small[:1]))
        for name in dir(result):
            try:
                got.append(guards.read(result, name))
            except Exception:
                continue
        return got

    def _check(self, path: str, value: Any, depth: int) -> None:
        if len(self.found) > 50 or isinstance(value, str | bytes | int | float):
            return
        if reason := problem(value, self.live):
            self.found.add(f"{path}: {reason}")
        elif depth and isinstance(value, list | tuple | set | frozenset):
            for item in list(value)[:50]:
                self._check(path, item, depth - 1)
        elif depth and isinstance(value, dict):
            for key, item in list(value.items())[:50]:
                self._check(path, key, depth - 1)
                self._check(path, item, depth - 1)


def unchecked_methods(facade: Any) -> Iterator[str]:
    """Methods of the library that a worker reads from a class without a check of the receiver."""
    for value in vars(facade).values():
        for cls in value.__mro__ if isinstance(value, type) else ():
            for name, item in vars(cls).items() if not ownership.is_own_class(cls) else ():
                found = type(item) is types.FunctionType and not is_wrapper(item)
                if found and name not in EXEMPT:
                    yield f"{cls.__qualname__}.{name}"


def attack(name: str, facade: Any, namespace: dict[str, Any], paths: set[str]) -> dict[str, Any]:
    """All calls of one module: of the callables at these paths."""
    caller = Caller(namespace, live_dictionaries())
    chance = random.Random(name)

    async def everything() -> None:
        for path, function in callables(name, facade, set()):
            if path in paths and callable(function):
                for given in arguments(caller.pool, caller.small, chance):
                    with contextlib.suppress(TooLong):  # it may come while the call cleans up
                        caller.call(path, function, given)

    asyncio.run(asyncio.sleep(0))
    before = state()
    asyncio.run(everything())
    after = state()
    differing = sorted(k for k in after if before.get(k) != after[k])
    changed = [k for k in differing if not k.startswith(LAZY) and "__warningregistry__" not in k]
    return {
        "calls": caller.calls,
        "found": sorted(caller.found),
        "changed": changed[:20],
        "unchecked": sorted(set(unchecked_methods(facade))),
    }


def _too_long(*_arguments: Any) -> None:
    raise TooLong


def main() -> None:
    """Attack each module in a process of its own, and print a line of JSON for each."""
    warm_up()
    from executor.isolate.workers.facade import facades

    compiled = compile_sources({"hostile.py": HOSTILE}, "hostile.py")
    assert not compiled.errors, compiled.errors
    space = ModuleSpace(compiled.modules, {}, facades(Env()))
    namespace = space.run_main("hostile.py")
    targets: dict[str, Any] = dict(library())
    targets |= {name: space.import_name(name) for name in ("workers", "asgi")}
    builtins = policy_walk.base_builtins().items()
    plain = {n: v for n, v in builtins if not (n[0].isupper() and n != "Exception")}
    targets["builtins"] = types.SimpleNamespace(**plain)
    targets["planted"] = types.SimpleNamespace(
        real=type, space=lambda: vars(json), write=lambda x: setattr(json.JSONDecoder, "x", x)
    )
    every = sorted(targets.keys() - C_MODULES - {"planted"})
    part, parts = map(int, sys.argv[1].split("/")) if "/" in sys.argv[1] else (0, 0)
    wanted = every[part::parts] if parts else sys.argv[1:]
    signal.signal(signal.SIGALRM, _too_long)
    known: set[tuple[int, str]] = set()
    paths = {n: {path for path, _ in callables(n, targets[n], known)} for n in every}
    paths["planted"] = {path for path, _ in callables("planted", targets["planted"], set())}
    for name in wanted:
        read, write = os.pipe()
        if not (pid := os.fork()):
            os.close(read)
            started = time.monotonic()
            report = attack(name, targets[name], namespace, paths[name])
            report["s"] = round(time.monotonic() - started, 2)
            os.write(write, json.dumps(report).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as stream:
            data = stream.read()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(json.dumps([name, json.loads(data or b"null"), status]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
