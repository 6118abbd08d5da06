"""Source text that ``dataclasses`` makes and runs: checked where it runs.

Its methods get the check of the receiver that the worker's own methods have, since they read a
class's private fields from whatever they are called on.
"""

import dataclasses
import re
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

from executor.isolate.policy import guards, ownership
from executor.isolate.policy.names import is_dunder, refusal

_TEMPLATE_WORDS = frozenset(
    {"__create_fn__", "__class__", "__qualname__", "__post_init__", "__setattr__", "__delattr__"}
    | {f"__{name}__" for name in ("init", "repr", "eq", "lt", "le", "gt", "ge", "hash")}
)
_WORD = re.compile(r"[^\W\d]\w*")
_TEXT = re.compile(r"[\w\s.,:=()\[\]'\"!{}+<>*@-]*")
_PARAMETER = r"(?:\*|\w+(?::\w+)?(?:=\w+)?)"
_METHOD = re.compile(rf" def \w+\((\w+)(?:,{_PARAMETER})*\)(?:->\w+)?:")
_OUTER = "def __outer__(__kind__, __own__, __foreign__):"


class GeneratedTextRefused(TypeError):
    """The text is not what ``dataclasses`` makes of ordinary fields."""


def check_fields(cls: type) -> None:
    """Check the fields that a new dataclass inherits: their names become source text.

    Raises:
        GeneratedTextRefused: one is not a field as ``dataclasses`` makes it.
    """
    for base in cls.__mro__:
        for name, field in vars(base).get("__dataclass_fields__", {}).items():
            if type(field) is not dataclasses.Field or field.name is not name:
                raise GeneratedTextRefused(f"{base.__name__} has a field that is none")
            check_field_name(name)
    if not ownership.is_own_module(sys.modules.get(cls.__module__)):
        raise GeneratedTextRefused("a dataclass belongs to a module of the worker")


def check_field_name(name: object) -> str:
    """A name that becomes part of generated source.

    Raises:
        GeneratedTextRefused: it is not an identifier, or belongs to the interpreter.
    """
    if type(name) is not str or not name.isidentifier() or is_dunder(name) or refusal(name):
        raise GeneratedTextRefused(f"a field cannot be called {name!r}")
    return name


def run(text: str, namespace: dict[str, Any], results: dict[str, Any]) -> None:
    """What ``dataclasses`` calls for ``exec``."""
    if not ownership.is_own_namespace(namespace):  # the library's own dataclass
        exec(text, namespace, results)  # noqa: S102 - the library's text for the library's class
        return
    check_text(text)
    made: dict[str, Any] = {}
    exec(_with_checks(text), namespace, made)  # noqa: S102 - checked above
    results["__create_fn__"] = made["__outer__"](type, ownership.own_classes, guards.foreign)


def check_text(text: str) -> None:
    """Refuse text that holds anything but the library's templates with names of fields in them.

    Raises:
        GeneratedTextRefused: it does.
    """
    words = set(_WORD.findall(text)) - _TEMPLATE_WORDS
    for word in words:
        if refusal(word) or (is_dunder(word) and not word.startswith("__dataclass_")):
            raise GeneratedTextRefused(f"a dataclass cannot use the name {word!r}")
    if "lambda" in words or not _TEXT.fullmatch(text):
        raise GeneratedTextRefused("a dataclass has a field whose name is no name")


def _with_checks(text: str) -> str:
    lines = [_OUTER]
    for line in text.split("\n"):
        lines.append(f" {line}")
        if not line.lstrip().startswith("def ") or line.startswith("def __create_fn__("):
            continue
        method = _METHOD.fullmatch(line)
        if method is None:
            raise GeneratedTextRefused("a dataclass has a field whose name is no name")
        receiver = method[1]
        lines.append(f"   if __kind__({receiver}) not in __own__: __foreign__({receiver})")
    return "\n".join([*lines, " return __create_fn__"])


def guard_dataclasses() -> None:
    """Let ``dataclasses`` run its text here only."""
    namespace = vars(dataclasses)
    if "exec" in namespace:
        raise RuntimeError("dataclasses.exec is taken")
    namespace["exec"] = run
    if "_EMPTY_METADATA" not in namespace:
        raise RuntimeError("dataclasses._EMPTY_METADATA is missing")
    namespace["_EMPTY_METADATA"] = types.MappingProxyType(_Nothing())


class _Nothing(Mapping[Any, Any]):
    """The metadata of every field that has none. A dict would be handed to what it is compared
    with, and be filled."""

    def __getitem__(self, key: Any) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"
