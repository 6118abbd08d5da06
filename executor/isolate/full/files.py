"""A read-only tree of files in memory: the worker's own, and those of the packages.

``open()``, ``os.stat()``, ``os.listdir()`` and ``os.scandir()`` look there for what is below its
roots, and with them ``pathlib``, ``importlib.resources`` and the loaders of templates. All other
paths go to the system, which refuses them. Nothing can be written.
"""

import builtins
import errno
import io
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, Self

from executor.isolate.full.image import WORKER

ROOTS = (WORKER, "/python")

_WRITES = frozenset("wax+")


class Tree:
    """Files by absolute path."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._directories: dict[str, dict[str, None]] = {root: {} for root in ROOTS}

    def add(self, path: str, data: bytes) -> None:
        """Add a file, and the directories on the way to it."""
        self._files[path] = data
        while path not in ROOTS:
            parent, _, name = path.rpartition("/")
            self._directories.setdefault(parent, {})[name] = None
            path = parent

    def locate(self, path: Any) -> str | None:
        """The absolute path of what is, or could be, in the tree; None for anything else."""
        if isinstance(path, int):
            return None
        text = os.fsdecode(path)
        if not text:
            return None
        whole = posixpath.normpath(posixpath.join(WORKER, text))
        inside = any(whole == root or whole.startswith(root + "/") for root in ROOTS)
        return whole if inside else None

    def read(self, path: str) -> bytes:
        """A file's content. Raises ``OSError`` as the system would."""
        if path in self._directories:
            _fail(errno.EISDIR, path)
        if path not in self._files:
            _fail(errno.ENOENT, path)
        return self._files[path]

    def names(self, path: str) -> list[str]:
        """What is in a directory. Raises ``OSError`` as the system would."""
        if path not in self._directories:
            _fail(errno.ENOTDIR if path in self._files else errno.ENOENT, path)
        return list(self._directories[path])

    def state(self, path: str) -> os.stat_result:
        """What ``stat`` tells. Raises ``FileNotFoundError``."""
        if path in self._directories:
            mode, size = stat.S_IFDIR | 0o555, 0
        elif path in self._files:
            mode, size = stat.S_IFREG | 0o444, len(self._files[path])
        else:
            _fail(errno.ENOENT, path)
        return os.stat_result((mode, 0, 0, 1, 0, 0, size, 0, 0, 0))


class Entry:
    """An item of ``os.scandir()``."""

    __slots__ = ("_state", "name", "path")

    def __init__(self, name: str, path: str, state: os.stat_result) -> None:
        self.name = name
        self.path = path
        self._state = state

    def __fspath__(self) -> str:
        return self.path

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002 - the library's
        """Whether it is a directory."""
        return stat.S_ISDIR(self._state.st_mode)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002
        """Whether it is a file."""
        return stat.S_ISREG(self._state.st_mode)

    def is_symlink(self) -> bool:
        """There are none."""
        return False

    def is_junction(self) -> bool:
        """There are none."""
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:  # noqa: ARG002
        """What ``os.stat`` tells."""
        return self._state

    def inode(self) -> int:
        """Nothing has a number."""
        return 0


class Scan(Iterator[Entry]):
    """The answer of ``os.scandir()``."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = iter(entries)

    def __next__(self) -> Entry:
        return next(self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held open."""


def install(tree: Tree) -> None:
    """Let the library look into the tree."""
    real_open, real_access = io.open, os.access

    def open_(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        path = tree.locate(file)
        if path is None:
            return real_open(file, mode, *arguments, **options)
        return _opened(tree, path, mode, *arguments, **options)

    def scandir(path: Any = ".") -> Any:
        found = tree.locate(path)
        if found is None:
            _fail(errno.EACCES, path)
        shown = os.fsdecode(path)
        return Scan(
            Entry(name, posixpath.join(shown, name), tree.state(f"{found}/{name}"))
            for name in tree.names(found)
        )

    def access(path: Any, mode: int, **options: Any) -> bool:
        found = tree.locate(path)
        if found is None:
            return real_access(path, mode, **options)
        return not mode & os.W_OK and _exists(tree, found)

    for module in (io, builtins):
        vars(module)["open"] = open_
    os.stat = _looking(tree.locate, tree.state, os.stat)
    os.lstat = _looking(tree.locate, tree.state, os.lstat)
    os.listdir = _looking(tree.locate, tree.names, os.listdir, ".")
    os.scandir, os.access = scandir, access
    os.getcwd = lambda: WORKER
    os.getcwdb = lambda: WORKER.encode()


def _looking(locate: Any, inside: Any, outside: Any, *default: Any) -> Any:
    """A function of ``os`` that asks the tree first."""

    def ask(path: Any = default[0] if default else None, **options: Any) -> Any:
        found = locate(path)
        return outside(path, **options) if found is None else inside(found)

    return ask


def _exists(tree: Tree, path: str) -> bool:
    try:
        tree.state(path)
    except OSError:
        return False
    return True


def _opened(
    tree: Tree,
    path: str,
    mode: str,
    _buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    **_options: Any,
) -> Any:
    if _WRITES & set(mode):
        _fail(errno.EROFS, path)
    data = io.BytesIO(tree.read(path))
    if "b" in mode:
        return data
    return io.TextIOWrapper(data, encoding or "utf-8", errors, newline)


def _fail(number: int, path: Any) -> NoReturn:
    raise OSError(number, os.strerror(number), path)
