"""What a class statement does when it runs: bases, metaclass and patterns are checked."""

import abc
import argparse
import builtins
import collections
import collections.abc
import configparser
import contextlib
import csv
import datetime as dt
import decimal
import enum
import fractions
import html.parser
import io
import json
import numbers
import random
import string
import threading
import types
import typing
from collections.abc import Callable
from typing import Any

from executor.isolate.policy.facades.loggers import BASES
from executor.isolate.policy.facades.ordered import OrderedDict
from executor.isolate.policy.facades.testing import TestCase
from executor.isolate.policy.formatting import Formatter
from executor.isolate.policy.kinds import METACLASSES
from executor.isolate.policy.methods import attribute_getter
from executor.isolate.policy.names import GUARDED_PUBLIC, is_dunder, is_plain
from executor.isolate.policy.ownership import is_class, is_own_class
from executor.isolate.policy.receivers import guard_class

_BUILTIN_BASES = (
    object, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset,
    property,
)  # fmt: skip
_EXCEPTIONS = tuple(
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type)
    and issubclass(kind, BaseException)
    and not issubclass(kind, BaseExceptionGroup)  # except* trusts its split()
)
_DECIMAL_SIGNALS = tuple(
    kind
    for kind in vars(decimal).values()
    if isinstance(kind, type) and issubclass(kind, decimal.DecimalException)
)
_REPLACED = ("namedtuple", "OrderedDict")
_LIBRARY_BASES: tuple[Any, ...] = (
    abc.ABC,
    argparse.Action,
    argparse.ArgumentParser,
    argparse.HelpFormatter,
    argparse.Namespace,
    *(getattr(collections, name) for name in collections.__all__ if name not in _REPLACED),
    OrderedDict,
    *(getattr(collections.abc, name) for name in collections.abc.__all__),
    configparser.ConfigParser,
    configparser.RawConfigParser,
    contextlib.AbstractContextManager,
    contextlib.AbstractAsyncContextManager,
    contextlib.ContextDecorator,
    contextlib.AsyncContextDecorator,
    contextlib.ExitStack,
    contextlib.AsyncExitStack,
    csv.Dialect,
    csv.excel,
    dt.date,
    dt.datetime,
    dt.time,
    dt.timedelta,
    dt.tzinfo,
    decimal.Decimal,
    *_DECIMAL_SIGNALS,
    enum.Enum,
    enum.IntEnum,
    enum.Flag,
    enum.IntFlag,
    enum.StrEnum,
    enum.ReprEnum,
    fractions.Fraction,
    html.parser.HTMLParser,
    io.StringIO,
    io.BytesIO,
    json.JSONEncoder,
    json.JSONDecoder,
    json.JSONDecodeError,
    numbers.Number,
    numbers.Complex,
    numbers.Real,
    numbers.Rational,
    numbers.Integral,
    random.Random,
    string.Template,
    threading.local,
    types.SimpleNamespace,
    typing.Generic,
    typing.Protocol,
    *types.resolve_bases((typing.NamedTuple, typing.TypedDict)),
    Formatter,
    TestCase,
    *BASES,
)  # fmt: skip

subclassable: set[Any] = {*_BUILTIN_BASES, *_EXCEPTIONS, *_LIBRARY_BASES}
"""Classes of the library that a worker may extend.

An own subclass sees the private attributes of its bases, so a class is listed only if nothing
private in it leads out. Left out, with the reason: ``asyncio.Future`` and ``Task`` (``_loop``),
the asyncio synchronisation classes (``_get_loop``), exception groups (``except*`` trusts their
``split``), ``dataclasses.Field`` (its name becomes source text), ``type`` and other metaclasses.
"""


def build_class(
    body: Callable[..., Any], name: str, /, *bases: Any, metaclass: Any = None, **keywords: Any
) -> Any:
    """The builtin behind the class statement.

    Raises:
        TypeError: a base cannot be extended, or the metaclass is not one of the library's.
    """
    resolved = _resolved(bases)
    for base in resolved:
        if not may_extend(base):
            raise TypeError(f"{_name(base)} cannot be extended by a worker")
    _check_fields(resolved)
    if metaclass is not None:
        keywords["metaclass"] = _real_metaclass(metaclass)
    if keywords.get("metaclass") is abc.ABCMeta or any(
        isinstance(base, abc.ABCMeta) for base in resolved
    ):
        for base in resolved:
            _check_match_args(base)
    keywords["metaclass"] = _maker(name, bases, resolved, keywords)
    cls = builtins.__build_class__(body, name, *resolved, **keywords)
    is_own_class(cls)  # known from here on to the checks in methods
    if typing.NamedTuple in bases:
        guard_class(cls)
    return cls


def _resolved(bases: tuple[Any, ...]) -> tuple[Any, ...]:
    """The classes that the bases stand for: asked once, and only what ``typing`` made.

    Raises:
        TypeError: something else stands for a class.
    """
    for base in bases:
        if not is_class(base) and not _stands_for_class(base):
            raise TypeError(f"a base is a class, not a {type(base).__name__} object")
    return types.resolve_bases(bases)


