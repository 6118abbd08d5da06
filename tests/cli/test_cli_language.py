"""`cloister namespaces language`: the operator's way, past the API."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cloister.cli import cli
from cloister.errors import NotFound, NotReady
from cloister.registry import open_registry
from cloister.settings import Settings

ACCOUNT = "a" * 32


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of an installation whose Valkey is not running."""
    registry = open_registry(Settings(data=str(tmp_path)))
    registry.accounts.ensure(ACCOUNT, "Test")
    registry.namespaces.create(ACCOUNT, "production")
    registry.close()
    monkeypatch.setenv("CLOISTER_DATA", str(tmp_path))
    return tmp_path


def language(data: Path) -> str:
    registry = open_registry(Settings(data=str(data)))
    found = registry.namespaces.get(ACCOUNT, "production").language
    registry.close()
    return found


def test_it_sets_the_language_in_the_registry(data: Path) -> None:
    """Without a token and without the API; and back."""
    for word in ("full", "restricted"):
        ran = CliRunner().invoke(
            cli, ["namespaces", "language", "production", word], catch_exceptions=False
        )
        assert ran.exit_code == 0
        assert ran.output == f"workers of production are of the {word} language now\n"
        assert language(data) == word


def test_it_refuses_what_is_not_there(data: Path) -> None:
    """An unknown word, and an unknown namespace."""
    ran = CliRunner().invoke(cli, ["namespaces", "language", "production", "fuller"])
    assert ran.exit_code == 2
    with pytest.raises(NotFound, match="no namespace 'nowhere'"):
        CliRunner().invoke(
            cli, ["namespaces", "language", "nowhere", "full"], catch_exceptions=False
        )
    assert language(data) == "restricted"


def test_it_makes_no_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none, it says so and leaves nothing behind."""
    monkeypatch.setenv("CLOISTER_DATA", str(tmp_path / "none"))
    with pytest.raises(NotReady, match="no registry"):
        CliRunner().invoke(
            cli, ["namespaces", "language", "production", "full"], catch_exceptions=False
        )
    assert list(tmp_path.iterdir()) == []
