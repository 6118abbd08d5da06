"""Filters of scripts by tag, as the API writes them: ``plan-pro:yes,suspended:no``."""

from typing import TypeVarTuple

import msgspec
from sqlalchemy import ColumnElement, Exists, Select, exists
from sqlalchemy.orm import InstrumentedAttribute, aliased

from cloister.errors import Invalid
from cloister.registry.models import Script, ScriptTag

Columns = TypeVarTuple("Columns")

TAGS_IN_FILTER = 32


class TagFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Scripts that have every one of some tags and none of others. Empty lets all through."""

    have: list[str] = []
    lack: list[str] = []

    @classmethod
    def parse(cls, text: str) -> "TagFilter":
        """Read the query parameter ``tags``.

        Raises:
            Invalid: a part is not ``tag:yes`` or ``tag:no``, or there are too many.
        """
        have: list[str] = []
        lack: list[str] = []
        for part in text.split(","):
            tag, _, answer = part.strip().rpartition(":")
            if not tag or answer not in {"yes", "no"}:
                raise Invalid(f"{part!r} is not a tag filter: write tag:yes or tag:no.")
            (have if answer == "yes" else lack).append(tag)
        if len(have) + len(lack) > TAGS_IN_FILTER:
            raise Invalid(f"A filter has at most {TAGS_IN_FILTER} tags.")
        return cls(have=have, lack=lack)

    def __bool__(self) -> bool:
        """Whether it filters at all."""
        return bool(self.have or self.lack)

    def apply(
        self, query: Select[*Columns], namespace_id: str
    ) -> tuple[Select[*Columns], InstrumentedAttribute[str]]:
        """A query of ``scripts``, narrowed to those of a namespace that the filter lets through,
        and their name: the column by which an index has them in order."""
        if not self.have:
            query = query.where(Script.namespace_id == namespace_id)
            return query.where(*self._conditions([])), Script.name
        first, *others = self.have
        leading = aliased(ScriptTag)
        query = query.join(leading, leading.script_id == Script.id).where(
            leading.namespace_id == namespace_id, leading.tag == first
        )
        return query.where(*self._conditions(others)), leading.script

    def _conditions(self, have: list[str]) -> list[ColumnElement[bool]]:
        return [_has(tag) for tag in have] + [~_has(tag) for tag in self.lack]


EVERY_SCRIPT = TagFilter()


def _has(tag: str) -> Exists:
    return exists().where(ScriptTag.script_id == Script.id, ScriptTag.tag == tag)
