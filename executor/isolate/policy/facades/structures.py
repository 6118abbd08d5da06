"""``dataclasses``, ``collections``, ``enum``, ``abc`` where they make classes."""

import abc
import collections
import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, overload

from executor.isolate.policy import guards, receivers
from executor.isolate.policy.facades.ordered import OrderedDict
from executor.isolate.policy.generated import (
    GeneratedTextRefused,
    check_field_name,
    check_fields,
)
from executor.isolate.policy.kinds import ABCMeta, EnumType
from executor.isolate.policy.names import GUARDED_PUBLIC, is_dunder, is_plain, refusal
from executor.isolate.policy.ownership import is_class, is_own_class


def check_member_names(names: Any) -> Any:
    """The members of an enum that is made by a call, each name checked.

    Raises:
        TypeError: a name belongs to the interpreter.
    """
    if isinstance(names, str):
        names = names.replace(",", " ").split()
    elif isinstance(names, Mapping):
        names = list(names.items())
    members = [name if isinstance(name, str) else tuple(name) for name in names]
    for member in members:
        name = member if isinstance(member, str) else member[0]
        if type(name) is not str or is_dunder(name) or refusal(name):
            raise TypeError(f"a member cannot be called {name!r}")
    return members


@overload
def dataclass(cls: type, /, **options: Any) -> type: ...
@overload
def dataclass(cls: None = None, /, **options: Any) -> Callable[[type], type]: ...
def dataclass(cls: type | None = None, /, **options: Any) -> Any:
    """``dataclasses.dataclass``, for the worker's own classes."""
    if cls is None:
        return lambda decorated: dataclass(decorated, **options)
    check_fields(guards.write_own(cls))
    fields = [name for name in vars(cls).get("__annotations__", {}) if check_field_name(name)]
    for name in fields:
        _check_inherited(cls, name)
    for base in cls.__mro__:
        fields += vars(base).get("__dataclass_fields__", {})
    if not all(map(is_plain, fields)):
        options["match_args"] = False  # patterns read names without a guard
    made: type = dataclasses.dataclass(cls, **options)
    is_own_class(made)  # slots=True makes another class
    return made


def _check_inherited(cls: type, name: str) -> None:
    """Refuse a field whose name is guarded on what the class extends: the library reads fields.

    Raises:
        GeneratedTextRefused: the class extends ``str``, say, and the field is called "format".
    """
    for base in cls.__mro__ if name in GUARDED_PUBLIC else ():
        if name in vars(base) and not is_own_class(base):
            reason = f"{base.__name__} has an attribute of that name"
            raise GeneratedTextRefused(f"a field cannot be called {name!r}: {reason}")


def fields(class_or_instance: Any) -> tuple[dataclasses.Field[Any], ...]:
    """``dataclasses.fields``: those of the class, whatever its instance says."""
    is_instance = not is_class(class_or_instance)
    return _library_fields(type(class_or_instance) if is_instance else class_or_instance)


def replace(obj: Any, /, **changes: Any) -> Any:
    """``dataclasses.replace``, of the fields of the object's class."""
    cls = type(obj)
    if not dataclasses.is_dataclass(cls):
        raise TypeError("replace() should be called on dataclass instances")
    class_variable, init_variable = (
        vars(dataclasses)[name] for name in ("_FIELD_CLASSVAR", "_FIELD_INITVAR")
    )
    known: dict[str, Any] = cls.__dataclass_fields__
    for field in known.values():
        if field._field_type is class_variable:
            continue
        if not field.init:
            if field.name in changes:
                raise ValueError(f"field {field.name} is declared with init=False")
        elif field.name not in changes:
            if field._field_type is init_variable and field.default is dataclasses.MISSING:
                raise ValueError(f"InitVar {field.name!r} must be specified with replace()")
            changes[field.name] = getattr(obj, field.name)
    return cls(**changes)


_library_fields = dataclasses.fields


def namedtuple(
    typename: str,
    field_names: str | Iterable[str],
    *,
    rename: bool = False,
    defaults: Iterable[Any] | None = None,
    module: str | None = None,
) -> type:
    """``collections.namedtuple``."""
    if isinstance(field_names, str):
        field_names = str(field_names).replace(",", " ").split()
    names = [str(name) for name in field_names]
    if any(map(refusal, names)):
        raise ValueError("a field name belongs to the interpreter")
    home = module or sys._getframe(1).f_globals.get("__name__", "builtins")
    made: type = _library_namedtuple(
        str(typename), names, rename=rename, defaults=defaults, module=home
    )
    receivers.guard_class(made)
    return made


_library_namedtuple: Any = vars(collections)["namedtuple"]


def update_abstractmethods(cls: type) -> type:
    """``abc.update_abstractmethods``, for the worker's own classes."""
    return abc.update_abstractmethods(guards.write_own(cls))


DATACLASSES: dict[str, Any] = {"dataclass": dataclass, "fields": fields, "replace": replace}
COLLECTIONS: dict[str, Any] = {"namedtuple": namedtuple, "OrderedDict": OrderedDict}
ABC: dict[str, Any] = {"ABCMeta": ABCMeta, "update_abstractmethods": update_abstractmethods}
ENUM: dict[str, Any] = {"EnumMeta": EnumType, "EnumType": EnumType}
