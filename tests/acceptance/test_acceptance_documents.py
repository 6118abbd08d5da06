"""What the README, the quick start and the examples say, typed line by line."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from acceptance_installation import Account, Up

LEFT_OUT = ("make ", "export PATH", "cloister tail", "cloister dev")
"""What goes on until Ctrl-C, or is so set here already; other tests show it."""


def _commands(document: Path) -> list[str]:
    """The indented lines of a document; those that continue a command are joined to it."""
    unfenced = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"(?:^ {4}.*\n)+", unfenced, re.MULTILINE)
    lines: list[str] = []
    for line in "".join(blocks).splitlines():
        if lines and line.startswith("     "):
            lines[-1] += f"\n{line[4:]}"
        else:
            lines.append(line[4:])
    return [line for line in lines if not line.startswith(LEFT_OUT)]


def _run(up: Up, command: str) -> subprocess.CompletedProcess[str]:
    """Type it into a shell of the clone, with the ports that this run happens to have."""
    command = command.replace("http://127.0.0.1:8787", f"http://127.0.0.1:{up.dispatch_port}")
    environment = up.environment
    environment["PATH"] = f"{up.directory / '.venv' / 'bin'}:{environment['PATH']}"
    return subprocess.run(
        command,
        shell=True,
        cwd=up.directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "docs/quickstart.md",
        "examples/hello/README.md",
        "examples/counter/README.md",
        "examples/kv-counter/README.md",
        "examples/site/README.md",
    ],
)
def test_every_line_to_type_works(up: Up, document: str) -> None:
    """In the order of the page; curl also prints what a worker said, not an error page."""
    commands = _commands(up.directory / document)
    assert commands
    for command in commands:
        result = _run(up, command)
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
        if command.startswith("curl"):
            assert result.stdout, command
            assert "error" not in result.stdout.lower(), f"{command}\n{result.stdout}"


def test_the_site_example_is_served_as_it_says(up: Up, http_client: httpx.Client) -> None:
    """Its files by their addresses, its rules, its code, and what is none of them."""
    deployed = up.cli("deploy", str(up.directory / "examples/site"), "--name", "the-site")
    assert deployed.returncode == 0, deployed.stderr
    host = {"Host": "the-site.localhost"}
    base = f"http://127.0.0.1:{up.dispatch_port}"
    front = http_client.get(f"{base}/", headers=host)
    assert "This page is a file" in front.text
    assert front.headers["x-frame-options"] == "DENY"
    style = http_client.get(f"{base}/style.css", headers=host)
    assert style.headers["cache-control"] == "public, max-age=3600"
    moved = http_client.get(f"{base}/documents/x", headers=host, follow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (301, "/docs/x")
    assert "docs" in http_client.get(f"{base}/api/pages", headers=host).json()
    lost = http_client.get(f"{base}/nowhere", headers=host)
    assert lost.status_code == 404
    assert "no such page" in lost.text


def test_the_readme_deploys_with_the_sdk(up: Up, http_client: httpx.Client) -> None:
    """Its Python block, unchanged, in the clone's directory."""
    blocks = re.findall(r"```python\n(.*?)```", (up.directory / "README.md").read_text(), re.DOTALL)
    block = next(block for block in blocks if "Cloudflare(" in block)
    subprocess.run([sys.executable, "-c", block], cwd=up.directory, env=up.environment, check=True)
    account = Account(up)
    account.sdk.close()
    assert http_client.get(account.url("my-worker")).text == "Hello World!"


def test_the_ai_runner_runs_snippets_and_stops_them(up: Up) -> None:
    """The first command prints 6; the second is stopped at its limit; nothing stays deployed."""
    good, endless = _commands(up.directory / "examples" / "ai-runner" / "README.md")
    assert _run(up, good).stdout == "6\n"
    stopped = _run(up, endless)
    assert stopped.returncode == 1
    assert "1102" in stopped.stdout
    listed = up.cli("workers", "list", "--json", "--tags", "snippet:yes")
    assert listed.stdout.strip() == "[]"
