"""Response and FetchResponse."""

import json as json_module
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec

from executor.isolate import frames
from executor.isolate.workers.bodies import (
    BodyReader,
    BodyStream,
    body_of,
    fork,
    give_up,
    known_bytes,
    pulled,
)
from executor.isolate.workers.headers import HeaderMap, add_pair, from_wire
from executor.isolate.workers.urls import absolute_url

_REASONS = {status.value: status.phrase for status in HTTPStatus}

NULL_BODY_STATUSES = (101, 103, 204, 205, 304)
REDIRECT_STATUSES = (301, 302, 303, 307, 308)


class FetchResponse(BodyReader):
    """An HTTP response, received or about to be sent."""

    __slots__ = ("_redirected", "_status", "_status_text", "_url")

    _status: int
    _status_text: str
    _url: str
    _redirected: bool

    type = "default"

    @property
    def status(self) -> int:
        """The status code."""
        return self._status

    @property
    def status_text(self) -> str:
        """The reason phrase."""
        return self._status_text

    statusText = status_text

    @property
    def ok(self) -> bool:
        """Whether the status is 200 to 299."""
        return 200 <= self._status <= 299

    @property
    def url(self) -> str:
        """Where it came from; empty if it was made here."""
        return self._url

    @property
    def redirected(self) -> bool:
        """Whether redirects were followed on the way."""
        return self._redirected

    def raise_for_status(self) -> None:
        """Raise ``OSError`` if the status says that it is the client's or the server's error."""
        if self._status >= 400:
            side = "Client" if self._status < 500 else "Server"
            raise OSError(f"{self._status} {side} Error: {self._status_text} for url: {self._url}")

    def abort(self, reason: Any = None) -> None:  # noqa: ARG002 - part of the product's signature
        """Give up the rest of the body."""
        give_up(self._body)

    def clone(self) -> "FetchResponse":
        """A second response with a body of its own."""
        twin = _copy(self)
        self._body, twin._body = fork(self._body)
        return twin

    def replace_body(self, body: Any) -> "Response":
        """A response of the same status and headers with that body."""
        twin = _copy(self)
        _set_body(twin, body)
        return twin

    def __repr__(self) -> str:
        kind = self._headers.get("content-type")
        return (
            f"{type(self).__name__}(status={self._status}, status_text={self._status_text!r}, "
            f"content_type={kind!r}, url={self._url!r}, type={self.type!r})"
        )


class _Json:
    """``Response.json(data)`` makes a response, ``await response.json()`` parses one."""

    def __get__(self, response: "Response | None", owner: Any) -> Callable[..., Any]:
        if response is None:
            make: Callable[..., Any] = owner.from_json
            return make
        return super(Response, response).json


class Response(FetchResponse):
    """The answer of a worker, or to its fetch()."""

    __slots__ = ()

    def __init__(
        self,
        body: Any = None,
        status: HTTPStatus | int | None = None,
        status_text: str = "",
        headers: Any = None,
        web_socket: Any = None,
    ) -> None:
        if web_socket is not None:
            raise NotImplementedError("WebSockets are not available on this platform")
        if isinstance(body, FetchResponse):
            if status is not None or status_text or headers is not None:
                raise ValueError("A Response from a Response takes no other options")
            self._become(body)
            return
        self._status = _checked_status(200 if status is None else status)
        self._status_text = str(status_text) if status_text else _reason(self._status)
        self._headers = HeaderMap(headers)
        self._url, self._redirected = "", False
        _set_body(self, body)

    json: Any = _Json()

    @classmethod
    def from_json(
        cls,
        data: Any,
        status: HTTPStatus | int = 200,
        status_text: str = "",
        headers: Any = None,
    ) -> "Response":
        """A response that carries ``data`` as JSON."""
        sent = HeaderMap(headers)
        if "content-type" not in sent:
            sent["content-type"] = "application/json"
        return cls(json_module.dumps(data), status, status_text, sent)

    @staticmethod
    def redirect(url: str, status: HTTPStatus | int = 302) -> "Response":
        """A response that sends the client to an absolute URL."""
        if int(status) not in REDIRECT_STATUSES:
            raise ValueError(f"Invalid redirect status: {status}")
        return Response(None, status, headers={"location": absolute_url(url)})

    def _become(self, other: FetchResponse) -> None:
        self._status, self._status_text = other._status, other._status_text
        self._headers = HeaderMap(other._headers)
        self._url, self._redirected = other._url, other._redirected
        self._body, _ = body_of(other._body)


def received_response(value: Any) -> Response:
    """The response that the executor's reply describes."""
    incoming = msgspec.convert(value, frames.Incoming)
    response: Response = object.__new__(Response)
    response._status = incoming.status
    response._status_text = incoming.status_text or _reason(incoming.status)
    response._headers = from_wire(incoming.headers)
    response._url, response._redirected = incoming.url, incoming.redirected
    if incoming.stream is not None:
        response._body = pulled(incoming.stream)
    elif incoming.status in NULL_BODY_STATUSES:
        response._body = None
    else:
        response._body = BodyStream(incoming.body)
    return response


def _copy(response: FetchResponse) -> Response:
    twin: Response = object.__new__(Response)
    twin._status, twin._status_text = response._status, response._status_text
    twin._headers = HeaderMap(response._headers)
    twin._url, twin._redirected = response._url, response._redirected
    twin._body = None
    return twin


def _set_body(response: Response, value: Any) -> None:
    body, content_type = body_of(value)
    if response._status in NULL_BODY_STATUSES:
        if body is not None and known_bytes(body) != b"":
            raise TypeError(
                f"Response with null body status ({response._status}) cannot have a body."
            )
        body = None
    response._body = body
    if content_type and body is not None and "content-type" not in response._headers:
        add_pair(response._headers, "content-type", content_type)


def _checked_status(status: HTTPStatus | int) -> int:
    if isinstance(status, bool) or not isinstance(status, int):
        raise TypeError(f"A status is a number, not {type(status).__name__}")
    if status == 101:
        raise ValueError("Responses with status code 101 must have a web_socket")
    if not 200 <= status <= 599:
        raise ValueError("Responses may only be constructed with status codes in 200 to 599.")
    return int(status)


def _reason(status: int) -> str:
    return _REASONS.get(status, "")
