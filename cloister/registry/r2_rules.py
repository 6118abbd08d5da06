"""Rules of a bucket: which objects stay as they are, and which go in time.

The shapes are those of the API. A bucket keeps them as plain JSON.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from cloister.errors import Invalid

MAX_RULES = 1_000
PREFIX_CHARACTERS = 1_024
WEEK_S = 7 * 24 * 3600
LONGEST_S = 100 * 365 * 24 * 3600

Seconds = Annotated[int, msgspec.Meta(ge=0, le=LONGEST_S)]
RuleId = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Prefix = Annotated[str, msgspec.Meta(max_length=PREFIX_CHARACTERS)]


class Age(msgspec.Struct, frozen=True, tag_field="type", tag="Age", rename="camel"):
    """So many seconds after the object was put or the upload begun."""

    max_age: Seconds


class LockAge(msgspec.Struct, frozen=True, tag_field="type", tag="Age", rename="camel"):
    """For so many seconds after the object was put."""

    max_age_seconds: Seconds


class Date(msgspec.Struct, frozen=True, tag_field="type", tag="Date"):
    """From that time on; of a lock, until then."""

    date: datetime


class Indefinite(msgspec.Struct, frozen=True, tag_field="type", tag="Indefinite"):
    """For ever."""


class LockRule(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Objects whose key has the prefix are neither replaced nor deleted."""

    id: RuleId
    enabled: bool
    prefix: Prefix = ""
    condition: LockAge | Date | Indefinite

    def locks(self, key: str, uploaded_at: int, now: int) -> bool:
        """Whether an object put then is locked now (epoch milliseconds)."""
        if not self.enabled or not key.startswith(self.prefix):
            return False
        match self.condition:
            case LockAge(max_age_seconds):
                return now < uploaded_at + max_age_seconds * 1000
            case Date(date):
                return now < _ms(date)
            case _:
                return True


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What a lifecycle rule is for."""

    prefix: Prefix = ""


class AbortUploads(msgspec.Struct, frozen=True, kw_only=True):
    """Give unfinished uploads up."""

    condition: Age


class DeleteObjects(msgspec.Struct, frozen=True, kw_only=True):
    """Delete objects."""

    condition: Age | Date


class ChangeClass(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Give objects another storage class."""

    condition: Age | Date
    storage_class: Literal["InfrequentAccess"]


class LifecycleRule(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What happens in time to objects and uploads whose key has the prefix."""

    id: RuleId
    enabled: bool
    conditions: Conditions
    abort_multipart_uploads_transition: AbortUploads | None = None
    delete_objects_transition: DeleteObjects | None = None
    storage_class_transitions: Annotated[list[ChangeClass], msgspec.Meta(max_length=10)] = []


DEFAULT_LIFECYCLE = [
    LifecycleRule(
        id="Default Multipart Abort Rule",
        enabled=True,
        conditions=Conditions(prefix=""),
        abort_multipart_uploads_transition=AbortUploads(condition=Age(max_age=WEEK_S)),
    )
]
"""What a bucket has that nobody has given any."""


def due_before(condition: Age | Date, now: int) -> int | None:
    """What is older (epoch milliseconds) is due; None: nothing is yet."""
    if isinstance(condition, Age):
        return now - condition.max_age * 1000 + 1
    return now + 1 if now >= _ms(condition.date) else None


def locks(rules: list[dict[str, Any]] | None, key: str, uploaded_at: int, now: int) -> bool:
    """Whether one of the rules as they are kept locks an object put then."""
    return any(rule.locks(key, uploaded_at, now) for rule in lock_rules(rules))


def lock_rules(kept: list[dict[str, Any]] | None) -> list[LockRule]:
    """The rules as they are kept."""
    return msgspec.convert(kept or [], list[LockRule])


def lifecycle_rules(kept: list[dict[str, Any]] | None) -> list[LifecycleRule]:
    """The rules as they are kept; those of a bucket that was given none."""
    return DEFAULT_LIFECYCLE if kept is None else msgspec.convert(kept, list[LifecycleRule])


def check_ids(ids: list[str]) -> None:
    """Raise Invalid if there are too many rules, or two of one id."""
    if len(ids) > MAX_RULES:
        raise Invalid(f"A bucket has at most {MAX_RULES} rules.", pointer="/rules")
    if len(set(ids)) < len(ids):
        raise Invalid("Two rules have the same id.", pointer="/rules")


def _ms(date: datetime) -> int:
    return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
