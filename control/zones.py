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


class Owner(ZoneAccount, frozen=True, kw_only=True):
    """The account once more."""

    type: str = "organization"


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """There are neither page rules nor certificates of one's own."""

    cdn_only: bool = False
    dns_only: bool = False
    foundation_dns: bool = False
    custom_certificate_quota: int = 0
    page_rule_quota: int = 0
    phishing_detected: bool = False
    step: int = 0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody pays here."""

    id: str = "0" * 32
    name: str = "Cloister"
    legacy_id: str = ""
    price: int = 0
    currency: str = "USD"
    frequency: str = ""
    can_subscribe: bool = False
    is_subscribed: bool = True
    externally_managed: bool = False
    legacy_discount: bool = False


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """There are none above an account."""

    id: None = None
    name: None = None


class TenantUnit(msgspec.Struct, frozen=True, kw_only=True):
    """There are none either."""

    id: None = None


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """The platform's domain, as an account has it."""

    id: str
    name: str
    account: ZoneAccount
    owner: Owner
    permissions: list[str]
    created_on: envelope.Time
    modified_on: envelope.Time
    activated_on: envelope.Time
    status: str = "active"
    type: str = "full"
    paused: bool = False
    development_mode: int = 0
    name_servers: list[str] = []
    original_name_servers: list[str] = []
    original_dnshost: None = None
    original_registrar: None = None
    vanity_name_servers: list[str] = []
    cname_suffix: None = None
    verification_key: None = None
    meta: Meta = Meta()
    plan: Plan = Plan()
    tenant: Tenant = Tenant()
    tenant_unit: TenantUnit = TenantUnit()


FILTER: fields.Query = {
    **fields.PAGES,
    **dict.fromkeys(("name", "status", "type", "account.id", "account.name"), fields.Text()),
}
"""How one is found among many; the order of one is any."""


@blueprint.get(ZONES)
@operation(list[Zone], info=envelope.PageInfo, query=FILTER)
def list_all(page: int, per_page: int, **said: str | None) -> Response:
    """The one of the token's account, if it is meant."""
    found = _zone(g.token.account_id)
    meets = (
        said["name"] in (None, found.name)
        and said["status"] in (None, found.status)
        and (said["type"] is None or found.type in said["type"].split(","))
        and said["account.id"] in (None, found.account.id)
        and said["account.name"] in (None, found.account.name)
    )
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
        owner=Owner(id=account.id, name=account.name),
        permissions=["#zone:read"] if g.token.read_only else ["#zone:edit", "#zone:read"],
        created_on=made,
        modified_on=made,
        activated_on=made,
    )
