"""Multipart bodies, parsed and bounded while they arrive.

Nothing is written to disk, and no more than the limit is ever held in memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from flask import request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from control import bodies
from control.errors import BAD_UPLOAD, BODY_TOO_LARGE, WRONG_CONTENT_TYPE, Problem, Refused

MAX_PARTS = 1_000
MAX_NAME_BYTES = 255


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part. ``filename`` and ``content_type`` are None where the sender gave none.

    ``content_type`` is lower case and without parameters, ``declared_type`` as it came.
    """

    name: str
    filename: str | None
    content_type: str | None
    data: bytes
    declared_type: str | None = None

    @property
    def module_name(self) -> str:
        """What the part is called as a module: its filename, else its field name."""
        return self.filename or self.name


def receive(limit_bytes: int, problem: Problem = BODY_TOO_LARGE) -> list[Part]:
    """Read the request's multipart body.

    Raises:
        Refused: it is not multipart, is malformed or cut off, has too many parts, or is larger
            than ``limit_bytes`` (with ``problem``).
    """
    boundary = _boundary(request.headers.get("Content-Type"))
    return parse(bodies.chunks(limit_bytes, problem), boundary)


def is_multipart() -> bool:
    """Whether the request says that it is multipart/form-data."""
    return parse_options_header(request.headers.get("Content-Type"))[0] == b"multipart/form-data"


def parse(chunks: Iterable[bytes], boundary: bytes) -> list[Part]:
    """Parse a multipart body given in pieces. Raises :class:`Refused` when it is malformed."""
    collector = _Collector()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": collector.on_part_begin,
                "on_part_data": collector.on_part_data,
                "on_part_end": collector.on_part_end,
                "on_header_field": collector.on_header_field,
                "on_header_value": collector.on_header_value,
                "on_header_end": collector.on_header_end,
                "on_end": collector.on_end,
            },
        )
        for chunk in chunks:
            parser.write(chunk)
    except FormParserError as exc:
        raise Refused(BAD_UPLOAD, f"The upload could not be parsed: {exc}.") from exc
    if not collector.complete:
        raise Refused(BAD_UPLOAD, "The upload ends before its closing boundary.")
    return collector.parts


def _boundary(content_type: str | None) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise Refused(
            WRONG_CONTENT_TYPE,
            "Send multipart/form-data: a part named metadata (JSON) and a part for each module.",
        )
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise Refused(BAD_UPLOAD, "The multipart Content-Type has no boundary.")
    return boundary


@dataclass
class _Collector:
    """Builds parts from the parser's callbacks."""

    parts: list[Part] = field(default_factory=list)
    complete: bool = False
    _data: list[bytes] = field(default_factory=list)
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _header_name: bytes = b""
    _header_value: bytes = b""

    def on_part_begin(self) -> None:
        if len(self.parts) >= MAX_PARTS:
            raise Refused(BAD_UPLOAD, f"The upload has more than {MAX_PARTS} parts.")
        self._data, self._headers = [], {}

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def on_part_end(self) -> None:
        kind, options = parse_options_header(_latin(self._headers, b"content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            raise Refused(BAD_UPLOAD, "A part has no Content-Disposition with a name.")
        filename = options.get(b"filename")
        declared = _latin(self._headers, b"content-type")
        content_type = parse_options_header(declared)[0]
        self.parts.append(
            Part(
                name=_name(options[b"name"]),
                filename=_name(filename) if filename else None,
                content_type=content_type.decode("latin-1") or None,
                declared_type=declared or None,
                data=b"".join(self._data),
            )
        )

    def on_end(self) -> None:
        self.complete = True


def _latin(headers: dict[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _name(raw: bytes) -> str:
    try:
        name = raw.decode()
    except UnicodeDecodeError as exc:
        raise Refused(BAD_UPLOAD, "A part's name is not UTF-8.") from exc
    if not name or len(raw) > MAX_NAME_BYTES or not name.isprintable():
        raise Refused(
            BAD_UPLOAD, f"A part's name must be 1 to {MAX_NAME_BYTES} printable characters."
        )
    return name
