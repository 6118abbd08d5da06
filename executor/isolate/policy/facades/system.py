"""The harmless parts of ``os``, ``sys``, ``importlib``, ``time`` and ``uuid``."""

import gc
import io
import os
import posixpath
import sys
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NoReturn

from executor.isolate.policy import output
from executor.isolate.policy.facades import files

environ: dict[str, str] = {}
"""The worker's own plain variables, as ``os.environ``."""


def set_environ(variables: Mapping[str, str]) -> None:
    """Give the worker its plain variables as ``os.environ``."""
    environ.clear()
    environ.update(variables)


def getenv(key: str, default: Any = None) -> Any:
    """``os.getenv``."""
    return environ.get(key, default)


def getcwd() -> str:
    """``os.getcwd``: a worker has no file system, and its paths start here."""
    return "/"


def abspath(path: Any) -> str:
    """``os.path.abspath``."""
    return posixpath.normpath(posixpath.join("/", os.fspath(path)))


def relpath(path: Any, start: Any = "/") -> str:
    """``os.path.relpath``."""
    return posixpath.relpath(abspath(path), abspath(start))


def walk(top: Any, topdown: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """``os.walk`` over the uploaded files."""
    where = os.fspath(top)
    if not files.is_directory(where):
        return
    names = files.listdir(where)
    inner = [name for name in names if files.is_directory(posixpath.join(where, name))]
    here = (where, inner, [name for name in names if name not in inner])
    if topdown:
        yield here
    for name in inner:
        yield from walk(posixpath.join(where, name), topdown)
    if not topdown:
        yield here


def one() -> int:
    """``os.cpu_count``."""
    return 1


class Modules(Mapping[str, Any]):
    """``sys.modules`` of a worker: its own modules and what it has imported."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        return _modules()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_modules())

    def __len__(self) -> int:
        return len(_modules())


def _no_module(name: str) -> NoReturn:
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


_module_source: list[Callable[[], dict[str, Any]]] = [dict]
_finder: list[Callable[[str], Any]] = [_no_module]


def set_modules(source: Callable[[], dict[str, Any]], finder: Callable[[str], Any]) -> None:
    """Let ``sys.modules`` show what ``source`` returns and ``import_module`` use ``finder``."""
    _module_source[0], _finder[0] = source, finder


def _modules() -> dict[str, Any]:
    return _module_source[0]()


def import_module(name: str, package: str | None = None) -> Any:
    """``importlib.import_module``."""
    if type(name) is not str or not (package is None or type(package) is str):
        raise TypeError("a module's name is text")
    relative = name.lstrip(".")
    level = len(name) - len(relative)
    if not level:
        return _finder[0](name)
    if not package:
        raise TypeError("the 'package' argument is required to perform a relative import")
    parts = package.split(".")
    if level > len(parts):
        raise ImportError("attempted relative import beyond top-level package")
    return _finder[0](".".join([*parts[: len(parts) - level + 1], relative]).rstrip("."))


def exit_(code: Any = None, /) -> NoReturn:
    """``sys.exit``."""
    raise SystemExit(code)


def exc_info() -> tuple[Any, Any, Any]:
    """``sys.exc_info``; the traceback is opaque."""
    error = sys.exception()
    return (None, None, None) if error is None else (type(error), error, error.__traceback__)


def getsizeof(value: Any, default: Any = None, /) -> int:
    """``sys.getsizeof``."""
    return sys.getsizeof(value) if default is None else sys.getsizeof(value, default)


def setrecursionlimit(limit: int, /) -> None:
    """``sys.setrecursionlimit``: only lowering is possible, and it has no effect.

    Raises:
        ValueError: the limit is above the interpreter's.
    """
    if limit > sys.getrecursionlimit():
        raise ValueError("the recursion limit cannot be raised")


_collecting = [True]


def _collect(generation: int = 2) -> int:
    """``gc.collect``."""
    return gc.collect(generation)


def _set_collecting(wanted: bool) -> Callable[[], None]:
    def switch() -> None:
        """Only noted: the collector is the runtime's, too."""
        _collecting[0] = wanted

    return switch


def _constant(value: Any) -> Callable[..., Any]:
    def constant(*_arguments: Any, **_keywords: Any) -> Any:
        """The same for every worker: nothing is told of the host."""
        return value

    return constant


GC: dict[str, Any] = {
    "collect": _collect,
    "enable": _set_collecting(True),
    "disable": _set_collecting(False),
    "isenabled": lambda: _collecting[0],
}
PLATFORM: dict[str, Any] = {
    "system": _constant("Linux"),
    "platform": _constant("Linux"),
    "architecture": _constant(("64bit", "")),
    **dict.fromkeys(("machine", "node", "release", "version"), _constant("")),
    "python_compiler": _constant(""),
}
IMPORTLIB: dict[str, Any] = {"import_module": import_module}
OS: dict[str, Any] = {
    "environ": environ,
    "getenv": getenv,
    "getcwd": getcwd,
    "listdir": files.listdir,
    "walk": walk,
    "cpu_count": one,
    "strerror": os.strerror,
    "devnull": "/dev/null",
}
OS_PATH: dict[str, Any] = {
    "abspath": abspath,
    "realpath": abspath,
    "relpath": relpath,
    "exists": files.exists,
    "lexists": files.exists,
    "isfile": files.is_file,
    "isdir": files.is_directory,
    "islink": files.is_link,
    "getsize": files.size,
    "expanduser": os.fspath,
}
SYS: dict[str, Any] = {
    "argv": [""],
    "path": [],
    "modules": Modules(),
    "implementation": SimpleNamespace(
        name=sys.implementation.name, version=sys.implementation.version
    ),
    "platform": "linux",
    "stdout": output.stdout,
    "stderr": output.stderr,
    "exit": exit_,
    "exc_info": exc_info,
    "getsizeof": getsizeof,
    "setrecursionlimit": setrecursionlimit,
    "dont_write_bytecode": True,
    "stdin": io.StringIO(),
    "executable": "",
    "prefix": "/",
    "warnoptions": [],
    "orig_argv": [""],
}
