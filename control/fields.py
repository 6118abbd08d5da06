"""Parameters of the query string, each refusal naming its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from flask import request

from control.errors import MALFORMED_PARAMETER, Refused


class Parameter(Protocol):
    """A parameter of the query string."""

    def read(self, name: str) -> Any:
        """Its value in the current request. Raises :class:`Refused`."""

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""


Query = Mapping[str, Parameter]
"""Parameters by name."""

_TRUE = frozenset({"true", "1", "yes"})


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    default: int
    lowest: int
    highest: int

    def read(self, name: str) -> int:
        """See :class:`Parameter`."""
        text = request.args.get(name)
        if text is None:
            return self.default
        # The SDK types these as float: 10 may come as 10.0.
        digits = text.removesuffix(".0")
        whole = digits.isascii() and digits.isdigit()
        if not whole or not self.lowest <= int(digits[:18]) <= self.highest:
            raise _refused(name, f"{self.lowest} to {self.highest}")
        return int(digits)

    def schema(self) -> dict[str, Any]:
        """See :class:`Parameter`."""
        bounds = {"minimum": self.lowest, "maximum": self.highest}
        return {"type": "integer", "default": self.default, **bounds}


@dataclass(frozen=True)
class Flag:
    """A boolean; anything but a yes is a no."""

    def read(self, name: str) -> bool:
        """See :class:`Parameter`."""
        return request.args.get(name, "").lower() in _TRUE

    def schema(self) -> dict[str, Any]:
        """See :class:`Parameter`."""
        return {"type": "string", "examples": ["true"], "default": "false"}


@dataclass(frozen=True)
class Choice:
    """One of some words; the first where none is said."""

    words: tuple[str, ...]

    def read(self, name: str) -> str:
        """See :class:`Parameter`."""
        value = request.args.get(name, self.words[0])
        if value not in self.words:
            raise _refused(name, f"one of {', '.join(self.words)}")
        return value

    def schema(self) -> dict[str, Any]:
        """See :class:`Parameter`."""
        return {"enum": list(self.words), "default": self.words[0]}


@dataclass(frozen=True)
class Text:
    """Any text; None where it is empty or missing."""

    def read(self, name: str) -> str | None:
        """See :class:`Parameter`."""
        return request.args.get(name) or None

    def schema(self) -> dict[str, Any]:
        """See :class:`Parameter`."""
        return {"type": "string"}


@dataclass(frozen=True)
class Moment:
    """A time (RFC 3339), as epoch milliseconds; None where it is empty or missing."""

    def read(self, name: str) -> int | None:
        """See :class:`Parameter`."""
        text = request.args.get(name)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
            return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError) as exc:
            raise _refused(name, "a time, as 2026-01-31T12:00:00Z") from exc

    def schema(self) -> dict[str, Any]:
        """See :class:`Parameter`."""
        return {"type": "string", "format": "date-time"}


PAGES: Query = {"page": Whole(1, 1, 1_000_000), "per_page": Whole(20, 1, 1_000)}
"""Of lists that come by page."""


def _refused(name: str, wanted: str) -> Refused:
    return Refused(MALFORMED_PARAMETER, f"{name} must be {wanted}.", pointer=f"/{name}")
