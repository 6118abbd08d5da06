"""Custom hostnames by name, and the workers that they lead to: the same that a zone has, for those
who need no ids. Whole-account tokens only, for whoever sets one vouches that it is the customer's.

Where there are several accounts, nobody's word is enough: a hostname is pending until it is proved.
"""

import msgspec
from flask import Blueprint, Response
from msgspec import UNSET, UnsetType

from cloister.registry import HostnameView
from cloister.registry.views import HostnameStatus
from control import bodies, custom_hostnames, envelope, fields
from control.errors import HOSTNAME_NOT_FOUND, HOSTNAME_TAKEN, SCRIPT_NOT_FOUND, translated
from control.house import house
from control.operation import operation
from control.paths import HOSTNAME, HOSTNAMES, namespace_of
from control.rules import names

blueprint = Blueprint("hostnames", __name__)

LIST_LIMIT = 1_000


class HostnameTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where a hostname is to lead."""

    namespace: names.Name
    script: names.Name


class Hostname(msgspec.Struct, frozen=True, kw_only=True):
    """A hostname and where it leads."""

    hostname: str
    namespace: str | None
    script: str | None
    status: HostnameStatus
    created_on: envelope.Time
    ownership_verification: custom_hostnames.Verification | UnsetType = UNSET
    ownership_verification_http: custom_hostnames.HttpVerification | UnsetType = UNSET


FILTER: fields.Query = {
    "namespace": fields.Text(),
    "script": fields.Text(),
    "limit": fields.Whole(LIST_LIMIT, 1, LIST_LIMIT),
    "cursor": fields.Text(),
}


@blueprint.get(HOSTNAMES)
@operation(list[Hostname], info=envelope.CursorInfo, query=FILTER)
def list_some(
    account_id: str, namespace: str | None, script: str | None, limit: int, cursor: str | None
) -> Response:
    """Hostnames by name, page by page; all, or those of a namespace and script."""
    page = house().registry.hostnames.list(
        account_id, namespace=namespace, script=script, limit=limit, cursor=cursor
    )
    info = envelope.CursorInfo(count=len(page.items), cursor=page.cursor or "")
    return envelope.success([_shape(item) for item in page.items], info=info)


@blueprint.get(HOSTNAME)
@operation(Hostname)
def get(account_id: str, hostname: str) -> Response:
    """One hostname."""
    with translated(HOSTNAME_NOT_FOUND):
        return envelope.success(_shape(house().registry.hostnames.get(account_id, hostname)))


@blueprint.put(HOSTNAME)
@operation(Hostname, body=bodies.Json(HostnameTarget))
def put(account_id: str, hostname: str, body: bodies.Body[HostnameTarget]) -> Response:
    """Make it lead to a worker, wherever in this account it led before."""
    target = body()
    script = names.script_name(target.script)
    namespace_of(account_id, target.namespace)
    with translated(SCRIPT_NOT_FOUND, HOSTNAME_TAKEN):
        made = house().registry.hostnames.put(
            account_id,
            hostname,
            namespace=target.namespace,
            script=script,
            quota=house().settings.hostnames,
        )
    house().checker.wake()
    return envelope.success(_shape(made))


@blueprint.delete(HOSTNAME)
@operation()
def delete(account_id: str, hostname: str) -> Response:
    """Delete it; the worker stays."""
    with translated(HOSTNAME_NOT_FOUND):
        house().registry.hostnames.delete(account_id, hostname)
    return envelope.success(None)


def _shape(item: HostnameView) -> Hostname:
    txt, http = custom_hostnames.proofs(item)
    return Hostname(
        hostname=item.hostname,
        namespace=item.namespace,
        script=item.script,
        status=item.status,
        created_on=envelope.timestamp(item.created_at),
        ownership_verification=txt,
        ownership_verification_http=http,
    )
