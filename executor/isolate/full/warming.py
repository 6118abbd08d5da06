"""Everything that an isolate of the full language may need is loaded before the sandbox closes."""

import gc
import importlib
import mimetypes
import sys
import types
from collections.abc import Sequence
from importlib.machinery import BuiltinImporter, FrozenImporter
from pathlib import Path

from cloister import languages
from executor.isolate import forgetting
from executor.isolate.full import absent, image, importing, space
from executor.isolate.full.importing import Finder
from executor.isolate.full.tracebacks import RUNTIME
from executor.isolate.policy import warming, zones

WITHHELD = frozenset({"_ctypes", "_ctypes_test", "ctypes"})
"""Modules of the standard library that have to be listed: they call into memory at will."""

NOT_LOADED = frozenset(
    {
        *("_curses", "_curses_panel", "_dbm", "_gdbm", "_tkinter", "nis", "ossaudiodev"),
        *("readline", "spwd", "xxlimited", "xxlimited_35"),
    }
)
"""Extension modules of the standard library that serve a terminal, or nobody."""

EARLY = (
    *("asyncio", "base64", "concurrent.futures.thread", "contextlib", "csv", "dataclasses"),
    *("datetime", "decimal", "email.message", "enum", "fractions", "hashlib", "html", "http"),
    *("http.cookies", "importlib.metadata", "importlib.resources", "inspect", "io", "json"),
    *("logging", "mimetypes", "multiprocessing", "pathlib", "pickle", "random", "re", "secrets"),
    *("shutil", "socket", "sqlite3", "ssl", "statistics", "string", "subprocess", "tempfile"),
    *("textwrap", "threading", "traceback", "types", "typing", "unittest", "urllib.parse"),
    *("urllib.request", "uuid", "warnings", "weakref", "xml.etree.ElementTree", "zoneinfo"),
)
"""Loaded beforehand, since so many programs want them; the rest is loaded when it is imported."""

_image = image.Image()


def warm_up(modules: Sequence[str], distributions: Sequence[str]) -> None:
    """Load the library and the allowed packages, and keep the rest of them in memory.

    A module that does not load is told of on standard error; workers meet the reason when they
    import it.

    Raises:
        ModuleNotFoundError: a package is not there.
    """
    sys.dont_write_bytecode = True
    mimetypes.init(files=[])
    warming.load_late_parts()
    zones.load()
    zones.install()
    for name in set(modules) - sys.stdlib_module_names:
        image.take_package(_image, name)
    packages = list(_image.extensions)
    for name in distributions:
        image.take_metadata(_image, name)
    for path, data in _image.files.items():
        space.TREE.add(path, data)
    files = dict(_image.files)
    image.take_library(_image, WITHHELD - set(modules))
    _image.files = files
    _load((*EARLY, *_image.extensions, *modules, *packages))
    space.changes[:] = absent.changes()
    for module in list(sys.modules.values()):
        importing.adjust(module)


def _load(names: Sequence[str]) -> None:
    """Import modules: those in C have to be, as later nothing can open their files."""
    for name in names:
        if name.startswith(("_test", "_xxtest")) or name in NOT_LOADED:
            continue
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever somebody's code does
            sys.stderr.write(f"zygote: {name} cannot be imported: {error!r}\n")


def forget_host(modules: Sequence[str]) -> None:
    """Let everything seem to come from memory, and hide what is not the worker's to import.

    Nothing is protected by it: code in the cell can find whatever is in its memory.
    """
    _rename_code()
    forgetting.forget_paths()
    finder = Finder(_image)
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, finder]
    sys.path_hooks[:] = [finder.listing]
    sys.path[:] = [image.WORKER, image.LIBRARY, image.PACKAGES]
    importable = (sys.stdlib_module_names - WITHHELD) | set(modules)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in importable:
            del sys.modules[name]
        elif isinstance(module, types.ModuleType):
            importing.settle(finder, name, module)
    sys.modules.pop("sysconfig", None)  # it has noted the host's paths; it is loaded anew
    sys.modules["__main__"] = types.ModuleType("__main__")


def _rename_code() -> None:
    """Functions come from the made-up paths too, so that tracebacks show no other."""
    roots = _roots()
    for found in gc.get_objects():
        if isinstance(found, types.FunctionType):
            file = found.__code__.co_filename
            for real, shown in roots:
                if file.startswith(real):
                    importing.rename(found.__code__, shown + file[len(real) :])
                    break


def _roots() -> list[tuple[str, str]]:
    """Real directories and what they seem to be, the deepest first."""
    sites = {Path(path) for path in sys.path if path.endswith("-packages")}
    ours = (Path(__file__).parents[2], Path(languages.__file__).parent)
    roots = [(path, f"{RUNTIME}/{path.name}") for path in ours]
    roots += [(image.library_directory(), image.LIBRARY)]
    roots += [(site, image.PACKAGES) for site in sites]
    longest_first = sorted(roots, key=lambda root: -len(root[0].parts))
    return [(str(real), shown) for real, shown in longest_first]
