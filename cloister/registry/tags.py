"""Filters of scripts by tag, as the API writes them: ``plan-pro:yes,suspended:no``."""

import msgspec
from sqlalchemy import ColumnElement, Select, select

from cloister.errors import Invalid
from cloister.registry.models import Script, ScriptTag

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

    def conditions(self, namespace_id: str) -> list[ColumnElement[bool]]:
        """What a row of ``scripts`` must meet."""
        yes: list[ColumnElement[bool]] = [
            Script.id.in_(_tagged(namespace_id, tag)) for tag in self.have
        ]
        return yes + [Script.id.not_in(_tagged(namespace_id, tag)) for tag in self.lack]


EVERY_SCRIPT = TagFilter()


def _tagged(namespace_id: str, tag: str) -> Select[str]:
    return select(ScriptTag.script_id).where(
        ScriptTag.namespace_id == namespace_id, ScriptTag.tag == tag
    )
