"""Modules and files in memory, for an isolate that can open none.

An :class:`Image` is made in the zygote, while there is a file system: the bytecode of every module
of the standard library and of the packages that the operator allows, and the packages' other files.
It is shared by all isolates; a module is executed when it is first imported. Its paths are made up:
nothing of the host's shows in them.
"""

import importlib.util
import marshal
import os
import sysconfig
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import distribution
from pathlib import Path

LIBRARY = "/python/lib"
PACKAGES = "/python/packages"
WORKER = "/worker"
"""Where the standard library, the allowed packages and the worker's own files seem to be."""

MAX_FILE_BYTES = 1024 * 1024
"""Larger files of packages are left out; modules never are."""

NOT_OFFERED = frozenset(
    {
        *("__pycache__", "site-packages", "dist-packages", "lib-dynload"),
        *("test", "tests", "idlelib", "tkinter", "turtledemo", "turtle.py", "lib2to3"),
        *("ensurepip", "venv", "pydoc_data", "antigravity.py", "this.py", "__phello__"),
    }
)
"""Of the standard library: what is of no use to a worker, or is found elsewhere."""

_METADATA = ("METADATA", "entry_points.txt", "top_level.txt")


@dataclass(frozen=True, slots=True)
class Stored:
    """A module. ``code`` is marshalled; None for a directory that is only a namespace."""

    file: str
    is_package: bool
    code: bytes | None


@dataclass(slots=True)
class Image:
    """Modules by dotted name, other files by path, and the names of extension modules, which have
    to be imported while their files can be opened."""

    modules: dict[str, Stored] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    extensions: list[str] = field(default_factory=list)


def library_directory() -> Path:
    """The standard library of this Python."""
    return Path(sysconfig.get_path("stdlib"))


def take_library(image: Image, without: Collection[str]) -> None:
    """Add the standard library, but for the top-level modules of these names."""
    directory = library_directory()
    for path in sorted(directory.iterdir()):
        if path.name not in NOT_OFFERED and _top(path) not in without:
            _take(image, path, directory, LIBRARY)
    for path in directory.glob("_sysconfigdata*.py"):  # how and where the host's Python was built
        code = marshal.dumps(compile("build_time_vars = {}\n", path.name, "exec"))
        image.modules[path.stem] = Stored(f"{LIBRARY}/{path.name}", False, code)
    image.files.clear()  # zone data, grammars and the like: all of it has a home of its own
    extensions = sorted((directory / "lib-dynload").glob("*.so"))
    image.extensions += [name for path in extensions if (name := _top(path)) not in without]


def take_package(image: Image, name: str) -> None:
    """Add a top-level module or package, wherever it is installed.

    Raises:
        ModuleNotFoundError: it is not.
    """
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    places = spec.submodule_search_locations or [spec.origin or ""]
    for place in map(Path, places):
        if place.exists():
            _take(image, place, place.parent, PACKAGES)


def take_metadata(image: Image, name: str) -> None:
    """Add what ``importlib.metadata`` tells of an installed distribution."""
    found = distribution(name)
    directory = f"{PACKAGES}/{found.metadata['Name'].replace('-', '_')}-{found.version}.dist-info"
    for file in _METADATA:
        if text := found.read_text(file):
            image.files[f"{directory}/{file}"] = text.encode()


def _take(image: Image, path: Path, root: Path, seen_as: str) -> None:
    for file in _files(path):
        relative = file.relative_to(root)
        shown = f"{seen_as}/{relative}"
        names = [*relative.parts[:-1], _top(relative)]
        if names[-1] == "__init__":
            names.pop()
        is_module = all(map(str.isidentifier, names))
        if file.suffix == ".py" and is_module:
            code = _code(file, shown)
            if code is not None:
                image.modules[".".join(names)] = Stored(shown, file.name == "__init__.py", code)
                _add_parents(image, names, seen_as)
        elif file.name.endswith(tuple(EXTENSION_SUFFIXES)) and is_module:
            image.extensions.append(".".join(names))
        elif file.suffix not in {".py", ".pyc"} and file.stat().st_size <= MAX_FILE_BYTES:
            image.files[shown] = file.read_bytes()


def _add_parents(image: Image, names: list[str], seen_as: str) -> None:
    """A directory of modules without ``__init__.py`` is a package, too."""
    for end in range(1, len(names)):
        directory = f"{seen_as}/{'/'.join(names[:end])}"
        image.modules.setdefault(".".join(names[:end]), Stored(directory, True, None))


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for directory, below, files in os.walk(path):
        below[:] = sorted(name for name in below if name not in NOT_OFFERED)
        yield from (Path(directory, name) for name in sorted(files))


def _top(path: Path) -> str:
    return path.name.partition(".")[0]


def _code(file: Path, shown: str) -> bytes | None:
    """The marshalled code of a source file; None if that is no Python (a template, a test case)."""
    if (kept := _kept(file)) is not None:
        return kept
    try:
        code = compile(file.read_bytes(), shown, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    return marshal.dumps(code)


def _kept(file: Path) -> bytes | None:
    """What the interpreter keeps beside the source, if it is the source's."""
    try:
        data = Path(importlib.util.cache_from_source(str(file))).read_bytes()
    except OSError:
        return None
    state = file.stat()
    mark = int(state.st_mtime) & 0xFFFFFFFF, state.st_size & 0xFFFFFFFF
    head = importlib.util.MAGIC_NUMBER + b"".join(
        number.to_bytes(4, "little") for number in (0, *mark)
    )
    return data[len(head) :] if data.startswith(head) else None
