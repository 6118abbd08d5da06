"""Classes of Durable Objects: which a script has, changed by the migrations of its uploads.

All of it is part of the transaction that writes a version.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from cloister.errors import Invalid
from cloister.registry.database import Work, now_ms
from cloister.registry.models import Namespace, Script
from cloister.registry.names import new_id
from cloister.registry.objects_models import ObjectMigration, ObjectNamespace

NAMESPACE_MISSING = 10061
NOT_EXPORTED = 10070
MIGRATION_INVALID = 10074
TAG_MISMATCH = 10079

BINDING = "durable_object_namespace"

CLASS_MARK = "class"
"""The first of an exported class's handlers says that it is one of objects. No method is called
so: it is a keyword."""

CLASSES = 100
"""Of one script."""


class Rename(msgspec.Struct, frozen=True, kw_only=True, rename={"old": "from", "new": "to"}):
    """A class of another name from now on."""

    old: str
    new: str


class Transfer(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"old": "from", "script": "from_script", "new": "to"},
):
    """A class of another script's that is this one's from now on."""

    old: str
    script: str
    new: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What is done together, in the order of these fields."""

    deleted_classes: list[str] = []
    renamed_classes: list[Rename] = []
    transferred_classes: list[Transfer] = []
    new_classes: list[str] = []
    new_sqlite_classes: list[str] = []


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """From the tag that a script has to the next one."""

    steps: list[Step]
    old_tag: str = ""
    new_tag: str = ""


def tag(session: Session, script_id: str) -> str | None:
    """The tag of a script's last migration."""
    return session.scalar(select(ObjectMigration.tag).where(ObjectMigration.script_id == script_id))


def migrate(work: Work, namespace: Namespace, script: Script, wanted: Migration) -> None:
    """Change the classes of a script.

    Raises:
        Invalid: its tag is another one, or a step does not fit what is there.
    """
    now = tag(work, script.id) or ""
    if wanted.old_tag != now:
        raise Invalid(
            f"Migration tag precondition failed; current tag is {now!r}, not {wanted.old_tag!r}.",
            code=TAG_MISMATCH,
            pointer="/migrations/old_tag",
        )
    for index, step in enumerate(wanted.steps):
        _apply(work, namespace, script, step, f"/migrations/steps/{index}")
    mine = ObjectNamespace.script_id == script.id
    if (work.scalar(select(func.count()).select_from(ObjectNamespace).where(mine)) or 0) > CLASSES:
        raise _unfit(f"A script has at most {CLASSES} classes of objects.", "/migrations")
    if wanted.new_tag:
        work.execute(delete(ObjectMigration).where(ObjectMigration.script_id == script.id))
        work.add(ObjectMigration(script_id=script.id, tag=wanted.new_tag))
        work.flush()


def _apply(work: Work, namespace: Namespace, script: Script, step: Step, pointer: str) -> None:
    for name in step.deleted_classes:
        work.delete(_owned(work, script, name, pointer))
        work.flush()
    for rename in step.renamed_classes:
        row = _owned(work, script, rename.old, pointer)
        _check_free(work, script, rename.new, pointer)
        row.class_name = rename.new
        work.flush()
    for transfer in step.transferred_classes:
        query = select(Script).where(
            Script.namespace_id == namespace.id, Script.name == transfer.script
        )
        if (other := work.scalar(query)) is None:
            raise _unfit(f"There is no Worker {transfer.script[:64]!r} here.", pointer)
        row = _owned(work, other, transfer.old, pointer)
        _check_free(work, script, transfer.new, pointer)
        row.script_id, row.class_name = script.id, transfer.new
        work.flush()
        work.changed(namespace.name, other.name)
    for names, uses_sqlite in ((step.new_classes, False), (step.new_sqlite_classes, True)):
        for name in names:
            _check_free(work, script, name, pointer)
            work.add(
                ObjectNamespace(
                    id=new_id(),
                    account_id=namespace.account_id,
                    script_id=script.id,
                    class_name=name,
                    uses_sqlite=uses_sqlite,
                    key=secrets.token_bytes(32),
                    objects=0,
                    created_at=now_ms(),
                )
            )
            work.flush()


def check_exported(work: Work, script: Script, handlers: Mapping[str, Sequence[str]]) -> None:
    """Refuse code without a class that has objects.

    Raises:
        Invalid: naming the class.
    """
    query = select(ObjectNamespace.class_name).where(ObjectNamespace.script_id == script.id)
    for name in work.scalars(query):
        if list(handlers.get(name, ()))[:1] != [CLASS_MARK]:
            raise Invalid(
                f"The script does not export class {name!r}, which is a class of Durable Objects. "
                "A migration with deleted_classes deletes it and its objects.",
                code=NOT_EXPORTED,
            )


def resolved(
    work: Work, namespace: Namespace, script: Script, bindings: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The bindings, those to classes with the ids of what they name.

    Raises:
        Invalid: there is no such class in a script of this namespace.
    """
    return [
        _resolved(work, namespace, script, item, f"/bindings/{index}")
        if item["type"] == BINDING
        else dict(item)
        for index, item in enumerate(bindings)
    ]


def _resolved(
    work: Work, namespace: Namespace, script: Script, item: Mapping[str, Any], pointer: str
) -> dict[str, Any]:
    query = (
        select(ObjectNamespace, Script.name)
        .join(Script, ObjectNamespace.script_id == Script.id)
        .where(Script.namespace_id == namespace.id)
    )
    named = query.where(
        Script.name == item.get("script_name", script.name),
        ObjectNamespace.class_name == item.get("class_name", ""),
    )
    found = work.execute(named).one_or_none()
    if found is None and item.get("namespace_id"):
        by_id = query.where(ObjectNamespace.id == item["namespace_id"])
        found = work.execute(by_id).one_or_none()
    if found is None:
        raise Invalid(
            f"Binding {item['name']!r}: class {item.get('class_name', '')!r} has no Durable "
            "Objects here. A migration with new_sqlite_classes makes it one that has.",
            code=NAMESPACE_MISSING,
            pointer=pointer,
        )
    row, name = found
    return {
        "type": BINDING,
        "name": item["name"],
        "class_name": row.class_name,
        "script_name": name,
        "namespace_id": row.id,
    }


def _owned(work: Work, script: Script, name: str, pointer: str) -> ObjectNamespace:
    query = select(ObjectNamespace).where(
        ObjectNamespace.script_id == script.id, ObjectNamespace.class_name == name
    )
    row = work.scalar(query)
    if row is None:
        raise _unfit(f"{script.name} has no class {name[:64]!r} of Durable Objects.", pointer)
    return row


def _check_free(work: Work, script: Script, name: str, pointer: str) -> None:
    if not name.isidentifier() or name.startswith("_") or len(name) > 255:
        raise _unfit(f"{name[:64]!r} is no name of a class that can be exported.", pointer)
    query = select(ObjectNamespace.id).where(
        ObjectNamespace.script_id == script.id, ObjectNamespace.class_name == name
    )
    if work.scalar(query) is not None:
        raise _unfit(f"Class {name[:64]!r} has Durable Objects already.", pointer)


def _unfit(message: str, pointer: str) -> Invalid:
    return Invalid(message, code=MIGRATION_INVALID, pointer=pointer)
