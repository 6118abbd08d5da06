"""`cloister hostnames`."""

from urllib.parse import quote

import click

from cloister.cli import tables
from cloister.cli.connection import Connection, connected

PATH = "/workers/dispatch/hostnames"
COLUMNS = ("hostname", "status", "namespace", "script", "created_on")


@click.group("hostnames")
def command() -> None:
    """Custom hostnames of workers."""


@command.command("list")
@tables.as_json
@connected
def list_all(connection: Connection, machine: bool) -> None:
    """List them."""
    tables.show(connection.client.pages(PATH), COLUMNS, machine=machine)


@command.command("set")
@click.argument("hostname")
@click.argument("namespace")
@click.argument("worker")
@connected
def change(connection: Connection, hostname: str, namespace: str, worker: str) -> None:
    """Make HOSTNAME lead to WORKER of NAMESPACE; you vouch that the name is your customer's."""
    body = {"namespace": namespace, "script": worker}
    made = connection.client.call("PUT", _one(hostname), json=body)
    place = f"{made['namespace']}/{made['script']}"
    proof = made.get("ownership_verification")
    if proof is None:
        click.echo(f"{made['hostname']} leads to {place}")
        return
    click.echo(f"{made['hostname']} is {made['status']} and will lead to {place} when it has")
    click.echo(f"the TXT record {proof['name']} with the value {proof['value']}")


@command.command("delete")
@click.argument("hostname")
@connected
def delete(connection: Connection, hostname: str) -> None:
    """Delete HOSTNAME; the worker stays."""
    connection.client.call("DELETE", _one(hostname))
    click.echo(f"deleted {hostname}")


def _one(hostname: str) -> str:
    return f"{PATH}/{quote(hostname, safe='')}"
