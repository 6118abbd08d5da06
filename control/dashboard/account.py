"""Pages of what is in no namespace: custom hostnames and what proves them, and stored data."""

from flask import g, render_template, request

from cloister.errors import NotFound
from cloister.registry import FallbackView
from cloister.registry.hostname_filter import HostnameFilter
from control import custom_hostnames, origins
from control.dashboard.frame import blueprint, of_account
from control.errors import MALFORMED_PARAMETER, Refused
from control.house import house

HOSTNAMES_A_PAGE = 50
SHOWN = 100
"""Of each kind of stored data."""


@blueprint.get("/hostnames")
@of_account
def hostnames() -> str:
    """A page of the custom hostnames: what became of them, and what is to be put into the DNS."""
    registry, account = house().registry, g.token.account_id
    wanted = request.args.get("name", "").strip().lower()
    page = _page_number()
    found = registry.hostnames.page(
        account,
        HostnameFilter(contain=wanted or None),
        page=page,
        per_page=HOSTNAMES_A_PAGE,
        direction="desc",
    )
    return render_template(
        "hostnames.html",
        rows=[(item, *custom_hostnames.proofs(item)) for item in found.items],
        total=found.total,
        used=registry.hostnames.count(account),
        quota=house().settings.hostnames,
        fallback=_fallback(account),
        domain=house().settings.domain,
        origin=lambda item: origins.origin_of(item.namespace, item.script, house().settings),
        name=wanted,
        page=page,
        more=page * HOSTNAMES_A_PAGE < found.total,
    )


@blueprint.get("/storage")
@of_account
def storage() -> str:
    """KV namespaces, SQL databases, buckets and queues: the first of each."""
    registry, account = house().registry, g.token.account_id
    return render_template(
        "storage.html",
        kv=registry.kv.namespaces.list(account, per_page=SHOWN, order="title"),
        databases=registry.databases.list(account, per_page=SHOWN),
        buckets=registry.r2.list(account, limit=SHOWN),
        queues=registry.queues.list(account, per_page=SHOWN),
    )


def _fallback(account_id: str) -> FallbackView | None:
    try:
        return house().registry.hostnames.fallbacks.get(account_id)
    except NotFound:
        return None


def _page_number() -> int:
    text = request.args.get("page", "1")
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0 and len(text) < 9):
        raise Refused(MALFORMED_PARAMETER, "page must be a whole number from 1 on.")
    return int(text)
