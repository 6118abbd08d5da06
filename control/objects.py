"""Durable Objects over REST: which classes have objects, and which objects there are."""

import msgspec
from flask import Blueprint, Response

from cloister.registry.objects import ObjectNamespaceView
from control import envelope, fields
from control.errors import OBJECTS_NOT_FOUND, translated
from control.house import house
from control.operation import operation
from control.paths import ACCOUNT

blueprint = Blueprint("objects", __name__)

BASE = f"{ACCOUNT}/workers/durable_objects/namespaces"


_SPELLED = {"is_stored": "hasStoredData"}


class ObjectNamespace(msgspec.Struct, frozen=True, kw_only=True, rename={"class_name": "class"}):
    """A class with its objects. ``name`` is made of script and class."""

    id: str
    name: str
    script: str
    class_name: str
    use_sqlite: bool
    use_containers: bool = False


class StoredObject(msgspec.Struct, frozen=True, kw_only=True, rename=_SPELLED):
    """An object."""

    id: str
    is_stored: bool


OBJECTS: fields.Query = {"limit": fields.Whole(1_000, 1, 10_000), "cursor": fields.Text()}


@blueprint.get(BASE)
@operation(list[ObjectNamespace], info=envelope.PageInfo, query=fields.PAGES)
def list_classes(account_id: str, page: int, per_page: int) -> Response:
    """One page of the account's classes with Durable Objects."""
    found = house().registry.objects.namespaces(account_id, page=page, per_page=per_page)
    info = envelope.page_info(page, per_page, len(found.items), found.total)
    return envelope.success([_shape(each) for each in found.items], info=info)


@blueprint.get(f"{BASE}/<object_namespace_id>/objects")
@operation(list[StoredObject], info=envelope.CursorInfo, query=OBJECTS)
def list_objects(
    account_id: str, object_namespace_id: str, limit: int, cursor: str | None
) -> Response:
    """Objects of a class that store something, page by page."""
    with translated(OBJECTS_NOT_FOUND._replace(status=404)):
        page = house().registry.objects.list(
            account_id, object_namespace_id, limit=limit, cursor=cursor
        )
    info = envelope.CursorInfo(count=len(page.items), cursor=page.cursor or "")
    items = [StoredObject(id=each.id, is_stored=each.is_stored) for each in page.items]
    return envelope.success(items, info=info)


def _shape(found: ObjectNamespaceView) -> ObjectNamespace:
    return ObjectNamespace(
        id=found.id,
        name=f"{found.script}_{found.class_name}",
        script=found.script,
        class_name=found.class_name,
        use_sqlite=found.uses_sqlite,
    )
