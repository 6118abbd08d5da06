"""Deployments: which versions of a script are live, since when, and the way back."""

import builtins
import math
from collections.abc import Mapping, Sequence

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from cloister.errors import Conflict, Invalid
from cloister.registry.database import Database, Work, now_ms
from cloister.registry.lookups import namespace_by_id, script_row
from cloister.registry.models import Deployment, Namespace, Script, Version
from cloister.registry.names import new_uuid
from cloister.registry.retention import Retention
from cloister.registry.rollout import Share, Traffic
from cloister.registry.versions import Versions
from cloister.registry.views import DeploymentView

LIVE_AT_ONCE = 2

DEPLOYMENT_INVALID = 10210
VERSION_NOT_FOUND = 10071
SECRETS_CHANGED = 10220


class Deployments:
    """Makes versions live and tells which were.

    Every public method raises:
        NotFound: there is no such namespace, or no such script in it.
    """

    def __init__(self, database: Database, versions: Versions, retention: Retention) -> None:
        self._database = database
        self._versions = versions
        self._retention = retention

    def list(self, namespace_id: str, name: str) -> builtins.list[DeploymentView]:
        """Those that are kept, the newest first: that is what is live."""
        with self._database.read() as session:
            script = script_row(session, namespace_id, name, lock=False)
            return [_view(row) for row in session.scalars(_of(script))]

    def get(self, namespace_id: str, name: str, deployment_id: str) -> DeploymentView | None:
        """One of them; None if the script has none of this id."""
        with self._database.read() as session:
            script = script_row(session, namespace_id, name, lock=False)
            row = session.scalar(_of(script).where(Deployment.id == deployment_id))
            return None if row is None else _view(row)

    def delete(self, namespace_id: str, name: str, deployment_id: str) -> bool:
        """Forget one of the past; whether there was one. Its versions stay.

        Raises:
            Conflict: it is what is live.
        """
        with self._database.write() as work:
            script = script_row(work, namespace_id, name)
            if _active(work, script).id == deployment_id:
                raise Conflict("The active deployment cannot be deleted.")
            gone = (Deployment.script_id == script.id) & (Deployment.id == deployment_id)
            return work.rows_changed(delete(Deployment).where(gone)) == 1

    def create(
        self,
        namespace_id: str,
        name: str,
        shares: Sequence[Share],
        *,
        message: str = "",
        force: bool = False,
    ) -> DeploymentView:
        """Make one or two versions live, together or not at all. ``force``: also an older one than
        the newest that is live, though secrets have changed since.

        Raises:
            Invalid: no such versions, percentages that do not add up, or changed secrets.
        """
        _check(shares)
        with self._database.write() as work:
            namespace = namespace_by_id(work, namespace_id)
            script = script_row(work, namespace_id, name)
            rows = self._rows(work, script, shares)
            if not force:
                self._check_secrets(work, script, rows)
            traffic = Traffic(sorted(shares, key=lambda share: -rows[share.version_id].number))
            row = self.deploy(work, namespace, script, traffic, "deployment", message=message)
        return _view(row)

    def roll_back(
        self, namespace_id: str, name: str, *, message: str = "", force: bool = False
    ) -> DeploymentView:
        """Make live alone the version that was so before the newest of those that are live. Called
        again it goes further back: what was rolled back does not return. ``force``: see
        :meth:`create`.

        Raises:
            Conflict: none was, or that version is not kept any more.
            Invalid: changed secrets.
        """
        with self._database.write() as work:
            namespace = namespace_by_id(work, namespace_id)
            script = script_row(work, namespace_id, name)
            target = _before(work, script)
            rows = self._rows(work, script, target.traffic.versions)
            if not force:
                self._check_secrets(work, script, rows)
            row = self.deploy(
                work,
                namespace,
                script,
                target.traffic,
                "rollback",
                message=message,
                restores=target.number,
            )
        return _view(row)

    def deploy(
        self,
        work: Work,
        namespace: Namespace,
        script: Script,
        traffic: Traffic,
        cause: str,
        *,
        message: str = "",
        restores: int | None = None,
    ) -> Deployment:
        """Make versions live, in the transaction that has locked the script."""
        mine = Deployment.script_id == script.id
        number = (work.scalar(select(func.max(Deployment.number)).where(mine)) or 0) + 1
        row = Deployment(
            id=new_uuid(),
            script_id=script.id,
            number=number,
            traffic=traffic,
            message=message,
            cause=cause,
            restores=restores,
            created_at=now_ms(),
        )
        work.add(row)
        script.version_id = traffic.main
        script.traffic = traffic if len(traffic.versions) > 1 else None
        script.modified_at = row.created_at
        self._retention.drop_deployments(work, script, number)
        work.changed(namespace.name, script.name)
        return row

    def _rows(self, work: Work, script: Script, shares: Sequence[Share]) -> dict[str, Version]:
        ids = [share.version_id for share in shares]
        query = select(Version).where(Version.script_id == script.id, Version.id.in_(ids))
        rows = {row.id: row for row in work.scalars(query)}
        for index, wanted in enumerate(ids):
            if wanted not in rows:
                raise Invalid(
                    f"The Worker has no version {wanted[:64]!r}.",
                    code=VERSION_NOT_FOUND,
                    pointer=f"/versions/{index}/version_id",
                )
        return rows

    def _check_secrets(self, work: Work, script: Script, wanted: Mapping[str, Version]) -> None:
        """An old version brings its old secrets back, which may have been revoked."""
        live_ids = {share.version_id for share in _active(work, script).traffic.versions}
        live = work.scalars(select(Version).where(Version.id.in_(live_ids)))
        newest = max(live, key=lambda row: row.number)
        now = self._versions.secrets(newest)
        changed: set[str] = set()
        for row in wanted.values():
            if row.number < newest.number and row.id not in live_ids:
                then = self._versions.secrets(row)
                changed |= {name for name in then if then[name] != now.get(name)}
        if changed:
            # wrangler reads the names from the end of this.
            raise Invalid(
                "This would bring back secrets that are not valid any more; force=true does. "
                f"The following secrets have changed: {', '.join(sorted(changed))}",
                code=SECRETS_CHANGED,
            )


