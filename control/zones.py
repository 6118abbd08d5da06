"""Zones: each account has one, the platform's domain, under the account's own id. Custom hostnames
are in it.
"""

import msgspec
from flask import Blueprint, Response, g

from control import envelope, fields
from control.errors import ZONE_NOT_FOUND, translated
from control.house import house
from control.operation import operation

blueprint = Blueprint("zones", __name__)

ZONES = "/zones"
ZONE = f"{ZONES}/<zone_id>"


class ZoneAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Whose it is."""

    id: str
    name: str


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """The platform's domain, as an account has it."""

    id: str
    name: str
    account: ZoneAccount
    created_on: envelope.Time
    modified_on: envelope.Time
    activated_on: envelope.Time
    status: str = "active"
    type: str = "full"
    paused: bool = False
    development_mode: int = 0
    name_servers: list[str] = []
    original_name_servers: list[str] = []


FILTER: fields.Query = {**fields.PAGES, "name": fields.Text(), "status": fields.Text()}


@blueprint.get(ZONES)
@operation(list[Zone], info=envelope.PageInfo, query=FILTER)
def list_all(page: int, per_page: int, name: str | None, status: str | None) -> Response:
    """The one of the token's account."""
    found = _zone(g.token.account_id)
    meets = (name or found.name) == found.name and (status or found.status) == found.status
    zones = [found] if meets and page == 1 else []
    info = envelope.page_info(page, per_page, len(zones), int(meets))
    return envelope.success(zones, info=info)


@blueprint.get(ZONE)
@operation(Zone)
def get(zone_id: str) -> Response:
    """One zone."""
    return envelope.success(_zone(zone_id))


def _zone(zone_id: str) -> Zone:
    with translated(ZONE_NOT_FOUND):
        account = house().registry.accounts.get(zone_id)
    made = envelope.timestamp(account.created_at)
    return Zone(
        id=account.id,
        name=house().settings.domain.strip("."),
        account=ZoneAccount(id=account.id, name=account.name),
        created_on=made,
        modified_on=made,
        activated_on=made,
    )
