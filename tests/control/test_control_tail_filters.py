"""What of a live tail a filter lets through, as wrangler's options make them."""

from typing import Any

import msgspec
import pytest

from cloister.outcomes import Outcome
from control.tails import OUTCOMES, Filter

RECORD: dict[str, Any] = {
    "outcome": "ok",
    "scriptVersion": "v1",
    "event": {"request": {"method": "POST", "headers": {"X-Plan": "pro"}}},
    "logs": [{"message": ["said", 5]}],
}


@pytest.mark.parametrize(
    ("said", "other"),
    [
        ({"outcome": ["ok", "canceled"]}, {"outcome": "exception"}),
        ({"method": ["POST"]}, {"event": {"request": {"method": "GET", "headers": {}}}}),
        ({"method": ["POST"]}, {"event": {"cron": "* * * * *"}}),
        ({"header": {"key": "x-plan"}}, {"event": {"request": {"headers": {}}}}),
        ({"header": {"key": "x-plan", "query": "pro"}}, {"event": {"rpcMethod": "a"}}),
        ({"query": "sai"}, {"logs": []}),
        ({"scriptVersion": "v1"}, {"scriptVersion": "v2"}),
        ({"sampling_rate": 1.0}, {"outcome": "ok"}),
    ],
)
def test_what_is_let_through(said: dict[str, Any], other: dict[str, Any]) -> None:
    """A record that is as it says, and not one that is otherwise; a rate asks nothing of it."""
    wanted = msgspec.convert(said, Filter)
    assert wanted.lets_through(RECORD)
    assert wanted.lets_through({**RECORD, **other}) == ("sampling_rate" in said)


def test_errors_are_ours_too() -> None:
    """wrangler's ``--status error`` lists the product's failures and "unknown": those that only we
    know are meant by that."""
    error = Filter(outcome=["exception", "exceededCpu", "exceededMemory", "unknown"])
    let_through = {
        outcome for outcome in Outcome if error.lets_through({**RECORD, "outcome": outcome.value})
    }
    assert Outcome.EXCEEDED_WALL in let_through
    assert {Outcome.OK, Outcome.CANCELED} & let_through == set()
    assert {outcome.value for outcome in Outcome} >= OUTCOMES


def test_addresses_are_not_asked_for() -> None:
    """A filter that nothing can be held against is refused, not ignored."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"client_ip": ["self"]}, Filter)
