"""The harmless parts of ``os``, ``sys``, ``importlib``, ``time`` and ``uuid``."""

import os
import posixpath
import sys
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NoReturn

from executor.isolate.policy import output

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


def _nothing_there(path: Any) -> bool:
    """``os.path.exists`` and the like: there are no files."""
    os.fspath(path)
    return False


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


IMPORTLIB: dict[str, Any] = {"import_module": import_module}
OS: dict[str, Any] = {"environ": environ, "getenv": getenv, "getcwd": getcwd}
OS_PATH: dict[str, Any] = {
    "abspath": abspath,
    "realpath": abspath,
    "relpath": relpath,
    **dict.fromkeys(("exists", "isfile", "isdir", "islink", "lexists"), _nothing_there),
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
}
