"""Custom hostnames of workers: names outside the platform's own domain. Whole-account tokens only,
for whoever sets one vouches that it is the customer's.
"""

from typing import Any

from flask import Blueprint, Response, request

from cloister.registry import HostnameView
from control import bodies, envelope, fields
from control.errors import HOSTNAME_NOT_FOUND, HOSTNAME_TAKEN, SCRIPT_NOT_FOUND, translated
from control.house import house
from control.paths import HOSTNAME, HOSTNAMES, namespace_of
from control.rules import names

blueprint = Blueprint("hostnames", __name__)

LIST_LIMIT = 1_000


@blueprint.get(HOSTNAMES)
def list_some(account_id: str) -> Response:
    """Hostnames by name, page by page; all, or those of a namespace and script."""
    page = house().registry.hostnames.list(
        account_id,
        namespace=request.args.get("namespace") or None,
        script=request.args.get("script") or None,
        limit=fields.whole("limit", LIST_LIMIT, 1, LIST_LIMIT),
        cursor=request.args.get("cursor") or None,
    )
    info = {"count": len(page.items), "cursor": page.cursor or ""}
    return envelope.success([_shape(item) for item in page.items], info=info)


@blueprint.get(HOSTNAME)
def get(account_id: str, hostname: str) -> Response:
    """One hostname."""
    with translated(HOSTNAME_NOT_FOUND):
        return envelope.success(_shape(house().registry.hostnames.get(account_id, hostname)))


@blueprint.put(HOSTNAME)
def put(account_id: str, hostname: str) -> Response:
    """Make it lead to a worker, wherever in this account it led before."""
    body = bodies.json_object()
    namespace = fields.required(body, "namespace", str)
    script = names.script_name(fields.required(body, "script", str))
    namespace_of(account_id, namespace)
    with translated(SCRIPT_NOT_FOUND, HOSTNAME_TAKEN):
        made = house().registry.hostnames.put(
            account_id, hostname, namespace=namespace, script=script
        )
    return envelope.success(_shape(made))


@blueprint.delete(HOSTNAME)
def delete(account_id: str, hostname: str) -> Response:
    """Delete it; the worker stays."""
    with translated(HOSTNAME_NOT_FOUND):
        house().registry.hostnames.delete(account_id, hostname)
    return envelope.success(None)


def _shape(item: HostnameView) -> dict[str, Any]:
    return {
        "hostname": item.hostname,
        "namespace": item.namespace,
        "script": item.script,
        "created_on": envelope.timestamp(item.created_at),
    }
