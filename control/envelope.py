"""The envelope of every answer, encoded by msgspec."""

from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from flask import Response

_encode = msgspec.json.Encoder().encode

Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""What :func:`timestamp` gives."""


class Source(msgspec.Struct, frozen=True):
    """The field at fault, as a JSON pointer: ``/bindings/0/name``."""

    pointer: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of ``messages``."""

    code: int
    message: str


class Error(Message, frozen=True, kw_only=True):
    """One entry of ``errors``."""

    source: Source | msgspec.UnsetType = msgspec.UNSET


class CountInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``result_info`` of a list that comes whole."""

    count: int


class CursorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``result_info`` of cursor pagination; ``cursor`` is empty at the end."""

    count: int
    cursor: str


class PageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``result_info`` of page pagination."""

    page: int
    per_page: int
    count: int
    total_count: int
    total_pages: int


class Fault(NamedTuple):
    """One entry of ``errors``; ``pointer`` names the field at fault, as ``/bindings/0/name``."""

    code: int
    message: str
    pointer: str | None = None

    def shape(self) -> Error:
        """The product's shape."""
        source = msgspec.UNSET if self.pointer is None else Source(self.pointer)
        return Error(code=self.code, message=self.message, source=source)


def success(
    result: Any,
    *,
    info: msgspec.Struct | None = None,
    messages: list[str] | None = None,
    status: int = 200,
) -> Response:
    """A good answer: ``result``, and ``info`` as ``result_info``."""
    body: dict[str, Any] = {
        "success": True,
        "errors": [],
        "messages": [Message(code=0, message=text) for text in messages or []],
        "result": result,
    }
    if info is not None:
        body["result_info"] = info
    return _json(body, status)


def failure(status: int, faults: list[Fault]) -> Response:
    """A refusal: every fault, and no result."""
    errors = [fault.shape() for fault in faults]
    return _json({"success": False, "errors": errors, "messages": [], "result": None}, status)


def timestamp(epoch_ms: int) -> str:
    """Epoch milliseconds as the product writes times: RFC 3339, UTC, microseconds."""
    moment = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def page_info(page: int, per_page: int, count: int, total: int) -> PageInfo:
    """``result_info`` of page pagination."""
    return PageInfo(
        page=page,
        per_page=per_page,
        count=count,
        total_count=total,
        total_pages=-(-total // per_page),
    )


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(_encode(body), status, mimetype="application/json")
