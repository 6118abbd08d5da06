"""One executor for all tests of a module that can share it: tests use namespaces of their own."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from executor_house import House, house
from executor_threaded import ThreadedOrigin

_numbers = itertools.count()


@pytest.fixture(scope="module")
def origin() -> Iterator[ThreadedOrigin]:
    """A server that the executor's workers may fetch() from."""
    made = ThreadedOrigin()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, origin: ThreadedOrigin) -> Iterator[House]:
    """A running executor."""
    directory: Path = tmp_path_factory.mktemp("house")
    settings = {
        "egress_ports": (origin.port,),
        "egress_private": ("127.0.0.0/8",),
        "blank_isolates": 2,
    }
    with house(directory, **settings) as made:
        yield made


@pytest.fixture
def namespace(shared: House) -> str:
    """A namespace of this test's own."""
    name = f"ns-{next(_numbers)}"
    shared.namespace(name)
    return name
