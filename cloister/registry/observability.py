"""What a worker's ``observability`` says of the records of its invocations."""

from typing import Any

import msgspec


class Observability(msgspec.Struct, frozen=True, kw_only=True):
    """The share of the records that is kept, and whether they lack query strings."""

    kept_share: float = 1.0
    redacts_query: bool = False


def observability(settings: dict[str, Any]) -> Observability:
    """Of a worker with these settings. What is not said is as by default: all is kept."""
    said = settings.get("observability") or {}
    logs = said.get("logs") or {}
    is_on = logs.get("enabled", said.get("enabled"))
    share = logs.get("head_sampling_rate", said.get("head_sampling_rate"))
    return Observability(
        kept_share=0.0 if is_on is False else 1.0 if share is None else float(share),
        redacts_query=said.get("redact_query_string") is True,
    )
