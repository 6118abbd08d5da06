"""``copy`` without the hooks that would let one object's copy write into another.

The library's ``copy`` calls whatever ``__reduce_ex__`` returns, sets the state's names on whatever
that call returns, and keeps the state of what it copies in a memo that a worker can read. This one
makes a worker's object with ``object.__new__`` and copies its own state; of the library's objects
it copies those that are data. It replaces the library's functions in the isolate (hardening.py),
since other modules call those on the worker's behalf.
"""

import calendar
import collections
import copy as _copy
import csv
import dataclasses
import datetime as dt
import decimal
import email.charset
import email.header
import email.headerregistry
import email.message
import email.mime.multipart
import email.mime.text
import email.policy
import enum
import fractions
import functools
import http.cookies
import io
import ipaddress
import json
import operator
import pathlib
import random
import re
import statistics
import string
import textwrap
import time
import types
import typing
import uuid
import weakref
import zoneinfo
from collections.abc import Callable, Iterator
from typing import Any

from executor.isolate.policy.etree import ET
from executor.isolate.policy.facades.arrays import Array
from executor.isolate.policy.facades.files import PosixPath
from executor.isolate.policy.facades.loggers import Logger, LoggerAdapter
from executor.isolate.policy.ownership import is_own_class

Error = _copy.Error

_SHARED = (
    type(None), int, float, bool, complex, bytes, str, range, slice, property, type(...),
    type(NotImplemented), types.FunctionType, types.BuiltinFunctionType, types.MethodType,
    types.CodeType, types.GenericAlias, types.UnionType, weakref.ref, classmethod, staticmethod,
    functools._lru_cache_wrapper, operator.itemgetter, time.struct_time, Logger, LoggerAdapter,
    dt.date, dt.datetime, dt.time, dt.timedelta, dt.timezone, zoneinfo.ZoneInfo, decimal.Decimal,
    fractions.Fraction, uuid.UUID, re.Pattern, re.Match, statistics.NormalDist,
    email.policy.EmailPolicy, email.policy.Compat32, email.charset.Charset,
    pathlib.PurePosixPath, PosixPath, dataclasses.Field,
    ipaddress.IPv4Address, ipaddress.IPv4Interface, ipaddress.IPv4Network,
    ipaddress.IPv6Address, ipaddress.IPv6Interface, ipaddress.IPv6Network,
)  # fmt: skip
"""Types whose objects do not change, so that a copy is the object itself."""

_SHARED_KINDS = (type, enum.Enum, vars(typing)["_Final"], email.headerregistry.BaseHeader)
"""Types of which the same is true with all their subclasses."""

_CONTAINERS = (
    list, dict, set, frozenset, tuple, bytearray, collections.deque, collections.defaultdict,
    collections.Counter,
)  # fmt: skip
_STATEFUL = (
    types.SimpleNamespace, collections.UserDict, collections.UserList, collections.UserString,
    collections.ChainMap, http.cookies.SimpleCookie, http.cookies.Morsel, string.Template,
    calendar.Calendar, calendar.TextCalendar, calendar.HTMLCalendar, textwrap.TextWrapper,
    csv.Dialect, csv.excel, json.JSONEncoder, email.header.Header, email.message.Message,
    email.message.EmailMessage, email.mime.multipart.MIMEMultipart, email.mime.text.MIMEText,
)  # fmt: skip
"""Types of the library that are data: an object is its items and what is in its ``__dict__``."""


class Memo(dict[int, Any]):
    """What ``deepcopy`` has copied, by identity: worker's hooks read and extend it.

    Only copies are in it; what must stay alive meanwhile is kept apart.
    """

    __slots__ = ("_alive",)

    def __init__(self, copies: Any = ()) -> None:
        super().__init__(copies)
        self._alive: list[Any] = []


def copy(x: Any) -> Any:
    """A shallow copy.

    Raises:
        TypeError: it is an object of the library or the platform that is no data.
    """
    cls = type(x)
    if _is_shared(cls):
        return x
    if is_own_class(cls) and (hook := getattr(cls, "__copy__", None)) is not None:
        return hook(x)
    return _new_copy(x, cls, None)


def deepcopy(x: Any, memo: dict[int, Any] | None = None, _nil: Any = None) -> Any:
    """A deep copy.

    Raises:
        TypeError: an object of the library or the platform in it is no data.
    """
    cls = type(x)
    if cls in _SHARED:
        return x
    kept = memo if type(memo) is Memo else Memo(memo if type(memo) is dict else ())
    key = id(x)
    if key in kept:
        return kept[key]
    if _is_shared(cls):
        return x
    if is_own_class(cls) and (hook := getattr(cls, "__deepcopy__", None)) is not None:
        result = hook(x, kept)
    else:
        result = _new_copy(x, cls, kept)
    if result is not x:
        kept[key] = result
        kept._alive.append(x)
    return result


def _is_shared(cls: type) -> bool:
    return cls in _SHARED or (issubclass(cls, _SHARED_KINDS) and not _has_hook(cls))


def _has_hook(cls: type) -> bool:
    """Whether an own enum says itself how its members are copied."""
    return is_own_class(cls) and any(name in _own_names(cls) for name in _HOOKS)


_HOOKS = ("__copy__", "__deepcopy__")


def _new_copy(x: Any, cls: type, memo: Memo | None) -> Any:
    if is_own_class(cls):
        return _rebuild(x, cls, memo)
    if builder := _BUILDERS.get(cls):
        return builder(x, memo)
    if cls in _STATEFUL or issubclass(cls, _CONTAINERS) or _is_exception(cls):
        return _rebuild(x, cls, memo)
    raise TypeError(f"cannot copy '{cls.__name__}' object")


