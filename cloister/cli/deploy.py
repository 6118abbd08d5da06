"""`cloister deploy`."""

from pathlib import Path
from typing import Any

import click

from cloister.cli import objects, project, site, upload
from cloister.cli.connection import Connection, connected
from cloister.cli.project import Project

KEPT = ["secret_text", "secret_key"]
"""Secrets are set apart from the code and stay when it changes, as with wrangler."""


def pairs(_ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE options as a dict."""
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE.", param=option)
    return dict(value.split("=", 1) for value in values)


@click.command("deploy")
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.option("--namespace", "-n", help="Dispatch namespace [default: production].")
@click.option("--name", help="Name of the worker [default: from the project].")
@click.option("--var", "variables", multiple=True, callback=pairs, help="Plain text NAME=VALUE.")
@click.option("--secret", "secrets", multiple=True, callback=pairs, help="Secret NAME=VALUE.")
@click.option("--kv", multiple=True, help="KV binding NAME, or NAME=NAMESPACE_ID.")
@click.option("--service", multiple=True, callback=pairs, help="Service binding NAME=WORKER.")
@click.option("--assets", type=click.Path(path_type=Path), help="Directory of static assets.")
@click.option("--not-live", is_flag=True, help="Only upload a version, and print its id.")
@click.option("--tag", "tags", multiple=True, help="Tag of the worker.")
@click.option("--cpu-ms", type=click.IntRange(1), help="CPU time of one invocation.")
@click.option("--subrequests", type=click.IntRange(0), help="Subrequests of one invocation.")
@connected
def command(
    connection: Connection,
    path: Path,
    namespace: str | None,
    name: str | None,
    assets: Path | None,
    not_live: bool,
    **options: Any,
) -> None:
    """Deploy PATH, a .py file or a project directory, and print the worker's address."""
    worker = project.read(path, assets)
    options |= {"live": not not_live}
    click.echo(deploy(connection, worker, namespace=namespace, name=name, **options))


def deploy(
    connection: Connection,
    worker: Project,
    *,
    namespace: str | None = None,
    name: str | None = None,
    live: bool = True,
    **options: Any,
) -> str:
    """Deploy a project; returns its address. If not ``live``, only upload a version of it; returns
    the version's id.

    Raises:
        ApiError: the control API refuses; its message has every complaint with its line.
    """
    namespace = namespace or worker.config.get("dispatch_namespace") or connection.namespace
    name = name or worker.name
    metadata: dict[str, Any] = {
        **({"main_module": worker.main} if worker.main else {}),
        "compatibility_date": worker.config.get("compatibility_date", project.COMPATIBILITY_DATE),
        "compatibility_flags": worker.config.get("compatibility_flags", ["python_workers"]),
        "bindings": [*_bindings(connection, name, worker.config, options)],
        "keep_bindings": KEPT,
        **_optional(worker.config, options),
    }
    if (steps := objects.migrations(connection.client, namespace, name, worker.config)) is not None:
        metadata["migrations"] = steps
    if worker.assets is not None:
        code = (worker.source / worker.main).resolve() if worker.main else None
        found = site.read(worker.assets, worker.config.get("assets", {}), code)
        if found.links:
            click.echo(f"Left out {found.links} symbolic links.", err=True)
        token = upload.upload(connection.client, namespace, name, found)
        metadata["assets"] = {"jwt": token, "config": found.config}
        if found.binding:
            metadata["bindings"].append({"type": "assets", "name": found.binding})
    made = connection.client.deploy(namespace, name, metadata, worker.modules, live=live)
    if not live:
        return str(made["id"])
    return f"{connection.dispatch_url}/{namespace}/{name}/"


def _optional(config: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    limits = {
        **config.get("limits", {}),
        **{key: options[key] for key in ("cpu_ms", "subrequests") if options.get(key) is not None},
    }
    chosen = {
        "limits": limits,
        "tags": [*config.get("tags", []), *options.get("tags", ())],
        "observability": config.get("observability"),
        "logpush": config.get("logpush"),
    }
    return {key: value for key, value in chosen.items() if value}


def _bindings(
    connection: Connection, worker: str, config: dict[str, Any], options: dict[str, Any]
) -> list[dict[str, Any]]:
    plain = {**config.get("vars", {}), **options.get("variables", {})}
    stores = {item["binding"]: item.get("id", "") for item in config.get("kv_namespaces", [])}
    for value in options.get("kv", ()):
        binding, _, identifier = value.partition("=")
        stores[binding] = identifier
    services = [
        {"type": "service", "name": item["binding"], "service": item["service"]}
        | ({"entrypoint": item["entrypoint"]} if item.get("entrypoint") else {})
        for item in config.get("services", [])
    ]
    return [
        *(_variable(key, value) for key, value in plain.items()),
        *(
            {"type": "secret_text", "name": key, "text": value}
            for key, value in options.get("secrets", {}).items()
        ),
        *(
            {
                "type": "kv_namespace",
                "name": key,
                "namespace_id": identifier or _store(connection, f"{worker}-{key}"),
            }
            for key, identifier in stores.items()
        ),
        *services,
        *objects.bindings(config),
        *(
            {"type": "service", "name": key, "service": value}
            for key, value in options.get("service", {}).items()
        ),
    ]


def _variable(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"type": "plain_text", "name": name, "text": value}
    return {"type": "json", "name": name, "json": value}


def _store(connection: Connection, title: str) -> str:
    """Id of the KV namespace of this title, made if there is none."""
    page = 1
    while True:
        found = connection.client.call(
            "GET", "/storage/kv/namespaces", params={"page": page, "per_page": 100}
        )
        for item in found:
            if item["title"] == title:
                return str(item["id"])
        if not found:
            break
        page += 1
    made = connection.client.call("POST", "/storage/kv/namespaces", json={"title": title})
    return str(made["id"])
