"""The API's rate limit: so many requests of a token in five minutes, then 429.

It keeps one client from crowding out the others, and is no security boundary: while Valkey is away
nothing is counted, and everything served. Only good tokens are counted, so whoever has none fills
no memory.
"""

from flask import Blueprint, Response, g

from control.budget import Spent
from control.errors import TOO_MANY_REQUESTS, Refused
from control.house import house


def install(api: Blueprint) -> None:
    """Count each request of the blueprint; to be installed after what finds its token."""
    api.before_request(_spend)
    api.after_request(_say)


def _spend() -> None:
    g.spent = house().budget.spend(g.token.id)
    if g.spent is not None and g.spent.over:
        raise Refused(TOO_MANY_REQUESTS)


def _say(response: Response) -> Response:
    spent: Spent | None = g.get("spent")
    if spent is not None:
        response.headers.update(spent.headers())
    return response
