"""``copy`` without the hooks that would let one object's copy write into another.

The library's ``copy`` calls whatever ``__reduce_ex__`` returns and sets the state's names on
whatever that call returns, private names of the runtime's objects included. This one makes a
worker's object with ``object.__new__`` and copies its own state. It replaces the library's
functions in the isolate (hardening.py), since other modules call those on the worker's behalf.
"""

import array
import collections
import copy as _copy
import types
import weakref
from typing import Any

from executor.isolate.policy.ownership import is_own_class

Error = _copy.Error

_library_copy = _copy.copy
_library_deepcopy = _copy.deepcopy

_ATOMIC = (
    type(None), int, float, bool, complex, bytes, str, type, range, slice, property, type(...),
    type(NotImplemented), types.FunctionType, types.BuiltinFunctionType, types.MethodType,
    types.CodeType, weakref.ref,
)  # fmt: skip
_CONTAINERS = (
    list, dict, set, frozenset, tuple, bytearray, collections.deque, collections.OrderedDict,
    collections.defaultdict, collections.Counter, array.array,
)  # fmt: skip


def copy(x: Any) -> Any:
    """A shallow copy."""
    cls = type(x)
    if not is_own_class(cls):
        return x if issubclass(cls, type) else _library_copy(x)
    if (hook := getattr(cls, "__copy__", None)) is not None:
        return hook(x)
    return _rebuild(x, cls, None)


def deepcopy(x: Any, memo: dict[int, Any] | None = None, _nil: Any = None) -> Any:
    """A deep copy."""
    memo = {} if memo is None else memo
    if id(x) in memo:
        return memo[id(x)]
    cls = type(x)
    if cls in _ATOMIC or issubclass(cls, type):
        return x
    if (hook := getattr(cls, "__deepcopy__", None)) is not None and is_own_class(cls):
        result = hook(x, memo)
    elif is_own_class(cls):
        result = _rebuild(x, cls, memo)
    elif builder := _DEEP.get(cls):
        result = builder(x, memo)
    else:
        result = _library_deepcopy(x, memo)
    if result is not x:
        memo[id(x)] = result
        memo.setdefault(id(memo), []).append(x)
    return result


def _rebuild(x: Any, cls: type, memo: dict[int, Any] | None) -> Any:
    """A new object of a worker's class with the same contents and state."""
    if issubclass(cls, (str, int, float, complex, bytes, tuple, frozenset)):
        result = _immutable(x, cls, memo)
    else:
        base = next((b for b in cls.__mro__ if b in _CONTAINERS), object)
        result = _new(base, cls, x)
    if memo is not None:
        memo[id(x)] = result
    _fill(result, x, memo)
    _set_state(result, x, memo)
    return result


def _new(base: Any, cls: Any, x: Any) -> Any:
    if base is array.array:
        return array.array.__new__(cls, x.typecode)
    if issubclass(cls, BaseException):
        return cls.__new__(cls, *x.args)  # as the interpreter does
    return base.__new__(cls)


def _immutable(x: Any, cls: type, memo: dict[int, Any] | None) -> Any:
    if issubclass(cls, tuple):
        items = tuple(x) if memo is None else tuple(deepcopy(i, memo) for i in tuple.__iter__(x))
        return tuple.__new__(cls, items)
    kinds: tuple[Any, ...] = (str, int, float, complex, bytes, frozenset)
    base = next(kind for kind in kinds if issubclass(cls, kind))
    return base.__new__(cls, x)


def _fill(result: Any, x: Any, memo: dict[int, Any] | None) -> None:
    """Copy the items of a container, without calling the worker's own methods."""

    def part(item: Any) -> Any:
        return item if memo is None else deepcopy(item, memo)

    if isinstance(x, collections.defaultdict):
        result.default_factory = x.default_factory
    if isinstance(x, dict):
        for key, value in dict.items(x):
            dict.__setitem__(result, part(key), part(value))
    elif isinstance(x, list):
        list.extend(result, [part(item) for item in list.__iter__(x)])
    elif isinstance(x, set):
        set.update(result, [part(item) for item in set.__iter__(x)])
    elif isinstance(x, (collections.deque, bytearray, array.array)):
        result.extend([part(item) for item in x])


