"""Durable Objects: a real executor, real isolates, real storage."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from executor_house import House, house
from executor_objects import call, deploy, worker


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running executor."""
    directory: Path = tmp_path_factory.mktemp("house")
    with house(directory, blank_isolates=2, objects_active=6) as made:
        yield made


def test_an_object_counts(shared: House, namespace: str) -> None:
    """Methods of one object by its name: what it stores and what it holds in memory is its own."""
    deploy(shared, namespace, worker("return Response(str(await stub.increment()))"))
    assert [call(shared, namespace).body for _ in range(3)] == [b"1", b"2", b"3"]
    assert call(shared, namespace, "b").body == b"1"
