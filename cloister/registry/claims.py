"""The life of a claim on a hostname: pending, active once it is proved, moved when it is not any
more or another account has proved it, deleted when nobody cares any more.

Whoever checks takes one claim at a time, and nobody else does for a while: the row is the lease, so
that any number of processes may check.
"""

from typing import Literal

import msgspec
from sqlalchemy import select

from cloister.registry.database import Database, Work, now_ms
from cloister.registry.hostname_names import is_ours
from cloister.registry.models import Hostname, Namespace

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

LEASE_MS = 2 * MINUTE_MS
"""For a check; longer than any takes."""

OFTEN_MS = MINUTE_MS
SELDOM_MS = 4 * HOUR_MS
"""Between checks of what is pending: the longer it has been, the longer."""

GIVE_UP_MS = 7 * DAY_MS
"""After so long unproved, a claim is not checked any more."""

RECHECK_MS = DAY_MS
"""Between checks of what is active."""

GRACE_MS = 3 * DAY_MS
"""How long an active hostname may be found elsewhere before it counts as moved."""

Verdict = Literal["proved", "elsewhere", "unknown"]
"""``elsewhere``: the name was there to ask, and says another thing or nothing. ``unknown``: it was
not, so that nothing follows for one that is active."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be checked."""

    id: str
    hostname: str
    token: str
    is_active: bool


class Claims:
    """Gives out claims to check, and draws the conclusions."""

    def __init__(self, database: Database, domain: str) -> None:
        self._database = database
        self._domain = domain

    def take(self) -> Claim | None:
        """One whose check is due, now leased to the caller; None if there is none."""
        due = Hostname.next_check_at <= now_ms()
        query = select(Hostname.id).where(due).order_by(Hostname.next_check_at).limit(16)
        with self._database.read() as session:
            found = list(session.scalars(query))
        return next(filter(None, map(self._lease, found)), None)

    def conclude(self, claim: Claim, verdict: Verdict, errors: list[str]) -> None:
        """Write down what a check has found. Nothing, if the claim is gone by now."""
        with self._database.write() as work:
            # All claims on the name, in one order: of two that are proved at once, one waits.
            named = select(Hostname).where(Hostname.hostname == claim.hostname)
            rows = list(work.scalars(named.order_by(Hostname.id).with_for_update()))
            row = next((each for each in rows if each.id == claim.id), None)
            if row is None:
                return
            if verdict == "proved":
                _activate(work, row, rows)
            elif row.status == "active":
                _doubt(work, row, verdict, errors)
            else:
                _wait(row, errors)

    def _lease(self, hostname_id: str) -> Claim | None:
        due = Hostname.next_check_at <= now_ms()
        query = select(Hostname).where(Hostname.id == hostname_id, due)
        with self._database.write() as work:
            row = work.scalar(query.with_for_update(skip_locked=True))
            if row is None:
                return None
            if is_ours(row.hostname, self._domain):
                # The platform has come to be called so: no proof makes it a customer's.
                row.next_check_at = None
                return None
            row.next_check_at = now_ms() + LEASE_MS
            active = row.status == "active"
            return Claim(id=row.id, hostname=row.hostname, token=row.token, is_active=active)


def pend(row: Hostname) -> None:
    """Have it checked as soon as may be; what is not active is pending from now on."""
    row.next_check_at = now_ms()
    if row.status != "active":
        row.status, row.since = "pending", now_ms()


def noted(work: Work, row: Hostname, *, below: bool = False) -> None:
    """Tell the caches of it, and of the names ``below`` it or that it has along."""
    namespace = None
    if row.namespace_id is not None:
        namespace = work.scalar(select(Namespace.name).where(Namespace.id == row.namespace_id))
    names = [row.hostname, f"*.{row.hostname}"] if below or row.wildcard else [row.hostname]
    for name in names:
        work.changed_hostname(name, namespace or "", row.script or "")


def _activate(work: Work, row: Hostname, rows: list[Hostname]) -> None:
    for other in rows:
        if other is not row and other.status == "active":
            other.status, other.since = "moved", now_ms()
            other.errors = ["Another account has proved that this hostname is its customer's."]
            # Not by itself: with both tokens in the DNS, the two would take turns.
            other.next_check_at = None
            noted(work, other)
    work.flush()  # of one name, one at most is active at any time
    if row.status != "active":
        row.status, row.since = "active", now_ms()
        noted(work, row)
    row.vouched, row.errors, row.failing_since = False, [], None
    row.next_check_at = now_ms() + RECHECK_MS


def _doubt(work: Work, row: Hostname, verdict: Verdict, errors: list[str]) -> None:
    now = now_ms()
    row.next_check_at = now + HOUR_MS
    row.errors = errors
    if verdict == "unknown":
        return
    row.failing_since = row.failing_since or now
    if now - row.failing_since >= GRACE_MS:
        row.status, row.since, row.failing_since = "moved", now, None
        noted(work, row)


def _wait(row: Hostname, errors: list[str]) -> None:
    now = now_ms()
    row.errors = errors
    waited = now - row.since
    if waited >= GIVE_UP_MS:
        row.status, row.since, row.next_check_at = "deleted", now, None
    else:
        row.next_check_at = now + min(max(waited // 10, OFTEN_MS), SELDOM_MS)
