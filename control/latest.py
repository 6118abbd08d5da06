"""The newest version of a plain Worker, changed into the next one: ``wrangler versions secret``."""

from typing import Any

import msgspec
from flask import Response

from cloister.registry import NewVersion
from control import bodies, deploy, envelope, sites, versions
from control.errors import SCRIPT_NOT_FOUND, translated
from control.house import house
from control.operation import operation
from control.paths import namespace_of, script_of
from control.rules import annotations, bindings


class Patch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON Merge Patch of bindings by name: null takes one away, what is not named stays."""

    env: dict[str, dict[str, Any] | None] = {}
    annotations: dict[str, Any] | None = None


@operation(versions.Version, body=bodies.Json(Patch))
def patch(account_id: str, namespace: str, script: str, body: bodies.Body[Patch]) -> Response:
    """Make a version of the newest one with other bindings. It is not live before it is
    deployed."""
    found = namespace_of(account_id, namespace)
    script_of(account_id, namespace, script)  # before the body is read
    said = body()
    wanted = [{**item, "name": name} for name, item in said.env.items() if item is not None]
    added = bindings.bindings(wanted, "/env")
    bindings.check_targets(deploy.Surroundings(namespace=found, script=script), added)
    noted = {"annotations": said.annotations or {}}
    annotations.check(noted)

    def next_version(newest: NewVersion) -> NewVersion:
        kept = [item for item in newest.bindings if item["name"] not in said.env]
        chosen = kept + bindings.resolve(added, [], newest.bindings, strict=True)
        bindings.check_count(chosen)
        sites.check(newest.assets, chosen, None)
        return msgspec.structs.replace(
            newest,
            bindings=chosen,
            settings=newest.settings | noted,
            source=deploy.client(),
        )

    with translated(SCRIPT_NOT_FOUND):
        version = house().registry.scripts.add_version(found.id, script, next_version)
    return envelope.success(versions.shape(version, found.name, script))