def _of(script: Script) -> Select[Deployment]:
    mine = Deployment.script_id == script.id
    return select(Deployment).where(mine).order_by(Deployment.number.desc())


def _active(session: Session, script: Script) -> Deployment:
    return session.scalars(_of(script).limit(1)).one()


def _before(work: Work, script: Script) -> Deployment:
    """The deployment to go back to: of one version, which is not the one to get rid of."""
    active = _active(work, script)
    bad = active.traffic.versions[0].version_id
    earlier = _of(script).where(Deployment.number < (active.restores or active.number))
    for row in work.scalars(earlier):
        ids = [share.version_id for share in row.traffic.versions]
        if len(ids) > 1 or ids == [bad]:
            continue
        if work.get(Version, ids[0]) is None:
            raise Conflict("The version that was live before is not kept any more.")
        return row
    raise Conflict("No other version was live before.")


def _check(shares: Sequence[Share]) -> None:
    """Raises Invalid unless these can be live together."""
    ids = [share.version_id for share in shares]
    if not 1 <= len(ids) <= LIVE_AT_ONCE or len(set(ids)) != len(ids):
        raise _invalid(f"A deployment has 1 to {LIVE_AT_ONCE} different versions.", "/versions")
    for index, share in enumerate(shares):
        hundredths = share.percentage * 100
        if not 0 <= share.percentage <= 100 or not math.isclose(
            hundredths, round(hundredths), abs_tol=1e-6
        ):
            raise _invalid(
                "percentage must be a number from 0 to 100, with at most two decimal places.",
                f"/versions/{index}/percentage",
            )
    if sum(round(share.percentage * 100) for share in shares) != 100 * 100:
        raise _invalid("The percentages of the versions must add up to 100.", "/versions")


def _view(row: Deployment) -> DeploymentView:
    return DeploymentView(
        id=row.id,
        versions=row.traffic.versions,
        message=row.message,
        cause=row.cause,
        created_at=row.created_at,
    )


def _invalid(message: str, pointer: str) -> Invalid:
    return Invalid(message, code=DEPLOYMENT_INVALID, pointer=pointer)
