"""The envelope of every answer (reference section 3.1), encoded by msgspec."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from flask import Response

_encode = msgspec.json.Encoder().encode


class Fault(NamedTuple):
    """One entry of ``errors``; ``pointer`` names the field at fault, as ``/bindings/0/name``."""

    code: int
    message: str
    pointer: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The product's shape."""
        fault: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.pointer is not None:
            fault["source"] = {"pointer": self.pointer}
        return fault


def success(
    result: Any,
    *,
    info: dict[str, Any] | None = None,
    messages: list[str] | None = None,
    status: int = 200,
) -> Response:
    """A good answer: ``result``, and ``info`` as ``result_info``."""
    body: dict[str, Any] = {
        "success": True,
        "errors": [],
        "messages": [{"code": 0, "message": text} for text in messages or []],
        "result": result,
    }
    if info is not None:
        body["result_info"] = info
    return _json(body, status)


def failure(status: int, faults: list[Fault]) -> Response:
    """A refusal: every fault, and no result."""
    errors = [fault.as_dict() for fault in faults]
    return _json({"success": False, "errors": errors, "messages": [], "result": None}, status)


def timestamp(epoch_ms: int) -> str:
    """Epoch milliseconds as the product writes times: RFC 3339, UTC, microseconds."""
    moment = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def page_info(page: int, per_page: int, count: int, total: int) -> dict[str, int]:
    """``result_info`` of page pagination."""
    return {
        "page": page,
        "per_page": per_page,
        "count": count,
        "total_count": total,
        "total_pages": -(-total // per_page),
    }


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(_encode(body), status, mimetype="application/json")
