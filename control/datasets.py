"""What Workers wrote with ``writeDataPoint``, for those who run the platform: paths of ours."""

import time

import msgspec
from flask import Blueprint, Response

from control import envelope, fields
from control.house import house
from control.operation import operation
from control.paths import ACCOUNT

blueprint = Blueprint("datasets", __name__)

BASE = f"{ACCOUNT}/analytics_engine/datasets"
NDJSON = "application/x-ndjson"
LIMIT = 100_000

RANGE: fields.Query = {
    "since": fields.Moment(),
    "until": fields.Moment(),
    "limit": fields.Whole(10_000, 1, LIMIT),
}


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of a dataset."""

    name: str
    points: int
    first_written_on: envelope.Time
    last_written_on: envelope.Time


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A data point; one is a line of the answer. Its timestamp is epoch milliseconds."""

    timestamp: int
    namespace: str
    script: str
    index: str | None
    blobs: list[str | None]
    doubles: list[float]


@blueprint.get(BASE)
@operation(list[Dataset], info=envelope.CountInfo)
def list_all(account_id: str) -> Response:
    """Every dataset of which there are points."""
    found = [
        Dataset(
            name=each.name,
            points=each.points,
            first_written_on=envelope.timestamp(each.first_at),
            last_written_on=envelope.timestamp(each.last_at),
        )
        for each in house().registry.points.datasets(account_id)
    ]
    return envelope.success(found, info=envelope.CountInfo(count=len(found)))


@blueprint.get(f"{BASE}/<dataset>/points")
@operation(query=RANGE, gives={NDJSON: Point})
def points(
    account_id: str, dataset: str, since: int | None, until: int | None, limit: int
) -> Response:
    """Points of a time, oldest first, a line of JSON each."""
    lines = house().registry.points.lines(
        account_id,
        dataset,
        since=since or 0,
        until=time.time_ns() // 1_000_000 + 1 if until is None else until,
        limit=limit,
    )
    return Response(lines, mimetype=NDJSON)
