"""Rows that several nouns find alike."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from cloister.errors import NotFound
from cloister.registry.models import Namespace, Script


def namespace_by_id(session: Session, namespace_id: str, *, lock: bool = True) -> Namespace:
    """The namespace, which for a write may not be renamed or deleted until the write is done.

    Raises:
        NotFound: there is none.
    """
    query = select(Namespace).where(Namespace.id == namespace_id)
    row = session.scalar(query.with_for_update(read=True) if lock else query)
    if row is None:
        raise NotFound("There is no such namespace.")
    return row


def script_row(session: Session, namespace_id: str, name: str, *, lock: bool = True) -> Script:
    """The namespace's script; locked for a write.

    Raises:
        NotFound: there is none.
    """
    query = select(Script).where(Script.namespace_id == namespace_id, Script.name == name)
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise unknown_script(name)
    return row


def unknown_script(name: str) -> NotFound:
    """What to raise where there is none of this name."""
    return NotFound(f"There is no Worker {name[:64]!r} here.")
