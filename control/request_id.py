"""The id of a request: on its answer, and in each log line about it."""

import logging
import secrets
from collections.abc import MutableMapping
from typing import Any

from flask import Flask, Response, g, has_request_context, request

HEADERS = ("CF-Ray", "X-Request-Id")
"""The product's name for it, and everybody's."""


class _Log(logging.LoggerAdapter[logging.Logger]):
    """Puts the current request's id in front of each line."""

    def process(
        self, msg: str, kwargs: MutableMapping[str, Any]
    ) -> tuple[str, MutableMapping[str, Any]]:
        """Called by the standard library for each line."""
        if has_request_context():
            msg = f"[{g.request_id} {request.method} {request.url_rule}] {msg}"
        return msg, kwargs


log = _Log(logging.getLogger("control"), {})


def install(app: Flask) -> None:
    """Give each request a fresh id; one that the client sends is not believed."""
    app.before_request(_begin)
    app.after_request(_label)


def _begin() -> None:
    g.request_id = secrets.token_hex(8)


def _label(response: Response) -> Response:
    for name in HEADERS:
        response.headers[name] = g.request_id
    return response
