"""A real dispatcher under gunicorn, a real Valkey, and a fake executor that plays scripts."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop
from dispatcher_rig import Dispatcher, serving


@pytest.fixture(scope="session")
def dispatcher(
    _valkey_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dispatcher]:
    """A dispatcher with default settings, shared; a worker ``echo`` in every namespace."""
    url = f"{_valkey_server}?db=3"  # its executor takes from queues that other tests use in 0
    with serving(url, tmp_path_factory.mktemp("dispatcher")) as started:
        yield started


@pytest.fixture
def start(redis_url: str, tmp_path: Path) -> Iterator[Callable[..., Dispatcher]]:
    """Start a dispatcher of one's own with these settings; it is stopped at the end."""
    url = f"{redis_url}?db=1"
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(serving(url, tmp_path, **options))


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Connections are tested on the dispatcher's own loop: that of CPython 3.13.0 has no flow
    control in ``writelines``."""
    if item.path.name == "test_dispatcher_connections.py":
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}
