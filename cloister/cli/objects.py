"""Durable Objects of a project: bindings, and the migrations that its worker has not had yet."""

from typing import Any

from cloister.cli.project import ProjectInvalid
from cloister.client import ApiError, Client, script_path

NOT_FOUND = 404


def bindings(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of ``durable_objects``, as an upload has them."""
    said = config.get("durable_objects", {}).get("bindings", [])
    return [
        {"type": "durable_object_namespace", "name": item["name"], "class_name": item["class_name"]}
        | ({"script_name": item["script_name"]} if item.get("script_name") else {})
        for item in said
    ]


def migrations(
    client: Client, namespace: str, name: str, config: dict[str, Any]
) -> dict[str, Any] | None:
    """The steps behind the tag that the worker has; None where there are none.

    Raises:
        ProjectInvalid: a migration has no tag, or the worker's tag is not among them.
        ApiError: the control API refuses to say.
    """
    steps = list(config.get("migrations", []))
    tags = [step.get("tag") for step in steps]
    if not steps:
        return None
    if not all(tags):
        raise ProjectInvalid("Each of the migrations needs a tag.")
    now = _tag(client, namespace, name)
    if now is not None and now not in tags:
        raise ProjectInvalid(f"The worker has the migration {now!r}, which the project lacks.")
    left = steps if now is None else steps[tags.index(now) + 1 :]
    if not left:
        return None
    untagged = [{key: item for key, item in step.items() if key != "tag"} for step in left]
    return {"old_tag": now, "new_tag": tags[-1], "steps": untagged}


def _tag(client: Client, namespace: str, name: str) -> str | None:
    try:
        found = client.call("GET", script_path(namespace, name))
    except ApiError as exc:
        if exc.status == NOT_FOUND:
            return None
        raise
    tag: str | None = found["script"].get("migration_tag")
    return tag
