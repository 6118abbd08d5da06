"""Duties that delete rows: expired pairs, and data points of which there are too many."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloister.registry import KvPut, open_registry
from cloister.registry import kv as kv_module
from cloister.registry import points as points_module
from cloister.registry.points import Point
from cloister.settings import Settings
from scheduler.duties import purge_pairs, trim_points


async def test_expired_rows_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run deletes what expired, transaction by transaction, and leaves what did not."""
    monkeypatch.setattr(kv_module, "PURGED_AT_WRITE", 0)
    registry = open_registry(Settings(data=str(tmp_path), secret_key="ab" * 32))
    registry.accounts.ensure("a" * 32, "test")
    store = registry.kv.namespaces.create("a" * 32, "store").id
    later = int(time.time()) + 3600
    pairs = [
        KvPut(key=f"{n}", value=b"", metadata=None, expires_at=later if n < 2 else 1)
        for n in range(1_500)
    ]
    registry.kv.put_many(store, pairs)
    point = Point(timestamp=1, namespace="n", script="s", index=None, blobs=[], doubles=[])
    registry.points.write([("a" * 32, "d", [point])])
    house: Any = SimpleNamespace(registry=registry)
    await purge_pairs(house)
    assert registry.kv.purge() == 0
    assert len(registry.kv.list(store).items) == 2
    await trim_points(house)
    assert len(registry.points.datasets("a" * 32)) == 1
    monkeypatch.setattr(points_module, "ACCOUNT_BYTES", 0)
    await trim_points(house)
    assert registry.points.datasets("a" * 32) == []
    registry.close()
