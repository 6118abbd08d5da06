"""From uploaded files to modules: names, packages, encodings."""

import codecs
import io
import keyword
import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from executor.isolate.frames import Issue
from executor.isolate.policy.bounds import MAX_LINE_CHARS, MAX_MODULE_BYTES

PLATFORM_MODULES = frozenset({"workers", "workers.asgi", "workers.wsgi", "asgi", "wsgi"})
"""Modules that the platform gives; the tenant-API facades answer for them."""

RESERVED = frozenset(
    {
        *sys.stdlib_module_names,
        *(name.partition(".")[0] for name in PLATFORM_MODULES),
        "__main__",
        "cloister",
        "control",
        "dispatcher",
        "executor",
        "msgspec",
        "RestrictedPython",
        "js",
        "pyodide",
    }
)
"""Top-level names that a worker's own module cannot have."""

VENDORED = "python_modules"
"""The directory of vendored packages, a second root beside the main module's."""

_ENCODINGS = frozenset({"utf-8", "ascii"})
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """One module of a worker: its dotted name and where it came from."""

    name: str
    file: str
    is_package: bool


class SourceRefused(Exception):
    """The file cannot be a module; the text says why, and ``line`` where, if that is known."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def module_of(file: str, main: str) -> ModuleFile | None:
    """The module that a file is, or None if the platform provides it instead.

    Raises:
        SourceRefused: the name is not a relative path of identifiers, or shadows a module.
    """
    parts = _segments(file)
    if parts[0] == VENDORED:
        parts = parts[1:]
        if parts and parts[0].removesuffix(".py") in {"workers", "asgi", "wsgi"}:
            return None
    else:
        parts = _below(parts, _segments(main)[:-1])
    is_package = parts[-1] == "__init__"
    names = parts[:-1] if is_package else parts
    if not names:
        raise SourceRefused("a package needs a directory of its own")
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise SourceRefused(f'"{name}" is not a Python module name; rename the file')
        if unicodedata.normalize("NFKC", name) != name:
            raise SourceRefused(
                f'"{name}" is not how Python reads this name; '
                f'rename the file to "{unicodedata.normalize("NFKC", name)}"'
            )
    if names[0] in RESERVED:
        raise SourceRefused(f'"{names[0]}" would shadow a module of that name; rename the file')
    return ModuleFile(".".join(names), file, is_package)


def _segments(file: str) -> list[str]:
    plain = file.removeprefix("./")
    if len(file) > 255 or plain.startswith("/") or "\\" in plain or "\0" in plain:
        raise SourceRefused("a module's name is a relative path with forward slashes")
    parts = plain.removesuffix(".py").split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise SourceRefused("a module's name is a relative path with forward slashes")
    return parts


def _below(parts: list[str], root: list[str]) -> list[str]:
    return parts[len(root) :] if parts[: len(root)] == root and len(parts) > len(root) else parts


def decode(data: bytes) -> str:
    """The text of a source file.

    Raises:
        SourceRefused: it is too large, not UTF-8, declares another encoding, or has null bytes.
    """
    if len(data) > MAX_MODULE_BYTES:
        size = f"{MAX_MODULE_BYTES // 1024} KiB"
        raise SourceRefused(f"the file is larger than {size}; keep data in KV, not in code")
    if (at := data.find(b"\0")) >= 0:
        raise SourceRefused("the file contains null bytes; save it as UTF-8 text", _line(data, at))
    data = data.removeprefix(codecs.BOM_UTF8)
    for number, line in enumerate(data[:1_000].splitlines()[:2], 1):
        _check_cookie(line, number)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = _line(data, error.start)
        raise SourceRefused(
            f"the file is not UTF-8 (byte {error.start}); save it as UTF-8", at
        ) from None
    for number, text_line in enumerate(lines(text), 1):
        if len(text_line) > MAX_LINE_CHARS:
            raise SourceRefused(f"the line is longer than {MAX_LINE_CHARS} characters", number)
    return text


def lines(text: str) -> Iterator[str]:
    """The lines as the parser counts them, each with its end."""
    return iter(io.StringIO(text, newline=None))


def _line(data: bytes, at: int) -> int:
    """The number of the line that the byte is on."""
    before = data[:at].replace(b"\r\n", b"\n")
    return before.count(b"\n") + before.count(b"\r") + 1


def _check_cookie(line: bytes, number: int) -> None:
    cookie = _COOKIE.match(line)
    if not cookie:
        return
    name = cookie.group(1).decode("ascii", "replace").lower().replace("_", "-")
    if name.removesuffix("-unix") not in _ENCODINGS | {"utf8", "us-ascii"}:
        raise SourceRefused(
            f'the encoding "{name[:40]}" is not accepted; save the file as UTF-8', number
        )


def issue(file: str, message: str, line: int = 0, column: int = 0) -> Issue:
    """A complaint about a file."""
    return Issue(message=message, module=file, line=line, column=column)