def _stands_for_class(base: Any) -> bool:
    kind = type(base)
    if kind is types.FunctionType:
        return base is typing.NamedTuple or base is typing.TypedDict
    return kind in _ALIASES


_ALIASES = frozenset(
    [types.GenericAlias, type(collections.abc.Callable[[], None])]
    + [kind for kind in vars(typing).values() if isinstance(kind, type)]
)
"""Types of what may stand for a class in a list of bases."""


def _maker(
    name: str, bases: tuple[Any, ...], resolved: tuple[Any, ...], keywords: dict[str, Any]
) -> Callable[..., Any]:
    """A metaclass that checks what the class body has defined, before anything sees the class.

    Besides, it does what the interpreter does when it resolves bases itself.
    """
    kind, namespace, keywords_left = types.prepare_class(name, resolved, keywords)
    keywords.clear()
    keywords.update(keywords_left)

    def make(name: str, _bases: Any, namespace: Any, /, **more: Any) -> Any:
        if resolved is not bases:
            namespace["__orig_bases__"] = bases
        if "__slots__" in namespace:
            namespace["__slots__"] = _checked_slots(namespace["__slots__"])
        if "__getattribute__" in namespace:
            namespace["__getattribute__"] = attribute_getter(namespace["__getattribute__"])
        return kind(name, resolved, namespace, **more)

    make.__prepare__ = lambda *_arguments, **_keywords: namespace  # type: ignore[attr-defined]
    return make


def _real_metaclass(stand: Any) -> type:
    real = METACLASSES.get(id(stand))
    if real is None:
        raise TypeError("metaclasses are not available; use __init_subclass__ or a class decorator")
    return real


def may_extend(base: Any) -> bool:
    """Whether a class of the worker may have this base."""
    if not is_class(base):
        return False
    if is_own_class(base) or base in subclassable:
        return True
    return _is_namedtuple(base)


def _is_namedtuple(base: type) -> bool:
    """A class that ``collections.namedtuple`` made: a direct subclass of tuple with ``_fields``."""
    return type(base) is type and base.__bases__ == (tuple,) and "_fields" in vars(base)


def _name(base: Any) -> str:
    return getattr(base, "__name__", None) or type(base).__name__


def match_args(names: Any) -> tuple[str, ...]:
    """The value of a class's ``__match_args__``, which patterns read without a guard.

    Raises:
        TypeError: it is not a tuple of attribute names that are harmless on every object.
    """
    if type(names) is not tuple or any(type(name) is not str for name in names):
        raise TypeError("__match_args__ must be a tuple of strings")
    for name in names:
        if not is_plain(name):
            raise TypeError(f'a pattern cannot read the attribute "{name}"')
    return names


def _check_match_args(base: Any) -> None:
    """Field names of a base become patterns of a class that can claim foreign objects as its own.

    Only an abstract class can (``register``, ``__subclasshook__``), so only there they matter.
    """
    match_args(getattr(base, "__match_args__", ()))


def _check_fields(bases: tuple[Any, ...]) -> None:
    """Refuse a class whose fields have guarded names: the library reads what is called so.

    Raises:
        TypeError: one base is ``str``, say, and another a dataclass with a field "format".
    """
    classes = [cls for base in bases for cls in _mro.__get__(base)]
    fields = {name for cls in classes for name in vars(cls).get("__dataclass_fields__", ())}
    for name in fields & GUARDED_PUBLIC.keys():
        for cls in classes:
            if name in vars(cls) and not is_own_class(cls):
                raise TypeError(f"{cls.__name__} cannot be extended with a field {name!r}")


def matchable(cls: Any) -> Any:
    """The class of a pattern with positional parts, as it is when the pattern is tried.

    Raises:
        TypeError: such a pattern would read what a worker cannot.
    """
    if type(cls) not in _METACLASSES:
        if not is_class(cls):
            return cls  # the interpreter says that it is none
        raise TypeError("a pattern cannot use a class of this kind")
    names = getattr(cls, "__match_args__", None)
    if names is not None and _matchable.get(cls) is not names:
        _matchable[cls] = match_args(names)
    return cls


_matchable: dict[type, tuple[str, ...]] = {}
"""What was found harmless; a decorator may set others."""


_mro = type.__dict__["__mro__"]
_METACLASSES = frozenset(
    type(kind) for kind in (object, abc.ABC, enum.Enum, typing.Protocol, typing.Any)
)


def _checked_slots(slots: Any) -> Any:
    """The names in ``__slots__``, read once.

    Raises:
        TypeError: one is no text, or belongs to the interpreter: in an instance it would take the
            place of what the interpreter finds on the class.
    """
    names = slots if type(slots) in (str, dict) else tuple(slots)
    for slot in (names,) if type(names) is str else names:
        if type(slot) is not str or (is_dunder(slot) and slot not in ("__dict__", "__weakref__")):
            raise TypeError(f"__slots__ cannot contain {slot!r}")
    return names
