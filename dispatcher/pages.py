"""Error pages: HTML, or JSON for those who ask for it. Never a word about the inside."""

from html import escape

import msgspec

from cloister.outcomes import ANSWERS, Kind, Outcome
from dispatcher.failures import DispatchFailure, Refusal
from dispatcher.messages import Response

RETRY_AFTER_S = 1

_EXPLAINED = {
    Kind.TENANT: "The worker at this address failed. Its owner finds the reason in its logs.",
    Kind.LIMIT: "The worker at this address hit a limit. Try again, or ask its owner.",
    Kind.PLATFORM: "Something went wrong on our side. Try again in a moment.",
    Kind.CLIENT: "There is nothing to show at this address.",
}

_REFUSED = "This request cannot be served as it was sent."

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}}
h1{{font-size:1.5rem}}p{{color:#555}}code{{color:#555;font-size:.85rem}}
@media(prefers-color-scheme:dark){{body{{background:#111;color:#eee}}p,code{{color:#aaa}}}}
</style></head><body><h1>{title}</h1><p>{explained}</p>
<code>{code}Request {request_id}</code></body></html>
"""


def failure_page(error: DispatchFailure | Refusal, request_id: str, accept: str) -> Response:
    """The answer to a client whose request failed with ``error``."""
    if isinstance(error, Refusal):
        explained = _EXPLAINED[Kind.CLIENT] if error.status == 404 else _REFUSED
        return _page(error.status, 0, error.title, explained, request_id, accept)
    return outcome_page(error.outcome, request_id, accept)


def outcome_page(outcome: Outcome, request_id: str, accept: str) -> Response:
    """The answer that the table of outcomes gives."""
    answer = ANSWERS[outcome]
    explained = _EXPLAINED[answer.kind]
    page = _page(answer.status, answer.code, answer.title, explained, request_id, accept)
    if outcome is Outcome.OVERLOADED:
        page.headers["retry-after"] = str(RETRY_AFTER_S)
    return page


def _page(
    status: int, code: int, title: str, explained: str, request_id: str, accept: str
) -> Response:
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    if _wants_json(accept):
        body = msgspec.json.encode(
            {
                "success": False,
                "errors": [{"code": code or status, "message": title}],
                "request_id": request_id,
            }
        )
        headers["content-type"] = "application/json"
        return Response(body, status=status, headers=headers)
    headers["content-type"] = "text/html; charset=utf-8"
    headers["content-security-policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    text = _PAGE.format(
        title=escape(title),
        explained=explained,
        code=f"Error {code} &middot; " if code else "",
        request_id=escape(request_id),
    )
    return Response(text.encode(), status=status, headers=headers)


def _wants_json(accept: str) -> bool:
    """Whether JSON is asked for by name and not after HTML."""
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    for kind in kinds:
        if kind == "text/html":
            return False
        if kind == "application/json" or kind.endswith("+json"):
            return True
    return False
