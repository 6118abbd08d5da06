"""`cloister versions`."""

from typing import Any
from urllib.parse import quote

import click

from cloister.cli import tables
from cloister.cli.connection import Connection, connected
from cloister.client import script_path

COLUMNS = ("id", "number", "live", "tag", "message", "created_on")


@click.group("versions")
def command() -> None:
    """Versions of a worker: which are live, and which were."""


@command.command("list")
@click.argument("namespace")
@click.argument("worker")
@tables.as_json
@connected
def list_all(connection: Connection, namespace: str, worker: str, machine: bool) -> None:
    """List the versions that are kept, newest first, and what is live."""
    path = script_path(namespace, worker)
    (active, *_) = connection.client.call("GET", f"{path}/deployments")["deployments"]
    live = {part["version_id"]: f"{part['percentage']:g} %" for part in active["versions"]}
    found = connection.client.call("GET", f"{path}/versions", params={"deployable": "true"})
    tables.show([_row(item, live) for item in found["items"]], COLUMNS, machine=machine)


@command.command("deploy")
@click.argument("namespace")
@click.argument("worker")
@click.argument("versions", nargs=-1, required=True, metavar="VERSION[=PERCENT]...")
@click.option("--message", default="", help="Why, for the history.")
@click.option("--force", is_flag=True, help="Also if secrets have changed since.")
@connected
def deploy(
    connection: Connection,
    namespace: str,
    worker: str,
    versions: tuple[str, ...],
    message: str,
    force: bool,
) -> None:
    """Make one or two VERSIONs live; percentages add up to 100."""
    body = {
        "strategy": "percentage",
        "versions": [_share(text) for text in versions],
        **_said(message),
    }
    path = f"{script_path(namespace, worker)}/deployments"
    _tell(connection.client.call("POST", path, json=body, params=_force(force)))


@command.command("rollback")
@click.argument("namespace")
@click.argument("worker")
@click.option("--message", default="", help="Why, for the history.")
@click.option("--force", is_flag=True, help="Also if secrets have changed since.")
@connected
def rollback(
    connection: Connection, namespace: str, worker: str, message: str, force: bool
) -> None:
    """Make live what was so before the newest live version; again, and it goes further back."""
    path = f"{script_path(namespace, worker)}/deployments/rollback"
    _tell(connection.client.call("POST", path, json=_said(message), params=_force(force)))


@command.command("preview")
@click.argument("namespace")
@click.argument("worker")
@click.argument("version")
@click.option("--hours", type=click.FloatRange(1 / 60, 168), default=1.0, help="How long it lasts.")
@connected
def preview(
    connection: Connection, namespace: str, worker: str, version: str, hours: float
) -> None:
    """Print a link to VERSION, live or not. Whoever has it sees that version."""
    path = f"{script_path(namespace, worker)}/versions/{quote(version, safe='')}/preview"
    body = {"expires_in_s": round(hours * 3600)}
    click.echo(connection.client.call("POST", path, json=body)["url"])


def _row(item: dict[str, Any], live: dict[str, str]) -> dict[str, Any]:
    said = item["annotations"]
    return {
        "id": item["id"],
        "number": item["number"],
        "live": live.get(item["id"], ""),
        "tag": said.get("workers/tag", ""),
        "message": said.get("workers/message", ""),
        "created_on": item["metadata"]["created_on"],
    }


def _share(text: str) -> dict[str, Any]:
    version, _, percentage = text.partition("=")
    try:
        return {"version_id": version, "percentage": float(percentage or 100)}
    except ValueError as exc:
        raise click.BadParameter(f"{text!r} is not VERSION=PERCENT.") from exc


def _said(message: str) -> dict[str, Any]:
    return {"annotations": {"workers/message": message}} if message else {}


def _force(force: bool) -> dict[str, str]:
    return {"force": "true"} if force else {}


def _tell(made: dict[str, Any]) -> None:
    for part in made["versions"]:
        click.echo(f"{part['version_id']} is live: {part['percentage']:g} %")
