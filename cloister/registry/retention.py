"""How long what is no longer live is kept."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import delete, select

from cloister.registry.database import Work, now_ms
from cloister.registry.models import Deployment, Script, Version
from cloister.settings import Settings

DEPLOYMENTS_KEPT = 100

SLACK_MS = 60_000
"""On top of what an invocation can take: for a route that a cache keeps, and for clocks."""


@dataclass(frozen=True, kw_only=True)
class Retention:
    """So many of the newest versions of a script are kept, and any that was live within the grace:
    invocations that name it may be under way."""

    versions: int
    grace_ms: int

    @classmethod
    def of(cls, settings: Settings) -> "Retention":
        """What the operator wants."""
        longest_ms = settings.max_wall_ms + settings.queue_wait_ms
        return cls(versions=max(1, settings.versions_kept), grace_ms=longest_ms + SLACK_MS)

    def drop_versions(self, work: Work, script: Script, newest: int) -> None:
        """Delete the script's old versions; ``newest`` is the number of its newest."""
        old = (Version.script_id == script.id) & (Version.number <= newest - self.versions)
        ids = set(work.scalars(select(Version.id).where(old)))
        if ids and (gone := ids.difference(self._served(work, script))):
            work.execute(delete(Version).where(Version.id.in_(gone)))

    def drop_deployments(self, work: Work, script: Script, newest: int) -> None:
        """Delete the script's old deployments; ``newest`` is the number of its newest."""
        old = (
            (Deployment.script_id == script.id)
            & (Deployment.number <= newest - DEPLOYMENTS_KEPT)
            & (Deployment.created_at < now_ms() - self.grace_ms)
        )
        work.execute(delete(Deployment).where(old))

    def _served(self, work: Work, script: Script) -> Iterator[str]:
        """Ids of the versions that are live, or were within the grace."""
        since = now_ms() - self.grace_ms
        query = (
            select(Deployment.traffic, Deployment.created_at)
            .where(Deployment.script_id == script.id)
            .order_by(Deployment.number.desc())
        )
        for traffic, created_at in work.execute(query):
            yield from (share.version_id for share in traffic.versions)
            if created_at < since:  # those before were over by then
                return
