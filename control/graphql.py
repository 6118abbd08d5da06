"""The questions in GraphQL that wrangler asks: of a database (``wrangler d1 info``) and of a bucket
(``wrangler r2 bucket info``).

Nothing is counted by the hour here, so that the list which answers the first is empty.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from flask import Blueprint, Response, g

from control import auth, bodies
from control.errors import (
    FORBIDDEN,
    NOT_IMPLEMENTED,
    R2_BUCKET_NOT_FOUND,
    Refused,
    translated,
)
from control.house import house
from control.operation import JSON, operation

blueprint = Blueprint("graphql", __name__)


class Filter(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Of what. Times are ignored."""

    bucket_name: str = ""


class Variables(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whose numbers."""

    account_tag: str
    filter: Filter = Filter()


class Question(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A query. It is known by its name, and not read."""

    query: str
    operation_name: str
    variables: Variables


@blueprint.post("/graphql")
@operation(body=bodies.Json(Question), gives={JSON: dict[str, Any]})
@auth.reads
def post(body: bodies.Body[Question]) -> Response:
    """How databases and buckets are used, as far as that is known."""
    asked = body()
    if asked.operation_name not in ANSWERED:
        raise Refused(NOT_IMPLEMENTED, f"Only {', '.join(ANSWERED)} are answered here.")
    if asked.variables.account_tag != g.token.account_id:
        raise Refused(FORBIDDEN)
    groups = ANSWERED[asked.operation_name](asked.variables)
    found = {"data": {"viewer": {"accounts": [groups]}}, "errors": None}
    return Response(msgspec.json.encode(found), mimetype=JSON)


def _database(_asked: Variables) -> dict[str, Any]:
    return {"d1AnalyticsAdaptiveGroups": []}


def _bucket(asked: Variables) -> dict[str, Any]:
    with translated(R2_BUCKET_NOT_FOUND):
        usage = house().registry.r2.usage(asked.account_tag, asked.filter.bucket_name)
    counts = {"objectCount": usage.objects, "payloadSize": usage.bytes, "metadataSize": 0}
    return {"r2StorageAdaptiveGroups": [{"max": counts}]}


ANSWERED: dict[str, Callable[[Variables], dict[str, Any]]] = {
    "getD1MetricsOverviewQuery": _database,
    "getR2StorageMetrics": _bucket,
}
