"""D1 over REST: what a database was, and making it that again."""

from typing import Any

import msgspec
from flask import Blueprint, Response

from cloister.databases import Locate, Located, Restore, Restored
from cloister.registry.database import now_ms
from control import envelope, fields
from control.d1 import ONE, mine
from control.databases import ask
from control.errors import D1_MALFORMED, MALFORMED_PARAMETER, Refused
from control.operation import operation

blueprint = Blueprint("d1_time_travel", __name__)

BOOKMARK: fields.Query = {"timestamp": fields.Moment()}
RESTORE: fields.Query = {"bookmark": fields.Text(), "timestamp": fields.Moment()}


class Bookmark(msgspec.Struct, frozen=True, kw_only=True):
    """A moment in a database's history."""

    bookmark: str


class Travelled(Bookmark, frozen=True, kw_only=True):
    """Where the database is again, and what undoes that."""

    previous_bookmark: str
    message: str


@blueprint.get(f"{ONE}/time_travel/bookmark")
@operation(Bookmark, query=BOOKMARK)
def bookmark(account_id: str, database_id: str, timestamp: int | None) -> Response:
    """Where the database was at that time; without one, where it is now."""
    found = _at(account_id, mine(account_id, database_id).id, timestamp)
    return envelope.success(Bookmark(bookmark=found))


@blueprint.post(f"{ONE}/time_travel/restore")
@operation(Travelled, query=RESTORE)
def restore(
    account_id: str, database_id: str, bookmark: str | None, timestamp: int | None
) -> Response:
    """Make the database what it was, in one transaction: at a bookmark, or a time."""
    id_ = mine(account_id, database_id).id
    if (bookmark is None) == (timestamp is None):
        raise Refused(D1_MALFORMED, "Either bookmark or timestamp is required.")
    wanted = bookmark or _at(account_id, id_, timestamp)
    done = ask(account_id, id_, Restore(bookmark=wanted), Restored)
    shown: dict[str, Any] = {"bookmark": done.bookmark, "previous_bookmark": done.previous}
    message = f"The database is what it was at bookmark {done.bookmark}."
    return envelope.success(Travelled(**shown, message=message))


def _at(account_id: str, database_id: str, timestamp: int | None) -> str:
    if timestamp is not None and timestamp > now_ms():
        raise Refused(MALFORMED_PARAMETER, "timestamp must be in the past.", pointer="/timestamp")
    return ask(account_id, database_id, Locate(at_ms=timestamp), Located).bookmark
