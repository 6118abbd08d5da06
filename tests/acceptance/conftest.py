"""A fresh clone with `make up` running in it, as a newcomer has it; one for the whole session."""

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from acceptance_installation import Account, Up, clone

ORIGIN_HOST = "127.0.0.9"
"""An address that the installation lets fetch() reach; 127.0.0.1 stays refused."""


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone, in a directory with a space in its name."""
    directory = tmp_path_factory.mktemp("a clone") / "clois ter"
    clone(directory)
    return directory


class Origin(http.server.BaseHTTPRequestHandler):
    """A server of the outside world: says what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/landed")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = f"origin saw {self.path} key={self.headers.get('x-key')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture(scope="session")
def origin() -> Iterator[str]:
    """URL of a server that fetch() may reach."""
    server = http.server.ThreadingHTTPServer((ORIGIN_HOST, 0), Origin)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{ORIGIN_HOST}:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def up(checkout: Path, origin: str) -> Iterator[Up]:
    """`make up`, ready; afterwards Ctrl-C, and nothing may be left."""
    running = Up(
        checkout,
        {
            "CLOISTER_EGRESS_PRIVATE": f"{ORIGIN_HOST}/32",
            "CLOISTER_EGRESS_PORTS": f"80,443,{origin.rpartition(':')[2]}",
        },
    )
    try:
        running.start()
        yield running
        running.stop()
        assert running.processes() == {}
    finally:
        running.kill()


@pytest.fixture
def another_up(checkout: Path, up: Up, tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Make a second installation in the same clone, on a data directory of its own."""
    made = []

    def make(**environment: str) -> Up:
        made.append(Up(checkout, {"CLOISTER_DATA": str(tmp_path / "data"), **environment}))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def account(up: Up) -> Iterator[Account]:
    """The first account, through the official SDK."""
    found = Account(up)
    yield found
    found.sdk.close()


@pytest.fixture
def http_client() -> Iterator[httpx.Client]:
    """Plain HTTP that follows nothing and uses no proxy."""
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield client


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the end of the installation's log with a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Up) and value.log.exists():
                report.sections.append(("make up", value.text()[-6000:]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole installations start and stop here: more time than for the other tests."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(300))
