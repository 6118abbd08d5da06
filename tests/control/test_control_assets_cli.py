"""`cloister deploy --assets` against the real API."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloister.cli import cli
from cloister.client import ApiError
from cloister.credentials import Credentials, save
from cloister.registry import Registry

ACCOUNT = "a" * 32
TOKEN = "test-token-0123456789abcdef"


@pytest.fixture
def command(url: str, executor: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command, at that API."""
    data = tmp_path / "home"
    data.mkdir()
    credentials = Credentials(
        account_id=ACCOUNT,
        api_token=TOKEN,
        control_url=url,
        dispatch_url="http://dispatch",
        namespace="production",
    )
    save(data, credentials)
    monkeypatch.setenv("CLOISTER_DATA", str(data))
    for name in ("CLOUDFLARE_API_BASE_URL", "CLOISTER_ACCOUNT_ID", "CLOISTER_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["deploy", *arguments], catch_exceptions=False)

    return run


def test_site_in_one_go(command: Any, tmp_path: Path, registry: Registry) -> None:
    """A site of many files goes up at once; the second time only what changed."""
    public = tmp_path / "public"
    public.mkdir()
    for number in range(1200):
        (public / f"{number}.txt").write_text(f"page {number}")
    (public / "_headers").write_text("/*\n  X-A: b\n")
    (public / "big.bin").write_bytes(bytes(20 * 1024 * 1024))
    first = command(str(tmp_path), "--assets", str(public), "--name", "site")
    assert first.exit_code == 0, first.output
    assert "Uploading 1201 files (0 unchanged)" in first.stderr
    assert first.stdout == "http://dispatch/production/site/\n"
    namespace = registry.namespaces.get(ACCOUNT, "production").id
    ref = registry.scripts.get(namespace, "site").version.assets
    assert ref is not None
    assert ref.files == 1201
    (public / "7.txt").write_text("new")
    second = command(str(tmp_path), "--assets", str(public), "--name", "site")
    assert "Uploading 1 files (1200 unchanged)" in second.stderr
    third = command(str(tmp_path), "--assets", str(public), "--name", "site")
    assert "No updated asset files" in third.stderr
    assert third.exit_code == 0


def test_project_with_code(command: Any, tmp_path: Path, registry: Registry) -> None:
    """Code, assets and the binding from the project's configuration, in one version."""
    (tmp_path / "public").mkdir()
    (tmp_path / "public/index.html").write_text("<h1>")
    (tmp_path / "entry.py").write_text("x = 1")
    (tmp_path / "wrangler.toml").write_text(
        'name = "shop"\n[assets]\ndirectory = "public"\nbinding = "ASSETS"\n'
        'run_worker_first = ["/api/*"]\n'
    )
    done = command(str(tmp_path))
    assert done.exit_code == 0, done.output
    namespace = registry.namespaces.get(ACCOUNT, "production").id
    version = registry.scripts.get(namespace, "shop").version
    assert version.assets is not None
    assert version.main_module == "entry.py"
    assert version.bindings == [{"type": "assets", "name": "ASSETS"}]


def test_refusal_is_one_sentence(command: Any, tmp_path: Path) -> None:
    """What the API refuses of the rules is said as it says it; nothing is deployed."""
    (tmp_path / "public").mkdir()
    (tmp_path / "public/_redirects").write_text("/* /index.html 200\n")
    (tmp_path / "public/index.html").write_text("<h1>")
    with pytest.raises(ApiError, match="Infinite loop"):
        command(str(tmp_path), "--assets", str(tmp_path / "public"), "--name", "site")
