"""`cloister workers`."""

import json

import click
from rich.console import Console

from cloister.cli import tables, tail
from cloister.cli.connection import Connection, connected
from cloister.client import script_path

COLUMNS = ("id", "tags", "modified_on", "created_on")


@click.group("workers")
def command() -> None:
    """Workers of a namespace."""


@command.command("list")
@click.argument("namespace", default="")
@click.option("--tags", help="Filter, as in `customer-1:yes,free:no`.")
@tables.as_json
@connected
def list_all(connection: Connection, namespace: str, tags: str | None, machine: bool) -> None:
    """List the workers of NAMESPACE [default: production]."""
    filters = {"tags": tags} if tags else {}
    found = connection.client.pages(script_path(namespace or connection.namespace), **filters)
    tables.show(found, COLUMNS, machine=machine)


@command.command("get")
@click.argument("namespace")
@click.argument("worker")
@connected
def get(connection: Connection, namespace: str, worker: str) -> None:
    """Show a worker and its settings as JSON."""
    path = script_path(namespace, worker)
    shown = {
        **connection.client.call("GET", path),
        "settings": connection.client.call("GET", f"{path}/settings"),
    }
    click.echo(json.dumps(shown, indent=2))


@command.command("delete")
@click.argument("namespace")
@click.argument("worker")
@click.option("--force", is_flag=True, help="Also if other workers are bound to it.")
@connected
def delete(connection: Connection, namespace: str, worker: str, force: bool) -> None:
    """Delete a worker."""
    parameters = {"force": "true"} if force else {}
    connection.client.call("DELETE", script_path(namespace, worker), params=parameters)
    click.echo(f"deleted {worker}")


@command.command("tags")
@click.argument("namespace")
@click.argument("worker")
@click.argument("tags", nargs=-1)
@click.option("--clear", is_flag=True, help="Remove all tags.")
@connected
def tags(
    connection: Connection, namespace: str, worker: str, tags: tuple[str, ...], clear: bool
) -> None:
    """Show a worker's tags, or replace them by TAGS."""
    path = f"{script_path(namespace, worker)}/tags"
    if tags or clear:
        found = connection.client.call("PUT", path, json=list(tags))
    else:
        found = connection.client.call("GET", path)
    for tag in found or []:
        click.echo(tag)


@command.command("logs")
@click.argument("namespace")
@click.argument("worker")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, help="How many, newest last.")
@click.option("--format", "form", type=click.Choice(["pretty", "json"]), default="pretty")
@connected
def logs(connection: Connection, namespace: str, worker: str, limit: int, form: str) -> None:
    """Show a worker's last invocations."""
    path = f"{script_path(namespace, worker)}/logs"
    found = connection.client.call("GET", path, params={"limit": limit})
    console = Console(highlight=False, soft_wrap=True)
    for record in reversed(found):
        if form == "json":
            click.echo(json.dumps(record))
        else:
            tail.show(console, record)
