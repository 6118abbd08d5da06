"""`cloister namespaces`."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import click

from cloister.cli import tables
from cloister.cli.connection import Connection, connected

PATH = "/workers/dispatch/namespaces"
COLUMNS = ("namespace_name", "script_count", "trusted_workers", "limits", "created_on")


@click.group("namespaces")
def command() -> None:
    """Dispatch namespaces: containers of workers."""


@command.command("list")
@tables.as_json
@connected
def list_all(connection: Connection, machine: bool) -> None:
    """List them."""
    tables.show(connection.client.call("GET", PATH), COLUMNS, machine=machine)


@command.command("create")
@click.argument("name")
@connected
def create(connection: Connection, name: str) -> None:
    """Make the namespace NAME."""
    connection.client.call("POST", PATH, json={"name": name})
    click.echo(f"created {name}")


@command.command("rename")
@click.argument("name")
@click.argument("new_name")
@connected
def rename(connection: Connection, name: str, new_name: str) -> None:
    """Give the namespace NAME the name NEW_NAME; its workers' addresses change with it."""
    connection.client.call("PUT", _one(name), json={"name": new_name})
    click.echo(f"renamed {name} to {new_name}")


@command.command("delete")
@click.argument("name")
@click.confirmation_option(prompt="Delete the namespace with all its workers?")
@connected
def delete(connection: Connection, name: str) -> None:
    """Delete the namespace NAME with all its workers."""
    connection.client.call("DELETE", _one(name))
    click.echo(f"deleted {name}")


@command.command("set")
@click.argument("name")
@click.option("--trusted/--untrusted", default=None, help="May workers see request.cf?")
@click.option("--cpu-ms", type=click.IntRange(1), help="CPU time of one invocation.")
@click.option("--memory-mb", type=click.IntRange(1), help="Memory of one isolate.")
@click.option("--wall-ms", type=click.IntRange(1), help="Wall time of one invocation.")
@click.option("--subrequests", type=click.IntRange(0), help="Subrequests of one invocation.")
@click.option("--outbound", help="[NAMESPACE/]WORKER that gets every fetch(); empty for none.")
@click.option("--parameter", "parameters", multiple=True, help="What the outbound worker is told.")
@click.option("--allow", multiple=True, help="Host pattern that fetch() may reach.")
@click.option("--deny", multiple=True, help="Host pattern that fetch() may not reach.")
@connected
def change(connection: Connection, name: str, **options: Any) -> None:
    """Set what bounds the workers of the namespace NAME; what is not named stays."""
    present = connection.client.call("GET", _one(name))
    result = connection.client.call("PUT", _one(name), json=_changes(present, options))
    shown = {key: result.get(key) for key in ("trusted_workers", "limits", "outbound", "egress")}
    click.echo(json.dumps(shown, indent=2))


def _changes(present: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if options["trusted"] is not None:
        changes["trusted_workers"] = options["trusted"]
    names = ("cpu_ms", "memory_mb", "wall_ms", "subrequests")
    limits = {key: options[key] for key in names if options[key] is not None}
    if limits:
        changes["limits"] = {**(present.get("limits") or {}), **limits}
    if options["outbound"] is not None:
        changes["outbound"] = _outbound(options["outbound"], options["parameters"])
    if options["allow"] or options["deny"]:
        egress = present.get("egress") or {}
        changes["egress"] = {
            side: list(options[side]) or egress.get(side, []) for side in ("allow", "deny")
        }
    if not changes:
        raise click.UsageError("Say what to set.")
    return changes


def _outbound(worker: str, parameters: Sequence[str]) -> dict[str, Any] | None:
    if not worker:
        return None
    namespace, _, service = worker.rpartition("/")
    rule = {"service": service, "parameters": list(parameters)}
    return {**rule, "namespace": namespace} if namespace else rule


def _one(name: str) -> str:
    return f"{PATH}/{quote(name, safe='')}"
