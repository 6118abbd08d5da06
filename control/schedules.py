"""Cron triggers of a Worker, replaced all at once."""

import msgspec
from flask import Blueprint, Response
from sqlalchemy.exc import IntegrityError

from cloister.cron import InvalidCron, parse
from cloister.registry.schedules import ScheduleView
from control import bodies, envelope
from control.errors import MALFORMED_PARAMETER, SCRIPT_NOT_FOUND, TOO_MANY_CRONS, Refused
from control.house import house
from control.operation import operation
from control.paths import SCRIPT, script_of

blueprint = Blueprint("schedules", __name__)

BASE = f"{SCRIPT}/schedules"

MAX_CRONS = 250
"""Triggers of one Worker, which is what the product gives to an account."""


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """A cron trigger, as it is asked for."""

    cron: str


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A cron trigger."""

    cron: str
    created_on: envelope.Time
    modified_on: envelope.Time


class Schedules(msgspec.Struct, frozen=True, kw_only=True):
    """Those of a Worker."""

    schedules: list[Schedule]


@blueprint.get(BASE)
@operation(Schedules)
def get(account_id: str, namespace: str, script: str) -> Response:
    """All of them."""
    view = script_of(account_id, namespace, script)
    return envelope.success(_shape(house().registry.schedules.of(view.id)))


@blueprint.put(BASE)
@operation(Schedules, body=bodies.Json(list[Trigger]))
def put(account_id: str, namespace: str, script: str, body: bodies.Body[list[Trigger]]) -> Response:
    """Replace them all; an empty list removes them."""
    view = script_of(account_id, namespace, script)
    crons = [each.cron for each in body()]
    if len(crons) > MAX_CRONS:
        raise Refused(TOO_MANY_CRONS)
    for index, cron in enumerate(crons):
        _check(cron, f"/{index}/cron")
    try:
        return envelope.success(_shape(house().registry.schedules.replace(view.id, crons)))
    except IntegrityError as exc:
        raise Refused(SCRIPT_NOT_FOUND) from exc


def _check(text: str, pointer: str) -> None:
    try:
        parse(text)
    except InvalidCron as exc:
        raise Refused(MALFORMED_PARAMETER, str(exc), pointer=pointer) from exc


def _shape(views: list[ScheduleView]) -> Schedules:
    return Schedules(
        schedules=[
            Schedule(
                cron=each.cron,
                created_on=envelope.timestamp(each.created_at),
                modified_on=envelope.timestamp(each.modified_at),
            )
            for each in views
        ]
    )