def _is_exception(cls: type) -> bool:
    return issubclass(cls, BaseException) and not issubclass(cls, BaseExceptionGroup)


def _part(x: Any, memo: Memo | None) -> Any:
    return x if memo is None else deepcopy(x, memo)


def _rebuild(x: Any, cls: type, memo: Memo | None) -> Any:
    """A new object of the class with the same contents and state."""
    if issubclass(cls, (str, int, float, complex, bytes, tuple, frozenset)):
        result = _immutable(x, cls, memo)
        if memo is not None and id(x) in memo:
            return memo[id(x)]  # the copy that a cycle made
    else:
        base = next((b for b in cls.__mro__ if b in _CONTAINERS), object)
        result = _new(base, cls, x)
    if memo is not None:
        memo[id(x)] = result
    _fill(result, x, memo)
    _set_state(result, x, memo)
    return result


def _new(base: Any, cls: Any, x: Any) -> Any:
    if base is collections.deque:
        result = collections.deque.__new__(cls)
        collections.deque.__init__(result, (), collections.deque.maxlen.__get__(x))
        return result
    if issubclass(cls, BaseException):
        kind = next(base for base in cls.__mro__ if not is_own_class(base))
        return kind.__new__(cls, *x.args)  # as the interpreter does, but for a worker's own
    return base.__new__(cls)


def _immutable(x: Any, cls: type, memo: Memo | None) -> Any:
    if issubclass(cls, tuple):
        items = [_part(item, memo) for item in tuple.__iter__(x)]
        same = all(a is b for a, b in zip(tuple.__iter__(x), items, strict=True))
        return x if same and cls is tuple else tuple.__new__(cls, items)
    if issubclass(cls, frozenset):
        return frozenset.__new__(cls, [_part(item, memo) for item in frozenset.__iter__(x)])
    kinds: tuple[Any, ...] = (str, int, float, complex, bytes)
    base = next(kind for kind in kinds if issubclass(cls, kind))
    return base.__new__(cls, x)


def _fill(result: Any, x: Any, memo: Memo | None) -> None:
    """Copy the items of a container, without calling the worker's own methods."""
    if isinstance(x, collections.defaultdict):
        result.default_factory = x.default_factory
    if isinstance(x, dict):
        for key, value in list(dict.items(x)):
            dict.__setitem__(result, _part(key, memo), _part(value, memo))
    elif isinstance(x, list):
        list.extend(result, [_part(item, memo) for item in list.__iter__(x)])
    elif isinstance(x, set):
        set.update(result, [_part(item, memo) for item in set.__iter__(x)])
    elif isinstance(x, (collections.deque, bytearray)):
        result.extend([_part(item, memo) for item in x])


def _set_state(result: Any, x: Any, memo: Memo | None) -> None:
    cls = type(x)
    if result is x:
        return
    if "__getstate__" in _own_names(cls) or "__setstate__" in _own_names(cls):
        _set_custom_state(result, x, memo)
        return
    if (state := getattr(x, "__dict__", None)) and type(state) is dict:
        copied = {name: _part(value, memo) for name, value in state.items()}
        object.__getattribute__(result, "__dict__").update(copied)
    for name in _slots(cls):
        descriptor = _slot(cls, name)
        try:
            value = descriptor.__get__(x, cls)
        except AttributeError:
            continue
        descriptor.__set__(result, _part(value, memo))


def _own_names(cls: type) -> set[str]:
    return {name for base in cls.__mro__ if is_own_class(base) for name in vars(base)}


def _set_custom_state(result: Any, x: Any, memo: Memo | None) -> None:
    state = _part(x.__getstate__(), memo)
    if "__setstate__" in _own_names(type(x)):
        result.__setstate__(state)
    elif isinstance(state, dict):
        object.__getattribute__(result, "__dict__").update(state)


def _slots(cls: type) -> Iterator[str]:
    for base in cls.__mro__:
        if is_own_class(base):
            yield from (n for n, v in vars(base).items() if type(v) is types.MemberDescriptorType)


def _slot(cls: type, name: str) -> Any:
    for base in cls.__mro__:
        if isinstance(found := vars(base).get(name), types.MemberDescriptorType):
            return found
    raise AttributeError(name)


def copy_of_user(self: Any) -> Any:
    """``__copy__`` of ``UserDict`` and ``UserList``."""
    result = _rebuild(self, type(self), None)
    state = object.__getattribute__(result, "__dict__")
    state["data"] = state["data"].copy()
    return result


def _partial(x: functools.partial[Any], memo: Memo | None) -> functools.partial[Any]:
    args, named = _part(x.args, memo), _part(x.keywords, memo)
    return functools.partial(_part(x.func, memo), *args, **named)


def _random(x: random.Random, _memo: Memo | None) -> random.Random:
    result = random.Random()  # noqa: S311 - it is a copy of the worker's own
    result.setstate(x.getstate())
    return result


def _file(x: Any, _memo: Memo | None) -> Any:
    result = type(x)()
    result.write(x.getvalue())
    result.seek(x.tell())
    return result


def _context(x: decimal.Context, _memo: Memo | None) -> decimal.Context:
    return x.copy()


def _element(x: Any, memo: Memo | None) -> Any:
    result = ET.Element(_part(x.tag, memo), dict(_part(x.attrib, memo)))
    result.text, result.tail = _part(x.text, memo), _part(x.tail, memo)
    result.extend([_part(child, memo) for child in x])
    return result


_BUILDERS: dict[type, Callable[[Any, Memo | None], Any]] = {
    ET.Element: _element,
    Array: lambda x, _memo: x[:],
    functools.partial: _partial,
    random.Random: _random,
    io.StringIO: _file,
    io.BytesIO: _file,
    decimal.Context: _context,
}
