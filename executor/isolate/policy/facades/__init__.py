"""The curated standard library of workers: every module a facade of its listed names."""

import functools
import importlib
from typing import Any

from executor.isolate.policy.facades.absent import HINTS
from executor.isolate.policy.facades.facade import Facade, make_facade
from executor.isolate.policy.facades.replacements import REAL_NAMES, REPLACEMENTS
from executor.isolate.policy.facades.table import FACADE_NAMES, MODULES
from executor.isolate.policy.receivers import guard

__all__ = ["FACADE_NAMES", "HINTS", "MODULES", "Facade", "library", "make_facade"]

_library: dict[str, Facade] = {}


def library() -> dict[str, Facade]:
    """Every facade by module name; the real modules are imported by the first call."""
    if not _library:
        for name in sorted(MODULES, reverse=True):  # a package is made after its modules
            _library[name] = _facade(name)
        for facade in _library.values():
            guard(vars(facade).values())
    return _library


def _facade(name: str) -> Facade:
    entry = MODULES[name]
    real = importlib.import_module(REAL_NAMES.get(name, name))
    replaced = REPLACEMENTS.get(name, {})
    contents = {
        n: _shared(_find(real, n, replaced)) for n in entry.listed() if _has(real, n, replaced)
    }
    for child in MODULES:
        parent, _, last = child.rpartition(".")
        if parent == name:
            contents[last] = _library[child]
    contents["__doc__"] = real.__doc__
    return make_facade(name, contents, entry.left_out)


def _has(real: Any, name: str, replaced: dict[str, Any]) -> bool:
    """A listed name may be missing from an older or newer Python."""
    return name in replaced or hasattr(real, name)


def _find(real: Any, name: str, replaced: dict[str, Any]) -> Any:
    return replaced[name] if name in replaced else getattr(real, name)


def _shared(value: Any) -> Any:
    """A collection of the library is copied: the library goes on using its own."""
    if type(value) in (dict, list, set) and value is not REPLACEMENTS["os"]["environ"]:
        return type(value)(value)
    if type(value) is functools._lru_cache_wrapper:
        return value.__wrapped__  # a worker could set attributes of the cache
    return value
