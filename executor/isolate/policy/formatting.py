"""``str.format`` and ``string.Formatter`` whose fields are read through the guard."""

import _string  # type: ignore[import-not-found] # a built-in module without stubs
import types
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from executor.isolate.policy import guards

_MAX_NESTING = 2


class Formatter:
    """``string.Formatter`` for workers. It does not inherit: super() would skip the guard."""

    def format(self, format_string: str, /, *args: Any, **kwargs: Any) -> str:
        """Fill the fields of ``format_string``."""
        return self.vformat(format_string, args, kwargs)

    def vformat(self, format_string: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """Fill the fields from a sequence and a mapping."""
        used: set[int | str] = set()
        text, _ = self._fill(format_string, args, kwargs, used, _MAX_NESTING, 0)
        self.check_unused_args(used, args, kwargs)
        return text

    def _fill(
        self, text: str, args: Any, kwargs: Any, used: set[int | str], depth: int, auto: int | bool
    ) -> tuple[str, int | bool]:
        if depth < 0:
            raise ValueError("Max string recursion exceeded")
        parts: list[str] = []
        for literal, field, spec, conversion in self.parse(text):
            parts.append(literal)
            if field is None:
                continue
            field, auto = _numbered(field, auto)
            value, first = self.get_field(field, args, kwargs)
            used.add(first)
            value = self.convert_field(value, conversion)
            spec, auto = self._fill(spec, args, kwargs, used, depth - 1, auto)
            parts.append(self.format_field(value, spec))
        return "".join(parts), auto

    def parse(self, format_string: str) -> Any:
        """The parts of a format string."""
        return _string.formatter_parser(format_string)

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> tuple[Any, int | str]:
        """The value of a field, each attribute read through the guard."""
        first, rest = _string.formatter_field_name_split(field_name)
        value = self.get_value(first, args, kwargs)
        for is_attribute, name in rest:
            value = guards.read(value, name) if is_attribute else value[name]
        return value, first

    def get_value(self, key: int | str, args: Any, kwargs: Any) -> Any:
        """The argument of this number or name."""
        return args[key] if isinstance(key, int) else kwargs[key]

    def check_unused_args(self, used_args: Any, args: Any, kwargs: Any) -> None:
        """Nothing is wrong with unused arguments."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """``format(value, format_spec)``."""
        return format(value, format_spec)

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        """Apply ``!s``, ``!r`` or ``!a``."""
        match conversion:
            case None:
                return value
            case "s":
                return str(value)
            case "r":
                return repr(value)
            case "a":
                return ascii(value)
            case _:
                raise ValueError(f"Unknown conversion specifier {conversion!s}")


def _numbered(field: str, auto: int | bool) -> tuple[str, int | bool]:
    """Number an automatic field; refuse to mix with manual numbers, as ``str.format`` does."""
    head = field.partition(".")[0].partition("[")[0]
    if head == "":
        if auto is False:
            raise ValueError("cannot switch from manual field specification to automatic")
        return f"{int(auto)}{field}", int(auto) + 1
    if head.isdigit():
        if auto is not False and auto:
            raise ValueError("cannot switch from automatic field numbering to manual")
        return field, False
    return field, auto


_formatter = Formatter()


def str_format(text: str, /, *args: Any, **kwargs: Any) -> str:
    """``str.format``, guarded."""
    if not isinstance(text, str):
        raise TypeError("format() requires a str")
    try:
        return _formatter.vformat(text, args, kwargs)
    except IndexError:
        raise IndexError("Replacement index out of range for positional args tuple") from None


def str_format_map(text: str, mapping: Mapping[str, Any], /) -> str:
    """``str.format_map``, guarded."""
    if not isinstance(text, str):
        raise TypeError("format_map() requires a str")
    return _formatter.vformat(text, (), mapping)


def user_string_format(self: Any, /, *args: Any, **kwargs: Any) -> str:
    """``collections.UserString.format``, guarded."""
    text: str = guards.read(self.data, "format")(*args, **kwargs)
    return text


def user_string_format_map(self: Any, mapping: Mapping[str, Any]) -> str:
    """``collections.UserString.format_map``, guarded."""
    text: str = guards.read(self.data, "format_map")(mapping)
    return text


def _format(value: Any, name: str, get: guards.Getter) -> Any:
    """``format`` of text is replaced wherever it comes from; of anything else it is plain."""
    safe = str_format if name == "format" else str_format_map
    method = get(value, name)
    if method is getattr(str, name):
        return safe
    if isinstance(method, types.BuiltinMethodType) and isinstance(method.__self__, str):
        return partial(safe, method.__self__)
    return method


guards.HANDLERS["format"] = guards.HANDLERS["format_map"] = _format
