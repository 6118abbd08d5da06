"""Analytics Engine bindings."""

import asyncio
from typing import Any

from executor.isolate.invocation import runtime
from executor.isolate.workers.values import merged_options

MAX_BLOBS = MAX_DOUBLES = 20
MAX_BLOBS_BYTES = 16 * 1024
MAX_INDEX_BYTES = 96


class AnalyticsEngineDataset:
    """``env.NAME.writeDataPoint({"blobs": [...], "doubles": [...], "indexes": [...]})``."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def writeDataPoint(self, point: Any = None, /, **named: Any) -> None:
        """Write one; nothing is to be awaited, and what becomes of it is not told."""
        asked = merged_options(point, named)
        sent = {
            "blobs": _blobs(asked.get("blobs", [])),
            "doubles": _doubles(asked.get("doubles", [])),
            "indexes": _indexes(asked.get("indexes", [])),
        }
        writing = asyncio.ensure_future(_written(self._name, sent))
        runtime.current().wait_until(writing)

    def __repr__(self) -> str:
        return f"<dataset {self._name}>"


async def _written(name: str, point: dict[str, Any]) -> None:
    try:
        await runtime.ask(name, "write", [point])
    except Exception as error:  # noqa: BLE001 - as in the product, writing never fails
        runtime.log("warn", f"writeDataPoint(): {error}")


def _blobs(given: Any) -> list[str | None]:
    blobs = [_text(blob, "blobs") for blob in _listed(given, "blobs", MAX_BLOBS)]
    if sum(len((blob or "").encode()) for blob in blobs) > MAX_BLOBS_BYTES:
        raise TypeError(f"writeDataPoint(): blobs have at most {MAX_BLOBS_BYTES} bytes together")
    return blobs


def _doubles(given: Any) -> list[float]:
    doubles = _listed(given, "doubles", MAX_DOUBLES)
    if not all(isinstance(each, int | float) for each in doubles):
        raise TypeError("writeDataPoint(): doubles are numbers")
    return [float(each) for each in doubles]


def _indexes(given: Any) -> list[str | None]:
    indexes = [_text(index, "indexes") for index in _listed(given, "indexes", 1)]
    if any(len((index or "").encode()) > MAX_INDEX_BYTES for index in indexes):
        raise TypeError(f"writeDataPoint(): an index has at most {MAX_INDEX_BYTES} bytes")
    return indexes


def _listed(given: Any, name: str, most: int) -> list[Any]:
    if not isinstance(given, list | tuple):
        raise TypeError(f"writeDataPoint(): {name} is a list, not {type(given).__name__}")
    if len(given) > most:
        raise TypeError(f"writeDataPoint(): {name} has at most {most} items, not {len(given)}")
    return list(given)


def _text(value: Any, name: str) -> str | None:
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value).decode("utf-8", "replace")
    if value is not None and not isinstance(value, str):
        raise TypeError(f"writeDataPoint(): {name} are strings, not {type(value).__name__}")
    return None if value is None else value.encode("utf-8", "replace").decode()
