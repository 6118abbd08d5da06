"""Custom hostnames of a zone: names of customers, with metadata for the dispatch worker. Each is
pending until its ownership is proved, and serves nothing before.

Beside the product's fields, ``namespace`` and ``script`` say which worker a hostname leads to.
"""

from typing import Annotated, get_args

import msgspec
from flask import Blueprint, Response
from msgspec import UNSET, UnsetType

from cloister.registry import HostnameView
from cloister.registry.hostname_filter import HostnameFilter
from cloister.registry.views import HostnameStatus
from control import bodies, envelope, fields, hostname_ssl, origins
from control.errors import (
    FILTER_BESIDE_ID,
    HOSTNAME_DUPLICATE,
    HOSTNAME_NOT_FOUND,
    METADATA_TOO_LARGE,
    MISSING_PARAMETER,
    ORIGIN_INVALID,
    Refused,
    translated,
)
from control.hostname_ssl import SSL_STATUSES
from control.house import house
from control.operation import JSON, operation
from control.paths import namespace_of
from control.proofs import CHALLENGE, TXT_NAME
from control.rules import names
from control.zones import ZONE

blueprint = Blueprint("custom_hostnames", __name__)

BASE = f"{ZONE}/custom_hostnames"
ONE = f"{BASE}/<id:custom_hostname_id>"

METADATA_BYTES = 4 * 1024
STATUSES: tuple[str, ...] = get_args(HostnameStatus)


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different. An origin is a worker, by its name under the platform's domain."""

    custom_metadata: dict[str, str] | UnsetType | None = UNSET
    ssl: hostname_ssl.Ssl | None = None
    namespace: names.Name | None = None
    script: names.Name | None = None
    custom_origin_server: str | None = None
    custom_origin_sni: None = None


class NewHostname(Changes, frozen=True, kw_only=True):
    """A hostname to be claimed."""

    hostname: Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1})]


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The record that proves it."""

    name: str
    value: str
    type: str = "txt"


class HttpVerification(msgspec.Struct, frozen=True, kw_only=True):
    """The file that proves it as well."""

    http_url: str
    http_body: str


class CustomHostname(msgspec.Struct, frozen=True, kw_only=True):
    """The product's fields, then ours."""

    id: str
    hostname: str
    status: HostnameStatus
    ssl: hostname_ssl.ShownSsl
    custom_metadata: dict[str, str]
    verification_errors: list[str]
    created_at: envelope.Time
    custom_origin_server: str | UnsetType = UNSET
    ownership_verification: Verification | UnsetType = UNSET
    ownership_verification_http: HttpVerification | UnsetType = UNSET
    namespace: str | None
    script: str | None


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted."""

    id: str


class Deleted(Gone, frozen=True, kw_only=True):
    """As an envelope, and as the product's plain answer."""

    result: Gone
    success: bool = True
    errors: list[envelope.Error] = []
    messages: list[envelope.Message] = []


FILTER: fields.Query = {
    **fields.PAGES,
    "id": fields.Text(),
    "hostname": fields.Text(),
    "hostname.exact": fields.Text(),
    "hostname.contain": fields.Text(),
    "hostname.startsWith": fields.Text(),
    "hostname_status": fields.Text(),
    "ssl_status": fields.Text(),
    "wildcard": fields.Choice(("", "true", "false")),
    "certificate_authority": fields.Text(),
    "custom_origin_server": fields.Text(),
    "ssl": fields.Choice(("", "0", "1")),
    "order": fields.Choice(("", "ssl", "ssl_status")),
    "direction": fields.Choice(("asc", "desc")),
}


@blueprint.post(BASE)
@operation(CustomHostname, body=bodies.Json(NewHostname))
def create(zone_id: str, body: bodies.Body[NewHostname]) -> Response:
    """Claim a hostname; it is pending."""
    said = body()
    metadata = _metadata(said)
    target = _target(zone_id, said)
    with translated(HOSTNAME_NOT_FOUND, HOSTNAME_DUPLICATE):
        made = house().registry.hostnames.create(
            zone_id,
            said.hostname,
            metadata=metadata,
            ssl=hostname_ssl.asked(said.ssl, {}),
            wildcard=bool(said.ssl and said.ssl.wildcard),
            target=target,
            quota=house().settings.hostnames,
        )
    house().checker.wake()
    return envelope.success(shape(made))


@blueprint.get(BASE)
@operation(list[CustomHostname], info=envelope.PageInfo, query=FILTER)
def list_some(zone_id: str, page: int, per_page: int, **said: str) -> Response:
    """Those that meet all that is asked for, page by page."""
    exact = said["hostname"] or said["hostname.exact"]
    if said["id"] and (exact or said["hostname.contain"] or said["hostname.startsWith"]):
        raise Refused(FILTER_BESIDE_ID, pointer="/id")
    wanted = HostnameFilter(
        exact=exact and exact.lower().removesuffix("."),
        contain=said["hostname.contain"],
        prefix=said["hostname.startsWith"],
        hostname_id=said["id"],
        statuses=_statuses(said),
        wildcard=said["wildcard"] == "true" if said["wildcard"] else None,
        certificate_authority=said["certificate_authority"],
        target=_origin_wanted(said["custom_origin_server"]),
    )
    found = house().registry.hostnames.page(
        zone_id,
        wanted,
        page=page,
        per_page=per_page,
        order="status" if said["order"] == "ssl_status" else "created_at",
        direction="desc" if said["direction"] == "desc" else "asc",
    )
    info = envelope.page_info(page, per_page, len(found.items), found.total)
    return envelope.success([shape(item) for item in found.items], info=info)


