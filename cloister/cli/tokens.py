"""`cloister tokens`."""

from typing import Any

import click

from cloister.cli import tables
from cloister.cli.connection import Connection, connected

PATH = "/tokens"
COLUMNS = ("id", "name", "read_only", "namespace", "issued_on", "expires_on")


@click.group("tokens")
def command() -> None:
    """API tokens of the account."""


@command.command("list")
@tables.as_json
@connected
def list_all(connection: Connection, machine: bool) -> None:
    """List them; their texts are known to nobody any more."""
    tables.show(connection.client.call("GET", PATH), COLUMNS, machine=machine)


@command.command("create")
@click.argument("name")
@click.option("--read-only", is_flag=True, help="It may change nothing.")
@click.option("--namespace", "-n", help="It may use this namespace only.")
@click.option(
    "--expires", "expires_on", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]), help="UTC."
)
@connected
def create(connection: Connection, name: str, **options: Any) -> None:
    """Make a token called NAME and print its text, this once."""
    body: dict[str, Any] = {"name": name, "read_only": options["read_only"]}
    if options["namespace"]:
        body["namespace"] = options["namespace"]
    if options["expires_on"]:
        body["expires_on"] = f"{options['expires_on']:%Y-%m-%dT%H:%M:%SZ}"
    click.echo(connection.client.call("POST", PATH, json=body)["value"])


@command.command("revoke")
@click.argument("token_id")
@connected
def revoke(connection: Connection, token_id: str) -> None:
    """Revoke the token of this id; it is refused from now on."""
    connection.client.call("DELETE", f"{PATH}/{token_id}")
    click.echo(f"revoked {token_id}")
