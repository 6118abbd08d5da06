"""Data points: rows of lines, and what of them goes."""

import pytest

from cloister.registry import Registry
from cloister.registry import points as points_module
from cloister.registry.points import Point


def point(at: int, text: str = "") -> Point:
    return Point(timestamp=at, namespace="n", script="s", index=None, blobs=[text], doubles=[])


def count(registry: Registry, account: str) -> int:
    return sum(each.points for each in registry.points.datasets(account))


def test_long_rows_are_parted(
    registry: Registry, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row has more lines than fit, and all of them are read, in pages."""
    monkeypatch.setattr(points_module, "BATCH_BYTES", 300)
    monkeypatch.setattr(points_module, "READ_ROWS", 2)
    registry.points.write([(account, "d", [point(n) for n in range(20)])])
    lines = list(registry.points.lines(account, "d", since=0, until=10**15, limit=100))
    assert len(lines) == 20
    assert len(list(registry.points.lines(account, "d", since=0, until=10**15, limit=7))) == 7


def test_old_ones_go(registry: Registry, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that were written three months ago are deleted, younger ones are not."""
    now = [10_000_000_000_000]
    monkeypatch.setattr(points_module, "now_ms", lambda: now[0])
    registry.points.write([(account, "d", [point(now[0])])])
    now[0] += points_module.KEPT_S * 1000
    registry.points.write([(account, "d", [point(now[0])])])
    assert registry.points.trim() == 0
    now[0] += 1
    assert registry.points.trim() == 1
    assert count(registry, account) == 1


def test_too_many_go(registry: Registry, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account keeps the newest that fit; another account's are its own."""
    now = [10_000_000_000_000]
    monkeypatch.setattr(points_module, "now_ms", lambda: now[0])
    registry.accounts.ensure("e" * 32, "other")
    for n in range(10):
        now[0] += 1
        registry.points.write([(account, "d", [point(now[0], f"{n}")])])
    registry.points.write([("e" * 32, "d", [point(now[0])])])
    monkeypatch.setattr(points_module, "ACCOUNT_BYTES", 300)
    assert registry.points.trim() > 0
    assert registry.points.trim() == 0
    assert 1 <= count(registry, account) < 10
    newest = list(registry.points.lines(account, "d", since=0, until=10**15, limit=100))
    assert b'"9"' in newest[-1]
    assert count(registry, "e" * 32) == 1