@blueprint.get(ONE)
@operation(CustomHostname)
def get(zone_id: str, custom_hostname_id: str) -> Response:
    """One custom hostname."""
    return envelope.success(shape(_mine(zone_id, custom_hostname_id)))


@blueprint.patch(ONE)
@operation(CustomHostname, body=bodies.Json(Changes))
def edit(zone_id: str, custom_hostname_id: str, body: bodies.Body[Changes]) -> Response:
    """Change what the body names, and have the ownership checked now, also of one given up."""
    said = body()
    present = _mine(zone_id, custom_hostname_id)
    metadata = _metadata(said)
    target = _target(zone_id, said)
    with translated(HOSTNAME_NOT_FOUND):
        changed = house().registry.hostnames.edit(
            zone_id,
            custom_hostname_id,
            metadata=metadata,
            ssl=hostname_ssl.asked(said.ssl, present.ssl),
            wildcard=said.ssl.wildcard if said.ssl else None,
            target=target,
        )
    house().checker.wake()
    return envelope.success(shape(changed))


@blueprint.delete(ONE)
@operation(gives={JSON: Deleted})
def delete(zone_id: str, custom_hostname_id: str) -> Response:
    """Give it up."""
    with translated(HOSTNAME_NOT_FOUND):
        house().registry.hostnames.discard(zone_id, custom_hostname_id)
    gone = Deleted(id=custom_hostname_id, result=Gone(id=custom_hostname_id))
    return Response(msgspec.json.encode(gone), mimetype=JSON)


def shape(found: HostnameView) -> CustomHostname:
    """What is shown of a custom hostname."""
    txt, http = proofs(found)
    return CustomHostname(
        id=found.id,
        hostname=found.hostname,
        status=found.status,
        ssl=hostname_ssl.shown(found),
        custom_metadata=found.metadata,
        verification_errors=found.errors,
        created_at=envelope.timestamp(found.created_at),
        custom_origin_server=_origin(found),
        ownership_verification=txt,
        ownership_verification_http=http,
        namespace=found.namespace,
        script=found.script,
    )


def proofs(found: HostnameView) -> tuple[Verification | UnsetType, HttpVerification | UnsetType]:
    """What would prove it; nothing where it is active."""
    if found.status == "active":
        return UNSET, UNSET
    url = f"http://{found.hostname}{CHALLENGE.format(id=found.id)}"
    return (
        Verification(name=TXT_NAME.format(hostname=found.hostname), value=found.token),
        HttpVerification(http_url=url, http_body=found.token),
    )


def _mine(zone_id: str, hostname_id: str) -> HostnameView:
    with translated(HOSTNAME_NOT_FOUND):
        return house().registry.hostnames.find(zone_id, hostname_id)


def _metadata(said: Changes) -> dict[str, str] | None:
    """What the body says; None where it says nothing."""
    if said.custom_metadata is UNSET:
        return None
    if len(msgspec.json.encode(said.custom_metadata)) > METADATA_BYTES:
        raise Refused(METADATA_TOO_LARGE, pointer="/custom_metadata")
    return said.custom_metadata or {}


def _statuses(said: dict[str, str]) -> tuple[str, ...] | None:
    """Those that are wanted; None for any."""
    wanted = (said["hostname_status"],) if said["hostname_status"] else STATUSES
    also = SSL_STATUSES.get(said["ssl_status"], ()) if said["ssl_status"] else STATUSES
    if wanted == also == STATUSES and said["ssl"] != "0":
        return None
    # Each hostname that is active can be had with TLS, as the proxy will get it a certificate.
    return () if said["ssl"] == "0" else tuple(each for each in also if each in wanted)


def _origin_wanted(origin: str | None) -> tuple[str, str] | None:
    if origin is None:
        return None
    # What is no worker's name is no hostname's origin.
    return origins.target_of(origin, house().settings) or ("", "")


def _origin(found: HostnameView) -> str | UnsetType:
    if found.namespace is None or found.script is None:
        return UNSET
    return origins.origin_of(found.namespace, found.script, house().settings)


def _target(account_id: str, said: Changes) -> tuple[str, str] | None:
    if said.custom_origin_server is not None:
        settings, pointer = house().settings, "/custom_origin_server"
        target = origins.wanted(said.custom_origin_server, settings, pointer)
        if (said.namespace or target[0], said.script or target[1]) != target:
            raise Refused(ORIGIN_INVALID, "It is another Worker than script.", pointer=pointer)
        namespace_of(account_id, target[0])
        return target
    if said.namespace is None and said.script is None:
        return None
    for name, value in (("namespace", said.namespace), ("script", said.script)):
        if value is None:
            raise Refused(MISSING_PARAMETER, f"{name} is required.", pointer=f"/{name}")
    namespace, script = said.namespace or "", names.script_name(said.script or "")
    namespace_of(account_id, namespace)
    return namespace, script
