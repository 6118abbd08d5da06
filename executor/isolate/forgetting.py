"""What the zygote forgets before it forks: where on the host it came from, and how to call C.

Nothing is protected by it: isolates can read no file, and the kernel refuses what they may not do.
But whoever breaks out of the language finds less lying about. The names of files in code objects
stay.
"""

import sys
from importlib.machinery import BuiltinImporter, FrozenImporter
from types import ModuleType

NATIVE = ("ctypes", "_ctypes")
"""Needed by the sandbox, which holds on to them; nobody else is to import them."""

_SYS_PATHS = (
    *("executable", "_base_executable", "prefix", "base_prefix", "exec_prefix"),
    *("base_exec_prefix", "_stdlib_dir", "_home"),
)


def forget_host() -> None:
    """To be called when everything is imported: from here on nothing is, but from memory."""
    forget_paths()
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter]
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            _forget_file(module)
    for name in list(sys.modules):
        if name.partition(".")[0] in NATIVE:
            del sys.modules[name]


def forget_paths() -> None:
    """Where programs and modules come from."""
    sys.argv[:] = sys.orig_argv[:] = [""]
    sys.path.clear()
    sys.path_importer_cache.clear()
    for name in _SYS_PATHS:
        setattr(sys, name, "")


def _forget_file(module: ModuleType) -> None:
    names = vars(module)
    for name in ("__file__", "__cached__"):
        names.pop(name, None)
    for name in ("__loader__", "__spec__"):
        if name in names:
            names[name] = None
    if "__path__" in names:
        names["__path__"] = []
