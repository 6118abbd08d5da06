"""A platform, and the official clients pointed at it by base URL, token and account id alone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from clients_installation import Platform, Wrangler, installed

CONFIGURATION = """
name = "{name}"
main = "worker.py"
compatibility_date = "2026-01-01"
compatibility_flags = ["python_workers"]
{more}
"""

Project = Callable[..., Path]


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    running = Platform(tmp_path_factory.mktemp("platform"), CLOISTER_DISPATCH_SCRIPT="dispatcher")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def wrangler(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Wrangler:
    return Wrangler(installed(), platform.api, tmp_path_factory.mktemp("home"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Make a project's directory: its worker, and what its configuration has beside the name."""

    def make(name: str, source: str, more: str = "") -> Path:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        (directory / "worker.py").write_text(source)
        (directory / "wrangler.toml").write_text(CONFIGURATION.format(name=name, more=more))
        return directory

    return make


@pytest.fixture
def visit(platform: Platform) -> Iterator[Callable[..., httpx.Response]]:
    """Ask the front door, as one of its hosts if one is named."""
    with httpx.Client(base_url=f"http://{platform.dispatch}", trust_env=False) as client:

        def get(path: str, host: str = "") -> httpx.Response:
            return client.get(path, headers={"Host": host} if host else {})

        yield get


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the end of the platform's log with a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    found = getattr(item, "funcargs", {}).get("platform")
    if report.failed and found is not None:
        report.sections.append(("cloister up", found.text()[-4000:]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a process waits for an installation of npm packages."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(300))
