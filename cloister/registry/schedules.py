"""Cron triggers: what is configured, and what is due.

The time of the next firing is in the row, and the rows are found by it: a tick with nothing due
costs one look into the index, however many triggers there are.
"""

import logging
from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, delete, select, update

from cloister.cron import InvalidCron, parse
from cloister.registry.database import Database, now_ms
from cloister.registry.models import Script
from cloister.registry.schedule_models import Schedule

log = logging.getLogger(__name__)

MINUTE_MS = 60_000

NEVER = 2**62
"""Instead of a next time, where there is none."""


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True):
    """A cron trigger as configured."""

    cron: str
    created_at: int
    modified_at: int


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger that fires, for the time that it stands for."""

    script_id: str
    cron: str
    scheduled_at: int


class Schedules:
    """The cron triggers of all scripts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, script_id: str) -> list[ScheduleView]:
        """Those of one script, in order."""
        query = select(Schedule).where(Schedule.script_id == script_id).order_by(Schedule.cron)
        with self._database.read() as session:
            return [_view(row) for row in session.scalars(query)]

    def replace(self, script_id: str, crons: Sequence[str]) -> list[ScheduleView]:
        """Let a script have these and no others; what it had already goes on as it was.

        Raises:
            InvalidCron: one of them is no expression. Nothing is changed.
            IntegrityError: the script is gone.
        """
        now = now_ms()
        wanted = {cron: _next_ms(cron, now) for cron in crons}
        of_script = Schedule.script_id == script_id
        with self._database.write() as work:
            # Two that are replaced at once would both insert what is new to them.
            work.execute(select(Script.id).where(Script.id == script_id).with_for_update())
            work.execute(delete(Schedule).where(of_script, Schedule.cron.not_in(wanted)))
            known = set(work.scalars(select(Schedule.cron).where(of_script)))
            work.add_all(
                Schedule(
                    script_id=script_id, cron=cron, created_at=now, modified_at=now, next_at=next_at
                )
                for cron, next_at in wanted.items()
                if cron not in known
            )
            work.flush()
            query = select(Schedule).where(of_script).order_by(Schedule.cron)
            return [_view(row) for row in work.scalars(query)]

    def take(self, limit: int) -> list[Firing]:
        """Claim what is due, at most so many: nobody else gets these. What was missed meanwhile
        fires once, for its latest time."""
        now = now_ms()
        if not self._is_any_due(now):
            return []
        due = (
            select(Schedule.script_id, Schedule.cron, Schedule.next_at)
            .where(Schedule.next_at <= now)
            .order_by(Schedule.next_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._database.write() as work:
            rows = work.execute(due).all()
            if not rows:  # another was quicker
                return []
            work.connection().execute(
                _MOVE_ON,
                [
                    {"of": row.script_id, "which": row.cron, "then": _following_ms(row.cron, now)}
                    for row in rows
                ],
            )
        return [
            Firing(
                script_id=row.script_id,
                cron=row.cron,
                scheduled_at=_latest_ms(row.cron, row.next_at, now),
            )
            for row in rows
            if _is_known(row.cron)
        ]

    def _is_any_due(self, now: int) -> bool:
        """Whether it is worth a transaction that writes, which others would wait for."""
        query = select(Schedule.next_at).where(Schedule.next_at <= now).limit(1)
        with self._database.read() as session:
            return session.scalar(query) is not None


_MOVE_ON = (
    update(Schedule)
    .where(Schedule.script_id == bindparam("of"), Schedule.cron == bindparam("which"))
    .values(next_at=bindparam("then"))
)


def _view(row: Schedule) -> ScheduleView:
    return ScheduleView(cron=row.cron, created_at=row.created_at, modified_at=row.modified_at)


def _next_ms(cron: str, now: int) -> int:
    following = parse(cron).next(now // MINUTE_MS)
    return NEVER if following is None else following * MINUTE_MS


def _following_ms(cron: str, now: int) -> int:
    return _next_ms(cron, now) if _is_known(cron) else NEVER


def _is_known(cron: str) -> bool:
    """Whether this release takes the expression, as the one did that wrote it."""
    try:
        parse(cron)
    except InvalidCron:
        log.warning("a cron trigger is no expression any more and does not fire: %r", cron)
        return False
    return True


def _latest_ms(cron: str, due: int, now: int) -> int:
    if now - due < MINUTE_MS:
        return due
    latest = parse(cron).latest(now // MINUTE_MS)
    return due if latest is None else max(due, latest * MINUTE_MS)
