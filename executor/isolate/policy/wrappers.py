"""Functions around others, with their parameters: such a call costs a fraction of ``*args``."""

import functools
import re
import types
from collections.abc import Callable
from typing import Any

FILE = "<check>"
"""The file name of their code; no file of a worker has it."""

_PLACE = re.compile("CALL|FIRST")
_VARIADIC, _KEYWORDS = 0x04, 0x08
_FUNCTIONS = (types.FunctionType, functools._lru_cache_wrapper)
_COPIED = ("__module__", "__name__", "__qualname__", "__doc__")


def around(function: Any, template: str, names: dict[str, Any]) -> Any:
    """A function with the same parameters whose body is the template.

    In it ``CALL`` stands for the call of the function, ``FIRST`` for the first parameter; ``names``
    are the other names that it uses, of the form ``__name__`` as ``__type__`` is: no parameter is
    called so.
    """
    parameters, arguments, first = _parameters(function)
    parts = {"CALL": f"__function__({arguments})", "FIRST": first}
    code = _PLACE.sub(lambda found: parts[found[0]], template)
    wrapper = _maker(parameters, code, tuple(names))(function, *names.values())
    if type(function) is types.FunctionType:
        wrapper.__defaults__ = function.__defaults__
        wrapper.__kwdefaults__ = function.__kwdefaults__
    for name in _COPIED:
        if type(value := getattr(function, name, None)) is str:
            setattr(wrapper, name, value)
    attributes = vars(function) if type(function) in _FUNCTIONS else {}
    vars(wrapper).update({k: v for k, v in attributes.items() if k != "__wrapped__"})
    return wrapper


def is_wrapper(value: object) -> bool:
    """Whether :func:`around` made this function."""
    return type(value) is types.FunctionType and value.__code__.co_filename == FILE


def _parameters(function: Any) -> tuple[str, str, str]:
    """A function's parameters as they are defined, as they are passed on, and the first."""
    code = function.__code__ if type(function) is types.FunctionType else None
    if code is None or not code.co_argcount:
        return "__self__, /, *args, **kwargs", "__self__, *args, **kwargs", "__self__"
    names = code.co_varnames
    positional, count = names[: code.co_argcount], code.co_argcount
    keyword_only = names[count : count + code.co_kwonlyargcount]
    rest = list(names[count + code.co_kwonlyargcount :])
    optional = len(function.__defaults__ or ())
    defined = [n if i < count - optional else f"{n}=None" for i, n in enumerate(positional)]
    if code.co_posonlyargcount:
        defined.insert(code.co_posonlyargcount, "/")
    passed = list(positional)
    if code.co_flags & _VARIADIC:
        defined.append(f"*{rest[0]}")
        passed.append(f"*{rest.pop(0)}")
    elif keyword_only:
        defined.append("*")
    defaults = function.__kwdefaults__ or {}
    defined += [f"{n}=None" if n in defaults else n for n in keyword_only]
    passed += [f"{n}={n}" for n in keyword_only]
    if code.co_flags & _KEYWORDS:
        defined.append(f"**{rest[0]}")
        passed.append(f"**{rest[0]}")
    return ", ".join(defined), ", ".join(passed), positional[0]


@functools.cache
def _maker(parameters: str, body: str, names: tuple[str, ...]) -> Callable[..., Any]:
    lines = "".join(f"        {line}\n" for line in body.split("\n"))
    outer = ", ".join(("__function__", *names))
    text = f"def make({outer}):\n    def wrapper({parameters}):\n{lines}    return wrapper\n"
    namespace: dict[str, Any] = {"__builtins__": {}, "__type__": type}
    exec(compile(text, FILE, "exec"), namespace)  # noqa: S102 - our own text
    make: Callable[..., Any] = namespace["make"]
    return make