def _set_state(result: Any, x: Any, memo: dict[int, Any] | None) -> None:
    cls = type(x)
    if memo is not None and type(result) is not cls:
        return
    if "__getstate__" in _own_names(cls) or "__setstate__" in _own_names(cls):
        _set_custom_state(result, x, memo)
        return
    if (state := getattr(x, "__dict__", None)) and type(state) is dict:
        copied = dict(state) if memo is None else deepcopy(state, memo)
        object.__getattribute__(result, "__dict__").update(copied)
    for name in _slots(cls):
        descriptor = _slot(cls, name)
        try:
            value = descriptor.__get__(x, cls)
        except AttributeError:
            continue
        descriptor.__set__(result, value if memo is None else deepcopy(value, memo))


def _own_names(cls: type) -> set[str]:
    return {name for base in cls.__mro__ if is_own_class(base) for name in vars(base)}


def _set_custom_state(result: Any, x: Any, memo: dict[int, Any] | None) -> None:
    state = x.__getstate__()
    state = state if memo is None else deepcopy(state, memo)
    if "__setstate__" in _own_names(type(x)):
        result.__setstate__(state)
    elif isinstance(state, dict):
        object.__getattribute__(result, "__dict__").update(state)


def _slots(cls: type) -> list[str]:
    return [
        name
        for base in cls.__mro__
        if is_own_class(base)
        for name, value in vars(base).items()
        if isinstance(value, types.MemberDescriptorType)
    ]


def _slot(cls: type, name: str) -> Any:
    for base in cls.__mro__:
        if isinstance(found := vars(base).get(name), types.MemberDescriptorType):
            return found
    raise AttributeError(name)


def _deep_list(x: list[Any], memo: dict[int, Any]) -> list[Any]:
    result: list[Any] = []
    memo[id(x)] = result
    result.extend([deepcopy(item, memo) for item in x])
    return result


def _deep_dict(x: dict[Any, Any], memo: dict[int, Any]) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    memo[id(x)] = result
    for key, value in x.items():
        result[deepcopy(key, memo)] = deepcopy(value, memo)
    return result


def _deep_tuple(x: tuple[Any, ...], memo: dict[int, Any]) -> tuple[Any, ...]:
    items = [deepcopy(item, memo) for item in x]
    if id(x) in memo:
        return memo[id(x)]  # type: ignore[no-any-return] # it is the copy that a cycle made
    return x if all(a is b for a, b in zip(x, items, strict=True)) else tuple(items)


def _deep_ordered(x: Any, memo: dict[int, Any]) -> Any:
    result = _library_copy(x)
    result.clear()
    memo[id(x)] = result
    for key, value in x.items():
        dict.__setitem__(result, deepcopy(key, memo), deepcopy(value, memo))
    return result


def _deep_deque(x: Any, memo: dict[int, Any]) -> Any:
    result: Any = collections.deque(maxlen=x.maxlen)
    memo[id(x)] = result
    result.extend([deepcopy(item, memo) for item in x])
    return result


def _deep_set(x: set[Any], memo: dict[int, Any]) -> set[Any]:
    return {deepcopy(item, memo) for item in x}


def _deep_frozenset(x: frozenset[Any], memo: dict[int, Any]) -> frozenset[Any]:
    return frozenset([deepcopy(item, memo) for item in x])


def _deep_namespace(x: types.SimpleNamespace, memo: dict[int, Any]) -> types.SimpleNamespace:
    result = types.SimpleNamespace()
    memo[id(x)] = result
    vars(result).update(deepcopy(vars(x), memo))
    return result


_DEEP: dict[type, Any] = {
    list: _deep_list,
    dict: _deep_dict,
    tuple: _deep_tuple,
    set: _deep_set,
    frozenset: _deep_frozenset,
    collections.OrderedDict: _deep_ordered,
    collections.defaultdict: _deep_ordered,
    collections.Counter: _deep_ordered,
    collections.deque: _deep_deque,
    types.SimpleNamespace: _deep_namespace,
}
