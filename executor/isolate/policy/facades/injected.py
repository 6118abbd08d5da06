"""Builtins that modules of the library find instead of the interpreter's own.

Python code of the library looks a builtin up in its module first. There it finds the guarded one,
where it would read or write by name what a worker gave it, or open files.
"""

import argparse
import configparser
import os.path
import types
from collections.abc import Callable
from typing import Any

from executor.isolate.policy import guards, output
from executor.isolate.policy.etree import ET
from executor.isolate.policy.facades import files, mail, system, trees
from executor.isolate.policy.names import is_dunder

_HELP_COLUMNS = 78


def _own_of_argparse(value: Any, name: str) -> bool:
    """Whether ``argparse`` reads or writes an object of its own; a dunder name never counts."""
    ours = type(value).__module__ == "argparse" or isinstance(value, argparse._AttributeHolder)
    return ours and type(value) in _ARGPARSE_TYPES and type(name) is str and not is_dunder(name)


_ARGPARSE_TYPES = {kind for kind in vars(argparse).values() if isinstance(kind, type)}


def _unless_own(real: Callable[..., Any], guarded: Callable[..., Any]) -> Callable[..., Any]:
    def builtin(value: Any, name: str, /, *more: Any) -> Any:
        return (real if _own_of_argparse(value, name) else guarded)(value, name, *more)

    return builtin


def _vars(value: Any, /) -> dict[str, Any]:
    if type(value) in _ARGPARSE_TYPES:
        found: dict[str, Any] = vars(value)
        return found
    return dict(guards.read(value, "__dict__"))


_ARGPARSE: dict[str, Any] = {
    "open": files.open_,
    "vars": _vars,
    "getattr": _unless_own(getattr, guards.guarded_getattr),
    "hasattr": _unless_own(hasattr, guards.guarded_hasattr),
    "setattr": _unless_own(setattr, guards.guarded_setattr),
    "_": str,
    "ngettext": lambda one, many, number: one if number == 1 else many,
    "_sys": types.SimpleNamespace(
        argv=system.SYS["argv"],
        stdin=system.SYS["stdin"],
        stdout=output.stdout,
        stderr=output.stderr,
        exit=system.exit_,
    ),
    "_os": types.SimpleNamespace(path=types.SimpleNamespace(basename=os.path.basename)),
}
_CONFIGPARSER: dict[str, Any] = {
    "open": files.open_,
    "getattr": guards.guarded_getattr,
    "setattr": guards.guarded_setattr,
    "delattr": guards.guarded_delattr,
}
_ELEMENT_TREE: dict[str, Any] = {"open": files.open_, "XMLParser": trees.parser}

INJECTED: dict[types.ModuleType, dict[str, Any]] = {
    argparse: _ARGPARSE,
    configparser: _CONFIGPARSER,
    ET: _ELEMENT_TREE,
}


def install() -> None:
    """Put them there."""
    for module, names in INJECTED.items():
        vars(module).update(names)
    mail.install()
