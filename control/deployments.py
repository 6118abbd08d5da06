"""Deployments of a worker: which versions are live, and which were."""

from typing import Any, Literal

import msgspec
from flask import Blueprint, Response

from cloister.registry import DeploymentView
from cloister.registry.rollout import Share
from control import bodies, envelope, fields
from control.errors import (
    DEPLOYMENT_ACTIVE,
    DEPLOYMENT_NOT_FOUND,
    NOTHING_BEFORE,
    SCRIPT_NOT_FOUND,
    Refused,
    translated,
)
from control.house import house
from control.operation import JSON, operation
from control.paths import SCRIPT, namespace_of
from control.rules import annotations

blueprint = Blueprint("deployments", __name__)

DEPLOYMENTS = f"{SCRIPT}/deployments"
DEPLOYMENT = f"{DEPLOYMENTS}/<deployment_id>"
ROLLBACK = f"{DEPLOYMENTS}/rollback"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A version, and the percentage of requests that it gets."""

    version_id: str
    percentage: float


class NewDeployment(msgspec.Struct, frozen=True, kw_only=True):
    """Versions to make live."""

    strategy: Literal["percentage"]
    versions: list[Part]
    annotations: dict[str, Any] | None = None


class Rollback(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a rollback."""

    annotations: dict[str, Any] | None = None


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """Versions made live together."""

    id: str
    created_on: envelope.Time
    versions: list[Part]
    annotations: dict[str, str]
    source: str = "api"
    strategy: Literal["percentage"] = "percentage"
    author_email: str = ""


class DeploymentList(msgspec.Struct, frozen=True, kw_only=True):
    """Deployments, the newest first: that is what is live."""

    deployments: list[Deployment]


FORCE: fields.Query = {"force": fields.Flag()}
PAGES: fields.Query = {
    "page": fields.Whole(1, 1, 1_000_000),
    "per_page": fields.Whole(100, 1, 1_000),
    "since": fields.Moment(),
    "until": fields.Moment(),
}


@blueprint.post(DEPLOYMENTS)
@operation(Deployment, query=FORCE, body=bodies.Json(NewDeployment))
def post(
    account_id: str,
    namespace: str,
    script: str,
    body: bodies.Body[NewDeployment],
    *,
    force: bool,
) -> Response:
    """Make one or two versions live. ``force=true``: also an older one whose secrets have changed
    since."""
    found = namespace_of(account_id, namespace)
    said = body()
    shares = [Share(part.version_id, part.percentage) for part in said.versions]
    with translated(SCRIPT_NOT_FOUND):
        made = house().registry.deployments.create(
            found.id, script, shares, message=annotations.message(said.annotations), force=force
        )
    return envelope.success(shape(made))


@blueprint.post(ROLLBACK)
@operation(Deployment, query=FORCE, takes={JSON: Rollback})
def roll_back(account_id: str, namespace: str, script: str, *, force: bool) -> Response:
    """Make the version live that was so, alone, before the newest of those that are. Called again
    it goes further back. The body may be missing; ``force`` as in a deployment."""
    found = namespace_of(account_id, namespace)
    data = bodies.whole(bodies.JSON_BYTES)
    said = bodies.converted(bodies.decode_json(data), Rollback) if data else Rollback()
    message = annotations.message(said.annotations)
    with translated(SCRIPT_NOT_FOUND, NOTHING_BEFORE):
        made = house().registry.deployments.roll_back(
            found.id, script, message=message, force=force
        )
    return envelope.success(shape(made))


@blueprint.get(DEPLOYMENTS)
@operation(DeploymentList, info=envelope.PageInfo, query=PAGES)
def list_some(
    account_id: str,
    namespace: str,
    script: str,
    page: int,
    per_page: int,
    since: int | None,
    until: int | None,
) -> Response:
    """Deployments, the newest first: that is what is live."""
    found = namespace_of(account_id, namespace)
    with translated(SCRIPT_NOT_FOUND):
        kept = house().registry.deployments.list(found.id, script)
    wanted = [
        item
        for item in kept
        if (since is None or item.created_at >= since)
        and (until is None or item.created_at <= until)
    ]
    some = wanted[(page - 1) * per_page : page * per_page]
    info = envelope.page_info(page, per_page, len(some), len(wanted))
    return envelope.success(DeploymentList(deployments=[shape(item) for item in some]), info=info)


@blueprint.get(DEPLOYMENT)
@operation(Deployment)
def get(account_id: str, namespace: str, script: str, deployment_id: str) -> Response:
    """One deployment."""
    found = namespace_of(account_id, namespace)
    with translated(SCRIPT_NOT_FOUND):
        deployment = house().registry.deployments.get(found.id, script, deployment_id)
    if deployment is None:
        raise Refused(DEPLOYMENT_NOT_FOUND)
    return envelope.success(shape(deployment))


@blueprint.delete(DEPLOYMENT)
@operation()
def delete(account_id: str, namespace: str, script: str, deployment_id: str) -> Response:
    """Forget one of the past; its versions stay."""
    found = namespace_of(account_id, namespace)
    with translated(SCRIPT_NOT_FOUND, DEPLOYMENT_ACTIVE):
        was_there = house().registry.deployments.delete(found.id, script, deployment_id)
    if not was_there:
        raise Refused(DEPLOYMENT_NOT_FOUND)
    return envelope.success(None)


def shape(item: DeploymentView) -> Deployment:
    """A deployment as it is shown."""
    said = {annotations.TRIGGERED_BY: item.cause}
    if item.message:
        said[annotations.MESSAGE] = item.message
    return Deployment(
        id=item.id,
        created_on=envelope.timestamp(item.created_at),
        versions=[
            Part(version_id=share.version_id, percentage=share.percentage)
            for share in item.versions
        ],
        annotations=said,
    )
