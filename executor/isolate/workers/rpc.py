"""Values between workers: what may be sent, and how it travels.

Plain values are plain msgpack. The rest rides in extensions, which only the workers at both ends
read; bodies go along whole.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec

from executor.isolate.workers.bodies import BodyReader, known_bytes
from executor.isolate.workers.forms import Blob, File, FormData
from executor.isolate.workers.headers import wire_pairs
from executor.isolate.workers.requests import Request
from executor.isolate.workers.responses import FetchResponse, Response
from executor.isolate.workers.values import JsDict

Ext = msgspec.msgpack.Ext

_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.decode

ERROR, SET, RESPONSE, REQUEST, BLOB, FORM = range(1, 7)

MAX_INT = 2**64 - 1
MIN_INT = -(2**63)


def python_to_rpc(value: Any) -> Any:
    """The value as it travels. Raises ``TypeError`` for what cannot be sent."""
    if value is None or isinstance(value, bool | float | str | bytes | Ext):
        return value
    if isinstance(value, int):
        if not MIN_INT <= value <= MAX_INT:
            raise TypeError("An integer of more than 64 bits cannot be sent over RPC")
        return int(value)
    if isinstance(value, dict):
        return {str(key): python_to_rpc(item) for key, item in value.items()}
    if isinstance(value, list):
        return [python_to_rpc(item) for item in value]
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC)
    for kind, code, state in _SENDABLE:
        if isinstance(value, kind):
            return Ext(code, _encode(state(value)))
    raise TypeError(f"Value of type {type(value).__name__} cannot be sent over RPC")


def python_from_rpc(value: Any) -> Any:
    """The value that travelled, as the other side sees it."""
    if isinstance(value, dict):
        return JsDict((key, python_from_rpc(item)) for key, item in value.items())
    if isinstance(value, list):
        return [python_from_rpc(item) for item in value]
    if isinstance(value, bytes):
        return memoryview(value)
    if isinstance(value, dt.datetime):
        return value.astimezone().replace(tzinfo=None)
    if isinstance(value, Ext):
        return _received(value)
    return value


def _error_state(error: BaseException) -> list[Any]:
    return [type(error).__name__, str(error)]


def _response_state(response: FetchResponse) -> list[Any]:
    headers = wire_pairs(response._headers)
    return [response._status, response._status_text, headers, _whole(response)]


def _request_state(request: Request) -> list[Any]:
    return [request._method, request._url, wire_pairs(request._headers), _whole(request)]


def _blob_state(blob: Blob) -> list[Any]:
    named = [blob.name, blob.last_modified] if isinstance(blob, File) else [None, None]
    return [blob._data, blob.content_type, *named]


def _form_state(form: FormData) -> list[Any]:
    return [[name, python_to_rpc(value)] for name, value in form.items()]


_SENDABLE: list[tuple[type[Any] | tuple[type[Any], ...], int, Callable[[Any], Any]]] = [
    (Exception, ERROR, _error_state),
    ((set, frozenset), SET, lambda items: [python_to_rpc(item) for item in items]),
    (FetchResponse, RESPONSE, _response_state),
    (Request, REQUEST, _request_state),
    (Blob, BLOB, _blob_state),
    (FormData, FORM, _form_state),
]


def _whole(message: BodyReader) -> bytes | None:
    if message._body is None:
        return None
    data = known_bytes(message._body)
    if data is None:
        raise TypeError("A streamed or used body cannot be sent over RPC")
    return data


def _received(ext: Ext) -> Any:
    state = _decode(ext.data)
    match ext.code:
        case 1:
            return Exception(state[1])
        case 2:
            return {python_from_rpc(item) for item in state}
        case 3:
            status, text, headers, body = state
            return Response(body, status, text, headers)
        case 4:
            method, url, headers, body = state
            return Request(url, method=method, headers=headers, body=body)
        case 5:
            data, kind, name, modified = state
            return Blob(data, kind) if name is None else File(data, name, kind, None, modified)
        case 6:
            form = FormData()
            for name, value in state:
                form.append(name, python_from_rpc(value))
            return form
        case _:
            raise TypeError("A value of an unknown kind was received over RPC")
