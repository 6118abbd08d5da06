"""`cloister tail`."""

import json
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from cloister.cli.connection import Connection, connected
from cloister.cli.terminal import visible
from cloister.client import script_path
from cloister.languages import FULL

LEVEL_STYLES = {"warn": "yellow", "error": "red", "debug": "dim"}


@click.command("tail")
@click.argument("namespace")
@click.argument("worker")
@click.option("--format", "form", type=click.Choice(["pretty", "json"]), default="pretty")
@connected
def command(connection: Connection, namespace: str, worker: str, form: str) -> None:
    """Show WORKER's invocations as they happen."""
    console = Console(highlight=False, soft_wrap=True)
    for data in connection.client.events(f"{script_path(namespace, worker)}/tail"):
        if form == "json":
            click.echo(data)
        else:
            show(console, json.loads(data))


def show(console: Console, record: dict[str, Any]) -> None:
    """Print one invocation record for people."""
    console.print(Text.assemble(*headline(record)))
    for line in record.get("logs", []):
        words = visible(" ".join(_word(word) for word in line["message"]))
        console.print(Text(f"  ({line['level']}) {words}", LEVEL_STYLES.get(line["level"], "")))
    for exception in record.get("exceptions", []):
        text = exception.get("stack") or f"{exception['name']}: {exception['message']}"
        console.print(Text("\n".join(f"  {visible(line)}" for line in text.splitlines()), "red"))


def headline(record: dict[str, Any]) -> list[str | tuple[str, str]]:
    """When, what, how it ended and what it took."""
    moment = datetime.fromtimestamp(record["eventTimestamp"] / 1000, UTC).astimezone()
    event = record.get("event", {})
    request = event.get("request", {})
    response = event.get("response", {})
    outcome = record["outcome"]
    return [
        (f"{moment:%H:%M:%S} ", "dim"),
        visible(f"{request.get('method', '')} {request.get('url', '')} ".lstrip()),
        (f"{outcome} ", "green" if outcome == "ok" else "red"),
        f"{response['status']} " if "status" in response else "",
        (
            f"cpu {record.get('cpuMs', 0):.1f} ms, wall {record.get('wallMs', 0):.1f} ms, "
            f"{record.get('subrequestCount', 0)} subrequests",
            "dim",
        ),
        (", full language" if record.get("language") == FULL else "", "dim"),
    ]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
