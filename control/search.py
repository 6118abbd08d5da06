"""Search for plain Workers, as the product's dashboard and SDKs do."""

from collections.abc import Iterator

import msgspec
from flask import Blueprint, Response

from cloister.registry import ScriptSummary
from control import envelope, fields
from control.house import house
from control.operation import operation
from control.paths import ACCOUNT, PLAIN, namespace_of

blueprint = Blueprint("search", __name__)

CHUNK = 1_000

ORDERS = {
    "name": lambda item: item.name,
    "created_on": lambda item: (item.created_at, item.name),
    "modified_on": lambda item: (item.modified_at, item.name),
}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A plain Worker. Each is a service of its own, with one environment."""

    id: str
    script_name: str
    service_name: str
    created_on: envelope.Time
    modified_on: envelope.Time
    environment_name: str = "production"
    environment_is_default: bool = True


QUERY: fields.Query = {
    "page": fields.Whole(1, 1, 1_000_000),
    "per_page": fields.Whole(10, 1, 100),
    "name": fields.Text(),
    "id": fields.Text(),
    "order_by": fields.Choice(tuple(ORDERS)),
}


@blueprint.get(f"{ACCOUNT}/workers/scripts-search")
@operation(list[Found], info=envelope.PageInfo, query=QUERY)
def search(
    account_id: str, page: int, per_page: int, order_by: str, **said: str | None
) -> Response:
    """Plain Workers with ``name`` in their names, or of this ``id``."""
    found = sorted(
        (
            item
            for item in _all(namespace_of(account_id, PLAIN).id)
            if (said["name"] or "") in item.name and said["id"] in (None, item.id)
        ),
        key=ORDERS[order_by],
    )
    some = found[(page - 1) * per_page : page * per_page]
    info = envelope.page_info(page, per_page, len(some), len(found))
    return envelope.success([_shape(item) for item in some], info=info)


def _all(namespace_id: str) -> Iterator[ScriptSummary]:
    cursor = None
    while True:
        page = house().registry.scripts.list(namespace_id, limit=CHUNK, cursor=cursor)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


def _shape(item: ScriptSummary) -> Found:
    return Found(
        id=item.id,
        script_name=item.name,
        service_name=item.name,
        created_on=envelope.timestamp(item.created_at),
        modified_on=envelope.timestamp(item.modified_at),
    )
