"""The two questions in GraphQL that wrangler asks: how full a bucket is (``r2 bucket info``), and
how a database was used (``d1 info``). They are known by their names; nothing here reads GraphQL.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from flask import Blueprint, Response, g

from control import auth, bodies
from control.errors import FORBIDDEN, R2_BUCKET_NOT_FOUND, Refused, translated
from control.house import house
from control.operation import JSON, operation

blueprint = Blueprint("graphql", __name__)


class Filter(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which bucket, where that is the question."""

    bucket_name: str = ""


class Variables(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whose numbers, and of what."""

    account_tag: str
    filter: Filter = Filter()


class Question(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One that is answered."""

    query: str
    operation_name: Literal["getD1MetricsOverviewQuery", "getR2StorageMetrics"]
    variables: Variables


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What GraphQL answers."""

    data: Any
    errors: Any = None


@blueprint.post("/graphql")
@auth.reads
@operation(gives={JSON: Answered}, body=bodies.Json(Question))
def post(body: bodies.Body[Question]) -> Response:
    """What wrangler asks of a bucket or a database. There is no other GraphQL here."""
    asked = body()
    account_id = asked.variables.account_tag
    if account_id != g.token.account_id:
        raise Refused(FORBIDDEN)
    found = _ANSWERS[asked.operation_name](account_id, asked.variables.filter)
    answer = Answered(data={"viewer": {"accounts": [found]}})
    return Response(msgspec.json.encode(answer), mimetype=JSON)


def _usage_of_databases(_account_id: str, _filter: Filter) -> dict[str, Any]:
    """Nothing is counted by the hour here."""
    return {"d1AnalyticsAdaptiveGroups": []}


def _usage_of_bucket(account_id: str, wanted: Filter) -> dict[str, Any]:
    with translated(R2_BUCKET_NOT_FOUND):
        usage = house().registry.r2.usage(account_id, wanted.bucket_name)
    counts = {"objectCount": usage.objects, "payloadSize": usage.bytes, "metadataSize": 0}
    return {"r2StorageAdaptiveGroups": [{"max": counts}]}


_ANSWERS: dict[str, Callable[[str, Filter], dict[str, Any]]] = {
    "getD1MetricsOverviewQuery": _usage_of_databases,
    "getR2StorageMetrics": _usage_of_bucket,
}
