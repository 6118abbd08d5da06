"""From a :class:`Response` to ASGI messages, framed so that no client misreads it."""

import asyncio
import logging

from cloister.outcomes import Outcome
from dispatcher.cookies import sets_ours
from dispatcher.failures import ClientGone, DispatchFailure, Refusal
from dispatcher.headers import end_to_end, is_valid
from dispatcher.intake import Send
from dispatcher.messages import Response
from dispatcher.previews import Admission

log = logging.getLogger(__name__)

OURS = frozenset({"content-length", "date", "server", "x-cloister-request-id"})
"""Response fields that the front door writes itself."""

NO_BODY = frozenset({204, 205, 304})


class Aborted(Exception):
    """The response broke off after its head; the connection must be closed."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def check(response: Response) -> Response:
    """The response, if it can be one.

    Raises:
        ValueError: its status or headers are not HTTP.
    """
    if not 200 <= response.status <= 599 or not is_valid(response.headers.pairs):
        raise ValueError("the dispatch worker's response has an invalid status or header")
    return response


async def send_response(response: Response, request_id: str, method: str, send: Send) -> None:
    """Send it. The head of a response that streams does not wait for the first bytes.

    Raises:
        Aborted: its body failed half-way.
        ClientGone: the client's own body failed half-way.
    """
    bodiless = method == "HEAD" or response.status in NO_BODY
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": _fields(response, method, request_id),
        }
    )
    whole = response.whole_body
    if bodiless or whole is not None:
        await send({"type": "http.response.body", "body": b"" if bodiless else whole})
        return
    # A first piece without bytes: the head need not wait for those of the body.
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    try:
        async for chunk in response.body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except DispatchFailure as exc:
        raise Aborted(exc.outcome.value) from exc
    except Refusal as exc:
        raise Aborted(f"refused{exc.status}") from exc
    except (ClientGone, asyncio.CancelledError):
        raise
    except Exception as exc:
        log.exception("request %s: the response broke off", request_id)
        raise Aborted(Outcome.INTERNAL.value) from exc
    await send({"type": "http.response.body", "body": b""})


def _fields(response: Response, method: str, request_id: str) -> list[tuple[bytes, bytes]]:
    """End-to-end fields, with a Content-Length that is true or none."""
    fields = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in end_to_end(response.headers.pairs)
        if name not in OURS
        and not (name == "set-cookie" and sets_ours(value) and not isinstance(response, Admission))
    ]
    length = _length(response, method)
    if length is not None:
        fields.append((b"content-length", length.encode()))
    fields.append((b"x-cloister-request-id", request_id.encode()))
    return fields


def _length(response: Response, method: str) -> str | None:
    whole = response.whole_body
    if response.status in (204, 205):
        return None
    if whole is not None and method != "HEAD" and response.status != 304:
        return str(len(whole))
    said = response.headers.get_all("content-length")
    if method == "HEAD" or response.status == 304:
        length = said[0] if said else str(len(whole)) if whole and method == "HEAD" else None
    else:
        length = said[0] if len(said) == 1 else None
    return length if length is not None and length.isascii() and length.isdigit() else None
