"""Bindings that stand for something that is nowhere made: rate limits, datasets, secrets of stores.

What the product says of a bad one is code 10021; of a dataset's name it has codes of its own.
"""

import re
from typing import Annotated, Any, Protocol

import msgspec

from control.errors import DATASET_NAME_INVALID, VALIDATION_FAILED, Refused

PERIODS_S = (10, 60)
LONGEST_MITIGATION_S = 86_400
HIGHEST_LIMIT = 2**31

_DATASET = re.compile(r"[A-Za-z0-9_]{1,100}")
_COUNTER = re.compile(r"[1-9][0-9]{0,17}")

Binding = dict[str, Any]


class World(Protocol):
    """What exists; see :class:`control.rules.bindings.World`."""

    def stored_secret_exists(self, store_id: str, name: str) -> bool:
        """Whether the account has this store, with a secret of this name for Workers in it."""


class _Simple(msgspec.Struct, frozen=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=HIGHEST_LIMIT)]
    period: int
    mitigation_timeout: int = 0


class _RateLimit(msgspec.Struct, frozen=True):
    namespace_id: str | int
    simple: _Simple


class _StoredSecret(msgspec.Struct, frozen=True):
    store_id: str
    secret_name: str


def ratelimit(item: Binding, pointer: str) -> Binding:
    """The fields of a rate limit. Raises Refused."""
    said = _converted(item, _RateLimit, pointer)
    counter, simple = str(said.namespace_id), said.simple
    if not _COUNTER.fullmatch(counter):
        raise _wrong(
            item, "namespace_id must be a positive whole number", f"{pointer}/namespace_id"
        )
    if simple.period not in PERIODS_S:
        raise _wrong(item, "period must be 10 or 60 (seconds)", f"{pointer}/simple/period")
    if not _may_block_for(simple):
        raise _wrong(
            item,
            "mitigation_timeout must be 0, 10 or a multiple of 60 up to 86400, not below period",
            f"{pointer}/simple/mitigation_timeout",
        )
    fields = {"limit": simple.limit, "period": simple.period}
    if simple.mitigation_timeout:
        fields["mitigation_timeout"] = simple.mitigation_timeout
    return {"namespace_id": counter, "simple": fields}


def analytics_engine(item: Binding, pointer: str) -> Binding:
    """The dataset. Raises Refused."""
    dataset = item.get("dataset")
    if not isinstance(dataset, str) or not _DATASET.fullmatch(dataset):
        raise Refused(
            DATASET_NAME_INVALID,
            f"Binding {item['name']!r}: dataset must be 1 to 100 letters, digits and underscores.",
            pointer=f"{pointer}/dataset",
        )
    return {"dataset": dataset}


def secrets_store_secret(item: Binding, pointer: str) -> Binding:
    """Store and secret. Raises Refused."""
    said = _converted(item, _StoredSecret, pointer)
    return {"store_id": said.store_id, "secret_name": said.secret_name}


def check_secret(world: World, item: Binding, pointer: str) -> None:
    """Refuse a binding to a secret that is not there."""
    if not world.stored_secret_exists(item["store_id"], item["secret_name"]):
        raise _wrong(
            item,
            f"the account has no secret {item['secret_name'][:100]!r} for Workers in the store "
            f"{item['store_id'][:64]!r}",
            f"{pointer}/secret_name",
        )


def _may_block_for(simple: _Simple) -> bool:
    seconds = simple.mitigation_timeout
    if seconds == 0:
        return True
    known = seconds == PERIODS_S[0] or (seconds % 60 == 0 and seconds <= LONGEST_MITIGATION_S)
    return known and seconds >= simple.period


def _converted(item: Binding, kind: Any, pointer: str) -> Any:
    try:
        return msgspec.convert(item, kind)
    except msgspec.ValidationError as exc:
        raise _wrong(item, str(exc), pointer) from exc


def _wrong(item: Binding, what: str, pointer: str) -> Refused:
    message = f"Binding {item['name']!r} of type {item['type']}: {what.removesuffix('.')}."
    return Refused(VALIDATION_FAILED, message, pointer=pointer)
