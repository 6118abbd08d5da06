"""The builtins of workers."""

import builtins
from typing import Any, NoReturn

from executor.isolate.policy import building, guards, methods, ownership
from executor.isolate.policy.facades import files
from executor.isolate.policy.handlers import visible_names
from executor.isolate.policy.kinds import safe_type, type_of
from executor.isolate.policy.output import guarded_print
from executor.isolate.policy.transformer import hidden

_PLAIN = """
None True False Ellipsis NotImplemented __debug__ abs aiter all anext any ascii bin bool bytearray
bytes callable chr classmethod complex dict divmod enumerate filter float format frozenset hash hex
id int isinstance issubclass iter len list map max memoryview min next object oct ord pow property
range repr reversed round set slice sorted staticmethod str sum super tuple zip
"""

LEFT_OUT: dict[str, str] = {
    "eval exec compile": "they make code that no policy has seen",
    "locals globals": "replaced: globals() is a copy, locals() is refused",
    "input open": "replaced: they raise, and say what to use",
    "breakpoint help exit quit license credits copyright": "they are for a console",
    "__import__": "replaced: it serves the import machinery only",
}
"""Builtins that are not the interpreter's own, with the reason."""

_EXCEPTIONS = [
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
]


def _vars(value: Any = None, /) -> Any:
    """The builtin ``vars`` of an object.

    Raises:
        TypeError: without an object, or for one that has no attributes to show.
    """
    if value is None:
        raise TypeError("vars() takes an object here")
    try:
        return guards.read(value, "__dict__")
    except AttributeError:
        raise TypeError("vars() argument must have __dict__ attribute") from None


def _dir(value: Any = None, /) -> list[str]:
    """The builtin ``dir`` of an object: the names that the worker can read."""
    if value is None:
        raise TypeError("dir() takes an object here")
    return visible_names(value)


def _input(_prompt: Any = "", /) -> NoReturn:
    """The builtin ``input``."""
    raise EOFError("a worker has no console; its input is the request")


def base_builtins() -> dict[str, Any]:
    """The names that every module of a worker finds as builtins, the hidden guards included."""
    names: dict[str, Any] = {
        name: getattr(builtins, name) for name in (*_PLAIN.split(), *_EXCEPTIONS)
    }
    names.update(
        __build_class__=building.build_class,
        getattr=guards.guarded_getattr,
        hasattr=guards.guarded_hasattr,
        setattr=guards.guarded_setattr,
        delattr=guards.guarded_delattr,
        vars=_vars,
        dir=_dir,
        type=safe_type,
        print=guarded_print,
        open=files.open_,
        input=_input,
    )
    return names | _hidden()


def _hidden() -> dict[str, Any]:
    return {
        **{hidden.builtin(name): getattr(builtins, name) for name in hidden.SELF_MATCHING},
        hidden.GETATTR: guards.read,
        hidden.GETATTR_PLAIN: getattr,
        hidden.HASATTR_PLAIN: hasattr,
        hidden.WRITE: guards.write,
        hidden.WRITE_OWN: guards.write_own,
        hidden.WRITE_DUNDER: guards.write_dunder,
        hidden.OWN: ownership.own_classes,
        hidden.TYPE: type,
        hidden.TYPE_OF: type_of,
        hidden.FOREIGN: guards.foreign,
        hidden.FOREIGN_OR_CLASS: guards.foreign_or_class,
        hidden.MARK: ownership.MARK,
        hidden.MATCH_ARGS: building.match_args,
        hidden.MATCHABLE: building.matchable,
        hidden.SUBCLASS_HOOK: methods.subclass_hook,
        hidden.NEW: methods.new,
    }
