"""`cloister versions` and `cloister deploy --not-live`, against a small control API."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from test_cli_commands import Api

from cloister.cli import cli
from cloister.credentials import Credentials, save

SHOP = "/workers/dispatch/namespaces/production/scripts/shop"
OLD, NEW = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
TWO = {
    "versions": [{"version_id": NEW, "percentage": 12.5}, {"version_id": OLD, "percentage": 87.5}]
}
TOLD = f"{NEW} is live: 12.5 %\n{OLD} is live: 87.5 %\n"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    server = Api()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    (tmp_path / "data").mkdir()
    save(
        tmp_path / "data",
        Credentials(
            account_id="account",
            api_token="sesame",
            control_url=f"http://127.0.0.1:{server.server_address[1]}",
            dispatch_url="http://front",
            namespace="production",
        ),
    )
    monkeypatch.setenv("CLOISTER_DATA", str(tmp_path / "data"))
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def answers(api: Api, request: str, result: Any) -> None:
    api.answers[request] = {"success": True, "result": result}


def item(id_: str, number: int, **annotations: str) -> dict[str, Any]:
    said = {f"workers/{name}": value for name, value in annotations.items()}
    return {
        "id": id_,
        "number": number,
        "annotations": said,
        "metadata": {"created_on": "2026-01-01T00:00:00Z"},
    }


def test_list(api: Api) -> None:
    """What is kept, with what is said of it and how much of it is live."""
    answers(api, f"GET {SHOP}/deployments", {"deployments": [TWO, {"versions": []}]})
    kept = [item("third", 3), item(NEW, 2, tag="v2", message="try"), item(OLD, 1)]
    answers(api, f"GET {SHOP}/versions", {"items": kept})
    found = json.loads(run("versions", "list", "production", "shop", "--json").output)
    assert [(row["number"], row["live"], row["tag"], row["message"]) for row in found] == [
        (3, "", "", ""),
        (2, "12.5 %", "v2", "try"),
        (1, "87.5 %", "", ""),
    ]
    shown = run("versions", "list", "production", "shop").output
    assert "12.5 %" in shown
    assert {NEW, OLD} < set(shown.split())


def test_deploy(api: Api) -> None:
    """One version without a number is all; a message and force are passed on."""
    answers(api, f"POST {SHOP}/deployments", TWO)
    shares = (f"{NEW}=12.5", f"{OLD}=87.5")
    shown = run("versions", "deploy", "production", "shop", *shares, "--message", "try", "--force")
    assert shown.output == TOLD
    assert json.loads(api.body("POST")) == {
        "strategy": "percentage",
        "versions": TWO["versions"],
        "annotations": {"workers/message": "try"},
    }
    assert api.paths()[-1] == f"POST {SHOP}/deployments?force=true"
    run("versions", "deploy", "production", "shop", NEW)
    assert json.loads(api.body("POST"))["versions"] == [{"version_id": NEW, "percentage": 100}]
    wrong = run("versions", "deploy", "production", "shop", f"{NEW}=half")
    assert (wrong.exit_code, "VERSION=PERCENT" in wrong.output) == (2, True)


def test_rollback(api: Api) -> None:
    """One call."""
    answers(api, f"POST {SHOP}/deployments/rollback", TWO)
    assert run("versions", "rollback", "production", "shop").output == TOLD
    assert api.paths() == [f"POST {SHOP}/deployments/rollback"]


def test_preview(api: Api) -> None:
    """The link, and nothing else: to be pasted."""
    answers(api, f"POST {SHOP}/versions/{NEW}/preview", {"url": "http://a/?b"})
    shown = run("versions", "preview", "production", "shop", NEW, "--hours", "2.5")
    assert shown.output == "http://a/?b\n"
    assert json.loads(api.body("POST")) == {"expires_in_s": 9000}


def test_upload_without_deploying(api: Api, tmp_path: Path) -> None:
    """The same upload, as a version; its id is what the next command needs."""
    (tmp_path / "shop.py").write_text("x = 1\n")
    answers(api, f"POST {SHOP}/versions", {"id": NEW})
    assert run("deploy", str(tmp_path / "shop.py"), "--not-live").output == f"{NEW}\n"
    assert api.paths() == [f"POST {SHOP}/versions"]
