"""wrangler with versions of a plain Worker: uploaded, split, rolled back, given other secrets."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
from clients_installation import ACCOUNT, TOKEN, Platform, Wrangler

Project = Callable[..., Path]

SETTINGS = """
workers_dev = false
preview_urls = false
[observability]
enabled = true
"""
SAYS = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("one")
"""


def test_versions(wrangler: Wrangler, project: Project, platform: Platform) -> None:
    """All of it: what is uploaded is not live before it is deployed; a split, which sets what no
    version has of its own; the way back; secrets of versions that are not live; and the end."""
    directory = project("versioned", SAYS, SETTINGS)
    worker = f"{platform.api}/accounts/{ACCOUNT}/workers/scripts/versioned"

    def live() -> dict[str, float]:
        answer = httpx.get(f"{worker}/deployments", headers=WHOLE, trust_env=False).json()
        newest = answer["result"]["deployments"][0]
        return {item["version_id"]: item["percentage"] for item in newest["versions"]}

    wrangler("deploy", cwd=directory)
    said = wrangler("versions", "upload", "--tag", "v2", "--message", "second", cwd=directory)
    assert "last updated via the script API" not in said.stdout + said.stderr
    second = _only(r"Worker Version ID: (\S+)", said.stdout)
    (first,) = live()
    listed = json.loads(wrangler("versions", "list", "--json", cwd=directory).stdout)
    assert [item["id"] for item in listed] == [first, second]
    assert listed[1]["annotations"] == {"workers/message": "second", "workers/tag": "v2"}
    assert listed[1]["metadata"]["source"] == "wrangler"
    shown = wrangler("versions", "view", second, cwd=directory).stdout
    assert "Tag:         v2" in shown

    halves = (f"{first}@50%", f"{second}@50%", "-y")
    said = wrangler("versions", "deploy", *halves, "--message", "half", cwd=directory)
    assert "Synced non-versioned settings" in said.stdout
    assert live() == {first: 50, second: 50}
    assert "half" in wrangler("deployments", "status", cwd=directory).stdout
    wrangler("rollback", first, "-y", "--message", "back", cwd=directory)
    assert live() == {first: 100}

    put = wrangler("versions", "secret", "put", "KEY", cwd=directory, stdin="hush").stdout
    assert "Success! Created version" in put
    (directory / "secrets.json").write_text('{"A": "1", "KEY": null}')
    wrangler("versions", "secret", "bulk", "secrets.json", cwd=directory)
    newest = wrangler("versions", "secret", "list", "--latest-version", cwd=directory).stdout
    assert re.findall(r"Secret Name: (\w+)", newest) == ["A"]
    assert live() == {first: 100}
    assert "back" in wrangler("deployments", "list", cwd=directory).stdout
    wrangler("delete", "--force", cwd=directory)
    code, said = wrangler.attempt("versions", "list", cwd=directory)
    assert code != 0
    assert "[code: 10007]" in said.stdout + said.stderr


WHOLE = {"Authorization": f"Bearer {TOKEN}"}


def _only(pattern: str, text: str) -> str:
    (found,) = re.findall(pattern, text)
    return str(found)
