"""``dataclasses``, ``collections``, ``enum``, ``abc`` where they make classes."""

import abc
import collections
import dataclasses
import sys
from collections.abc import Callable, Iterable
from typing import Any, overload

from executor.isolate.policy import guards
from executor.isolate.policy.kinds import ABCMeta, EnumType
from executor.isolate.policy.names import is_dunder, is_plain, refusal
from executor.isolate.policy.ownership import is_own_class


def check_field_name(name: object) -> str:
    """A name that becomes part of generated source.

    Raises:
        TypeError: it is not an identifier that is harmless on every object.
    """
    if type(name) is not str or not name.isidentifier() or is_dunder(name):
        raise TypeError(f"a field cannot be called {name!r}")
    if refusal(name) or not (name.startswith("_") or is_plain(name)):
        raise TypeError(f'a field cannot be called "{name}"')
    return name


@overload
def dataclass(cls: type, /, **options: Any) -> type: ...
@overload
def dataclass(cls: None = None, /, **options: Any) -> Callable[[type], type]: ...
def dataclass(cls: type | None = None, /, **options: Any) -> Any:
    """``dataclasses.dataclass``, for the worker's own classes."""
    if cls is None:
        return lambda decorated: dataclass(decorated, **options)
    guards.write_own(cls)
    fields = [name for name in vars(cls).get("__annotations__", {}) if check_field_name(name)]
    if any(name.startswith("_") for name in fields):
        options["match_args"] = False  # patterns read names without a guard
    made = dataclasses.dataclass(cls, **options)
    is_own_class(made)  # slots=True makes another class
    return made


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
    for name in names:
        if not rename and not name.startswith("_"):
            check_field_name(name)
    if any(refusal(name) or not (name.startswith("_") or is_plain(name)) for name in names):
        raise ValueError("a field name is not available to workers")
    home = module or sys._getframe(1).f_globals.get("__name__", "builtins")
    return collections.namedtuple(  # noqa: PYI024 - it is the worker's own call
        str(typename), names, rename=rename, defaults=defaults, module=home
    )


def update_abstractmethods(cls: type) -> type:
    """``abc.update_abstractmethods``, for the worker's own classes."""
    return abc.update_abstractmethods(guards.write_own(cls))


DATACLASSES: dict[str, Any] = {"dataclass": dataclass}
COLLECTIONS: dict[str, Any] = {"namedtuple": namedtuple}
ABC: dict[str, Any] = {"ABCMeta": ABCMeta, "update_abstractmethods": update_abstractmethods}
ENUM: dict[str, Any] = {"EnumMeta": EnumType, "EnumType": EnumType}
