"""Request."""

from http import HTTPMethod
from typing import Any

from executor.isolate import frames
from executor.isolate.workers.bodies import BodyReader, BodyStream, body_of, fork, pulled
from executor.isolate.workers.headers import HeaderMap, from_wire
from executor.isolate.workers.urls import absolute_url
from executor.isolate.workers.values import JsDict, to_js_dicts

REDIRECTS = ("follow", "manual", "error")


class Request(BodyReader):
    """An HTTP request, received or about to be sent."""

    __slots__ = ("_cf", "_fetcher", "_method", "_redirect", "_url")

    _cf: JsDict | None
    _fetcher: Any
    _method: str
    _redirect: str
    _url: str

    cache = "default"
    credentials = "same-origin"
    destination = ""
    integrity = ""
    is_history_navigation = False
    keepalive = False
    mode = "cors"
    referrer = "about:client"
    referrer_policy = ""

    def __init__(
        self,
        input: "Request | str",  # noqa: A002 - the product's name
        *,
        method: HTTPMethod | str | None = None,
        headers: Any = None,
        body: Any = None,
        redirect: str | None = None,
        cf: Any = None,
        fetcher: Any = None,
        **others: Any,
    ) -> None:
        _refuse_others(others)
        like = input if isinstance(input, Request) else None
        self._url = like._url if like else absolute_url(input)
        self._method = _verb(method) if method is not None else like._method if like else "GET"
        self._headers = HeaderMap(like._headers if like and headers is None else headers)
        self._redirect = _redirect(redirect, like)
        self._cf = to_js_dicts(cf) if cf is not None else like._cf if like else None
        self._fetcher = fetcher if fetcher is not None else like._fetcher if like else None
        self._body, content_type = body_of(like._body if like and body is None else body)
        if self._body is not None and self._method in ("GET", "HEAD"):
            raise TypeError("Request with a GET or HEAD method cannot have a body.")
        if content_type and "content-type" not in self._headers:
            self._headers["content-type"] = content_type

    @property
    def method(self) -> HTTPMethod:
        """The verb. Raises ``KeyError`` for one that HTTP does not know."""
        return HTTPMethod[self._method]

    @property
    def url(self) -> str:
        """The absolute URL."""
        return self._url

    @property
    def cf(self) -> JsDict | None:
        """What the platform says about the request; None in untrusted namespaces."""
        return self._cf

    @property
    def redirect(self) -> str:
        """``follow``, ``manual`` or ``error``."""
        return self._redirect

    def clone(self) -> "Request":
        """A second request with a body of its own."""
        twin: Request = object.__new__(type(self))
        twin._url, twin._method, twin._cf = self._url, self._method, self._cf
        twin._redirect, twin._fetcher = self._redirect, self._fetcher
        twin._headers = HeaderMap(self._headers)
        self._body, twin._body = fork(self._body)
        return twin

    def __repr__(self) -> str:
        return f"Request(method={self._method!r}, url={self._url!r})"


def incoming_request(frame: frames.Invoke) -> Request:
    """The request of an invocation."""
    request: Request = object.__new__(Request)
    request._url, request._method = frame.url, frame.method
    request._headers = from_wire(frame.headers)
    request._redirect = "manual"
    request._fetcher = None
    request._cf = None if frame.cf is None else to_js_dicts(frame.cf)
    request._body = None
    if frame.body_is_streamed:
        request._body = pulled(0)
    elif frame.body:
        request._body = BodyStream(frame.body)
    return request


def _verb(method: HTTPMethod | str) -> str:
    verb = str(method)
    return verb.upper() if verb.upper() in HTTPMethod.__members__ else verb


def _redirect(redirect: str | None, like: Request | None) -> str:
    if redirect is None:
        return like._redirect if like else "follow"
    if redirect not in REDIRECTS:
        raise TypeError(f"Invalid redirect value, must be one of follow, manual, error: {redirect}")
    return redirect


def _refuse_others(others: dict[str, Any]) -> None:
    """What the product passes through and this platform has no use for is taken and dropped."""
    unknown = set(others) - {"cache", "credentials", "integrity", "keepalive", "mode", "signal"}
    if unknown:
        raise TypeError(f"Request() got an unexpected keyword argument {min(unknown)!r}")
