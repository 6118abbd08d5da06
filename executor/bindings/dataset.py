"""A dataset of the Analytics Engine: ``env.NAME.writeDataPoint``."""

import time
from typing import Any

import msgspec
from msgspec import Raw

from cloister.registry.points import Point
from executor.bindings.asked import read
from executor.bindings.base import Binding, Refused

POINTS = 250
"""Of one invocation, in all its datasets together."""

BLOBS = DOUBLES = 20
BLOBS_BYTES = 16 * 1024
INDEX_BYTES = 96
ASKED_BYTES = 64 * 1024


class _Said(msgspec.Struct):
    blobs: list[str | None] = []
    doubles: list[float] = []
    indexes: list[str | None] = []


class _Point(msgspec.Struct, array_like=True):
    point: _Said


_point = msgspec.msgpack.Decoder(_Point)


class Dataset(Binding):
    """Points wait in the executor's memory for a moment before they are written."""

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:  # noqa: ARG002 - none
        """``write`` takes one point."""
        if method != "write":
            raise Refused("TypeError", f"A dataset has no method {method[:40]!r}.")
        said = read(_point, arguments, ASKED_BYTES, "writeDataPoint() takes a data point").point
        _check(said)
        self.scope.tally["points"] += 1
        if self.scope.tally["points"] > POINTS:
            raise Refused("Error", f"An invocation writes at most {POINTS} data points.")
        point = Point(
            timestamp=time.time_ns() // 1_000_000,
            namespace=self.scope.bundle.namespace,
            script=self.scope.bundle.script,
            index=said.indexes[0] if said.indexes else None,
            blobs=said.blobs,
            doubles=said.doubles,
        )
        self.scope.points.add(self.scope.bundle.account_id, str(self.spec["dataset"]), point)


def _check(said: _Said) -> None:
    if len(said.blobs) > BLOBS or len(said.doubles) > DOUBLES or len(said.indexes) > 1:
        raise Refused("TypeError", "A data point has 20 blobs, 20 doubles and 1 index at most.")
    if sum(len((blob or "").encode()) for blob in said.blobs) > BLOBS_BYTES:
        raise Refused("TypeError", f"The blobs of a data point have at most {BLOBS_BYTES} bytes.")
    if any(len((index or "").encode()) > INDEX_BYTES for index in said.indexes):
        raise Refused("TypeError", f"An index has at most {INDEX_BYTES} bytes.")
