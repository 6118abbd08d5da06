"""The ``observability`` of an upload: the fields that mean something here have to be right."""

from typing import Annotated, Any

import msgspec

from control.errors import VALIDATION_FAILED, Refused

_Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Logs(msgspec.Struct, frozen=True):
    enabled: bool | None = None
    head_sampling_rate: _Rate | None = None


class _Observability(msgspec.Struct, frozen=True):
    enabled: bool | None = None
    head_sampling_rate: _Rate | None = None
    redact_query_string: bool | None = None
    logs: _Logs | None = None


def check(value: dict[str, Any]) -> None:
    """Raises :class:`Refused`, naming the field at fault."""
    try:
        msgspec.convert(value, _Observability)
    except msgspec.ValidationError as exc:
        raise Refused(
            VALIDATION_FAILED, f"observability: {exc}.", pointer="/observability"
        ) from exc
