"""Blob, File and FormData."""

import time
from collections.abc import Iterable, Iterator, MutableMapping
from enum import Enum
from typing import Any

Bytes = bytes
"""The type that a method below is named after."""


class BlobEnding(Enum):
    """What a Blob does with line endings. Both leave them as they are on this platform."""

    TRANSPARENT = "transparent"
    NATIVE = "native"


class Blob:
    """Immutable bytes with a content type."""

    __slots__ = ("_content_type", "_data")

    def __init__(
        self,
        parts: Any,
        content_type: str | None = None,
        endings: BlobEnding | str | None = None,  # noqa: ARG002 - part of the product's signature
    ) -> None:
        self._data = b"".join(_part_bytes(part) for part in _parts(parts))
        self._content_type = content_type or ""

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self._data)

    @property
    def content_type(self) -> str:
        """The MIME type, or an empty string."""
        return self._content_type

    @property
    def js_object(self) -> Any:
        """The object itself: there is no JavaScript underneath."""
        return self

    async def text(self) -> str:
        """The content as UTF-8 text."""
        return self._data.decode("utf-8", "replace")

    async def bytes(self) -> Bytes:
        """The content."""
        return self._data

    def slice(
        self, start: int | None = None, end: int | None = None, content_type: str | None = None
    ) -> "Blob":
        """A part of it; negative positions count from the end."""
        return Blob(self._data[start:end], content_type)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, content_type={self._content_type!r})"


class File(Blob):
    """A Blob with a name and a time of last change (epoch milliseconds)."""

    __slots__ = ("_last_modified", "_name")

    def __init__(
        self,
        parts: Any,
        filename: str,
        content_type: str | None = None,
        endings: BlobEnding | str | None = None,
        last_modified: int | None = None,
    ) -> None:
        super().__init__(parts, content_type, endings)
        self._name = str(filename)
        now_ms = time.time_ns() // 1_000_000
        self._last_modified = now_ms if last_modified is None else int(last_modified)

    @property
    def name(self) -> str:
        """The file's name."""
        return self._name

    @property
    def last_modified(self) -> int:
        """Epoch milliseconds."""
        return self._last_modified


FormDataValue = str | Blob


class FormData(MutableMapping[str, FormDataValue]):
    """Fields of a form, in order, repeats kept."""

    __slots__ = ("_fields",)

    def __init__(self, form_data: Any = None) -> None:
        self._fields: list[tuple[str, FormDataValue]] = []
        if isinstance(form_data, FormData):
            self._fields = list(form_data._fields)
        elif isinstance(form_data, dict):
            for name, value in form_data.items():
                self[name] = value
        elif form_data is not None:
            raise TypeError(f"Expected form_data to be a dict, not {type(form_data).__name__}")

    def __getitem__(self, name: str) -> FormDataValue:
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return values[0]

    def __setitem__(self, name: str, value: Any) -> None:
        field = _field(name, value)
        places = [i for i, (each, _) in enumerate(self._fields) if each == name]
        if not places:
            self._fields.append(field)
            return
        self._fields[places[0]] = field
        for place in reversed(places[1:]):
            del self._fields[place]

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self.delete(name)

    def append(self, name: str, value: Any, filename: str | None = None) -> None:
        """Add a value beside those of the same name."""
        self._fields.append(_field(name, value, filename))

    def get_all(self, name: str) -> list[FormDataValue]:
        """Every value of that name, in order."""
        return [value for each, value in self._fields if each == name]

    def delete(self, name: str) -> None:
        """Remove every value of that name, if there are any."""
        self._fields[:] = [field for field in self._fields if field[0] != name]

    @property
    def js_object(self) -> Any:
        """The object itself: there is no JavaScript underneath."""
        return self

    def __contains__(self, name: object) -> bool:
        return any(each == name for each, _ in self._fields)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._fields)

    def keys(self) -> Any:
        """The name of each field, repeats included."""
        return [name for name, _ in self._fields]

    def values(self) -> Any:
        """The value of each field, repeats included."""
        return [value for _, value in self._fields]

    def items(self) -> Any:
        """Name and value of each field, repeats included."""
        return list(self._fields)

    def __repr__(self) -> str:
        return f"FormData({self._fields!r})"


def _parts(parts: Any) -> Iterable[Any]:
    if isinstance(parts, str | bytes | bytearray | memoryview | Blob):
        return [parts]
    if isinstance(parts, Iterable):
        return parts
    raise TypeError(f"Unsupported type in Blob: {type(parts).__name__}")


def _part_bytes(part: Any) -> bytes:
    if isinstance(part, str):
        return part.encode("utf-8", "replace")
    if isinstance(part, Blob):
        return part._data
    if isinstance(part, bytes | bytearray | memoryview):
        return bytes(part)
    raise TypeError(f"Unsupported type in Blob: {type(part).__name__}")


def _field(name: Any, value: Any, filename: str | None = None) -> tuple[str, FormDataValue]:
    if not isinstance(name, str):
        raise TypeError("a form field's name is a str")
    if isinstance(value, Blob):
        if filename is not None or not isinstance(value, File):
            value = File(value, filename or "blob", value.content_type)
        return name, value
    if isinstance(value, str):
        return name, value
    raise TypeError(f"Unsupported type in FormData: {type(value).__name__}")
