"""Tags of a worker, all at once or one by one."""

from flask import Blueprint, Response

from control import bodies, envelope
from control.errors import SCRIPT_NOT_FOUND, translated
from control.house import house
from control.operation import JSON, operation
from control.paths import SCRIPT, namespace_of, script_of
from control.rules import tags

blueprint = Blueprint("tags", __name__)

BASE = f"{SCRIPT}/tags"
ONE = f"{BASE}/<everything:tag>"


@blueprint.get(BASE)
@operation(list[str])
def list_all(account_id: str, namespace: str, script: str) -> Response:
    """The tags, sorted."""
    return envelope.success(script_of(account_id, namespace, script).tags)


@blueprint.put(BASE)
@operation(list[str], takes={JSON: list[str]})
def put(account_id: str, namespace: str, script: str) -> Response:
    """Replace all of them."""
    found = namespace_of(account_id, namespace)
    wanted = tags.tags(bodies.json_body(), pointer="")
    with translated(SCRIPT_NOT_FOUND):
        return envelope.success(house().registry.scripts.set_tags(found.id, script, wanted))


@blueprint.put(ONE)
@operation(list[str])
def add(account_id: str, namespace: str, script: str, tag: str) -> Response:
    """Add one; the tags after it."""
    found = namespace_of(account_id, namespace)
    with translated(SCRIPT_NOT_FOUND):
        return envelope.success(house().registry.scripts.add_tag(found.id, script, tag))


@blueprint.delete(ONE)
@operation(list[str])
def remove(account_id: str, namespace: str, script: str, tag: str) -> Response:
    """Remove one, which need not be there; the tags after it."""
    found = namespace_of(account_id, namespace)
    with translated(SCRIPT_NOT_FOUND):
        return envelope.success(house().registry.scripts.remove_tag(found.id, script, tag))
