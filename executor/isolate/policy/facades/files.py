"""Files that were uploaded with the worker: ``open``, ``pathlib.Path`` and their like read them.

They are in memory, by the name that they were uploaded under, below ``/``. There are no others, and
nothing can be written.
"""

import errno
import io
import os
import pathlib
import posixpath
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from executor.isolate.policy import kinds

NO_WRITING = (
    "a worker cannot write files; io.StringIO and io.BytesIO are files in memory, "
    "and bindings such as KV store data"
)
NO_FILE = "a worker has only the files that were uploaded with it"

_files: dict[str, bytes] = {}
_directories: dict[str, list[str]] = {}


def set_files(data: dict[str, bytes]) -> None:
    """Give the worker the files that were uploaded with it, by name."""
    _files.clear()
    _directories.clear()
    _directories["/"] = []
    for name, content in data.items():
        path = absolute(name)
        _files[path] = content
        while path != "/":
            parent, _, last = path.rpartition("/")
            path = parent or "/"
            names = _directories.setdefault(path, [])
            if last not in names:
                names.append(last)


def absolute(path: Any) -> str:
    """The path from the root. Only text names a file here; bytes are decoded."""
    return posixpath.normpath(posixpath.join("/", os.fsdecode(os.fspath(path))))


def is_file(path: Any) -> bool:
    """``os.path.isfile``."""
    return absolute(path) in _files


def is_directory(path: Any) -> bool:
    """``os.path.isdir``."""
    return absolute(path) in _directories


def exists(path: Any) -> bool:
    """``os.path.exists``."""
    return is_file(path) or is_directory(path)


def is_link(path: Any) -> bool:
    """``os.path.islink``: there are none."""
    os.fspath(path)
    return False


def size(path: Any) -> int:
    """``os.path.getsize``."""
    return len(_content(path))


def listdir(path: Any = ".") -> list[str]:
    """``os.listdir``.

    Raises:
        FileNotFoundError: there is no such directory.
    """
    if (names := _directories.get(absolute(path))) is None:
        raise _missing(path)
    return list(names)


def _content(path: Any) -> bytes:
    where = absolute(path)
    if where in _directories:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if where not in _files:
        raise _missing(path)
    return _files[where]


def _missing(path: Any) -> FileNotFoundError:
    reason = f"{os.strerror(errno.ENOENT)} ({NO_FILE})"
    return FileNotFoundError(errno.ENOENT, reason, os.fspath(path))


class File(io.BytesIO):
    """An open file: a copy of the content that is not written to."""

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name = name

    def writable(self) -> bool:
        """It is not."""
        return False

    def _refuse(self, *_arguments: Any) -> NoReturn:
        raise io.UnsupportedOperation("write")

    write = writelines = truncate = _refuse


def open_(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: None = None,
) -> Any:
    """The builtin ``open``.

    Raises:
        PermissionError: the file would be written, or is a number.
        FileNotFoundError: it was not uploaded with the worker.
    """
    del buffering, closefd
    if opener is not None or isinstance(file, int):
        raise PermissionError(NO_FILE)
    letters = set(mode)
    if not letters <= set("rwaxbt+") or len(letters & set("rwax")) != 1 or letters >= {"b", "t"}:
        raise ValueError(f"invalid mode: {mode!r}")
    if letters & set("wax+"):
        raise PermissionError(NO_WRITING)
    if "b" in letters and (encoding or errors or newline) is not None:
        raise ValueError("binary mode doesn't take an encoding, errors or newline argument")
    binary = File(os.fsdecode(os.fspath(file)), _content(file))
    return binary if "b" in letters else text_over(binary, encoding, errors, newline)


def text_over(
    buffer: Any,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    line_buffering: bool = False,
    write_through: bool = False,
) -> io.TextIOWrapper:
    """``io.TextIOWrapper`` over bytes in memory. The interpreter's own trusts what it reads from.

    Raises:
        TypeError: the buffer is something else.
    """
    if type(buffer) not in (io.BytesIO, File):
        raise TypeError("io.TextIOWrapper() takes an io.BytesIO here")
    encoding = "utf-8" if encoding in (None, "locale") else encoding
    return io.TextIOWrapper(buffer, encoding, errors, newline, line_buffering, write_through)


def _unwritable(name: str) -> Callable[..., NoReturn]:
    def refuse(*_arguments: Any, **_keywords: Any) -> NoReturn:
        raise PermissionError(NO_WRITING)

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


class PosixPath(pathlib.PurePosixPath):
    """``pathlib.Path`` over the uploaded files."""

    __slots__ = ()

    @classmethod
    def cwd(cls) -> "PosixPath":
        """Where paths start."""
        return cls("/")

    home = cwd

    def open(
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Any:
        """Open the file, as ``open`` does."""
        return open_(self, mode, buffering, encoding, errors, newline)

    def read_bytes(self) -> bytes:
        """The content."""
        return _content(self)

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """The content as text."""
        with open_(self, "r", -1, encoding, errors) as file:
            return str(file.read())

    def exists(self) -> bool:
        """Whether it is a file or a directory."""
        return exists(self)

    def is_file(self) -> bool:
        """Whether it is a file."""
        return is_file(self)

    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return is_directory(self)

    def is_symlink(self) -> bool:
        """It is not."""
        return False

    def iterdir(self) -> Iterator["PosixPath"]:
        """What is in the directory."""
        return iter([self / name for name in listdir(self)])

    def _below(self) -> Iterator["PosixPath"]:
        for path in self.iterdir():
            yield path
            if path.is_dir():
                yield from path._below()

    def glob(self, pattern: str) -> Iterator["PosixPath"]:
        """What matches the pattern, which has one part or is ``**/`` and one."""
        if pattern.startswith("**/"):
            return self.rglob(pattern[3:])
        depth = len(pathlib.PurePosixPath(pattern).parts)
        found = [p for p in self._below() if len(p.relative_to(self).parts) == depth]
        return (p for p in found if p.relative_to(self).match(pattern))

    def rglob(self, pattern: str) -> Iterator["PosixPath"]:
        """What matches the pattern at any depth."""
        return (p for p in self._below() if p.match(pattern))

    def absolute(self) -> "PosixPath":
        """The path from the root."""
        return type(self)(posixpath.join("/", self))

    def resolve(self, strict: bool = False) -> "PosixPath":
        """The path from the root, without ``..``.

        Raises:
            FileNotFoundError: there is no such file, and ``strict`` is true.
        """
        if strict and not exists(self):
            raise _missing(self)
        return type(self)(absolute(self))

    def expanduser(self) -> "PosixPath":
        """The path itself: there are no users."""
        return self

    write_text = _unwritable("write_text")
    write_bytes = _unwritable("write_bytes")
    mkdir = _unwritable("mkdir")
    rmdir = _unwritable("rmdir")
    touch = _unwritable("touch")
    unlink = _unwritable("unlink")
    rename = _unwritable("rename")
    replace = _unwritable("replace")


PATHLIB: dict[str, Any] = {"Path": PosixPath, "PosixPath": PosixPath}
IO: dict[str, Any] = {
    "open": open_,
    "TextIOWrapper": kinds.stand_in(io.TextIOWrapper, make=text_over),
    **{
        name: kinds.stand_in(getattr(io, name))
        for name in ("IOBase", "RawIOBase", "BufferedIOBase", "TextIOBase", "BufferedReader")
    },
}
"""Of the classes behind files only ``isinstance`` is left: they trust what a subclass does."""
