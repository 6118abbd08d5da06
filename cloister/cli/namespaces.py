"""`cloister namespaces`."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import click

from cloister.cli import tables
from cloister.cli.connection import Connection, connected
from cloister.errors import NotReady
from cloister.languages import LANGUAGES, Language
from cloister.registry import change_publisher, open_registry
from cloister.settings import Settings

PATH = "/workers/dispatch/namespaces"
COLUMNS = (
    *("namespace_name", "script_count", "trusted_workers", "language", "fresh_isolates"),
    "limits",
)
SET = ("trusted_workers", "limits", "outbound", "egress", "fresh_isolates")


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
@click.option(
    "--fresh-isolates/--warm-isolates",
    "fresh",
    default=None,
    help="An isolate for each request, or one kept for the next.",
)
@click.option("--allow", multiple=True, help="Host pattern that fetch() may reach.")
@click.option("--deny", multiple=True, help="Host pattern that fetch() may not reach.")
@connected
def change(connection: Connection, name: str, **options: Any) -> None:
    """Set what bounds the workers of the namespace NAME; what is not named stays."""
    present = connection.client.call("GET", _one(name))
    result = connection.client.call("PUT", _one(name), json=_changes(present, options))
    click.echo(json.dumps({key: result.get(key) for key in SET}, indent=2))


@command.command("language")
@click.argument("name")
@click.argument("language", type=click.Choice(LANGUAGES))
def language(name: str, language: Language) -> None:
    """Let the workers of the namespace NAME be of the restricted LANGUAGE, or of the full one.

    For the operator: it works on the registry itself, by the settings of this machine, and not
    through the API. "full" takes the language's wall away; docs/security.md says what is left.
    """
    settings = Settings.from_env()
    if not settings.database_url and not settings.data_dir.is_dir():
        raise NotReady(
            f"There is no registry in {settings.data_dir}; set CLOISTER_DATA to its place."
        )
    publisher = change_publisher(settings)
    registry = open_registry(settings, on_change=publisher, migrate=False)
    try:
        registry.namespaces.set_language(name, language)
    finally:
        registry.close()
        publisher.close()
    click.echo(f"workers of {name} are of the {language} language now")


def _changes(present: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if options["trusted"] is not None:
        changes["trusted_workers"] = options["trusted"]
    if options["fresh"] is not None:
        changes["fresh_isolates"] = options["fresh"]
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
