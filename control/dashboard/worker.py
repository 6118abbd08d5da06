"""Pages of one worker, in a namespace or plain: what it is, its versions and which of them are
live, its last invocations.
"""

from http import HTTPStatus
from typing import Any

import msgspec
from flask import g, redirect, render_template, request, url_for

from cloister.assets import Config, File, SiteRef
from cloister.assets.config import decode_config
from cloister.assets.manifest import decode_manifest
from cloister.errors import Invalid, NotReady
from cloister.messages import Trace
from cloister.registry import DeploymentView, ScriptView, VersionView
from cloister.registry.rollout import WHOLE, Share
from control import logs
from control.dashboard.frame import blueprint
from control.errors import (
    DEPLOYMENT_INVALID,
    NOTHING_BEFORE,
    SCRIPT_NOT_FOUND,
    STILL_REFERENCED,
    VERSION_NOT_FOUND,
    Refused,
    translated,
)
from control.house import house
from control.paths import PLAIN, namespace_of, script_of
from control.request_id import log
from control.rules import annotations, bindings, limits

INVOCATIONS = 25
HOSTNAMES = 20
VERSIONS = 20
DEPLOYMENTS = 10
FILES = 500

IN_NAMESPACE = "/namespaces/<namespace>/workers/<script>"
IN_NONE = "/workers/<script>"


class Row(msgspec.Struct, frozen=True):
    """A version in the table. ``share`` is empty where it is not live."""

    version: VersionView
    share: str
    message: str


class SiteView(msgspec.Struct, frozen=True):
    """What is shown of assets; ``files`` are the first of them."""

    ref: SiteRef
    config: Config
    files: list[File]


@blueprint.get(IN_NAMESPACE)
@blueprint.get(IN_NONE, defaults={"namespace": PLAIN})
def worker(namespace: str, script: str) -> str:
    """A worker: what it is bound to, its versions, and its last invocations."""
    return _page(namespace, script_of(g.token.account_id, namespace, script), problem=None)


@blueprint.post(f"{IN_NAMESPACE}/deploy")
@blueprint.post(f"{IN_NONE}/deploy", defaults={"namespace": PLAIN})
def deploy(namespace: str, script: str) -> Any:
    """Make a version live, alone or beside the one that is."""
    view = script_of(g.token.account_id, namespace, script)
    try:
        shares = _shares(view)
        with translated(SCRIPT_NOT_FOUND, VERSION_NOT_FOUND):
            house().registry.deployments.create(
                namespace_of(g.token.account_id, namespace).id,
                script,
                shares,
                force=request.form.get("force") == "yes",
            )
    except (Refused, Invalid) as exc:
        return _refused(namespace, view, exc)
    return redirect(_url("worker", namespace, script), HTTPStatus.SEE_OTHER)


@blueprint.post(f"{IN_NAMESPACE}/rollback")
@blueprint.post(f"{IN_NONE}/rollback", defaults={"namespace": PLAIN})
def roll_back(namespace: str, script: str) -> Any:
    """Make the version live that was so before."""
    view = script_of(g.token.account_id, namespace, script)
    try:
        with translated(SCRIPT_NOT_FOUND, NOTHING_BEFORE):
            house().registry.deployments.roll_back(
                namespace_of(g.token.account_id, namespace).id,
                script,
                force=request.form.get("force") == "yes",
            )
    except (Refused, Invalid) as exc:
        return _refused(namespace, view, exc)
    return redirect(_url("worker", namespace, script), HTTPStatus.SEE_OTHER)


@blueprint.post(f"{IN_NAMESPACE}/delete")
@blueprint.post(f"{IN_NONE}/delete", defaults={"namespace": PLAIN})
def delete_worker(namespace: str, script: str) -> Any:
    """Delete it; where others are bound to it, only if the form says so."""
    view = script_of(g.token.account_id, namespace, script)
    found = namespace_of(g.token.account_id, namespace)
    try:
        with translated(SCRIPT_NOT_FOUND, STILL_REFERENCED):
            force = request.form.get("force") == "yes"
            house().registry.scripts.delete(found.id, script, force=force)
    except Refused as exc:
        return _refused(namespace, view, exc)
    logs.forget(found.name, script)
    return redirect(_list_url(namespace), HTTPStatus.SEE_OTHER)


def _shares(view: ScriptView) -> list[Share]:
    """What the form asks for: what is left goes to the live version."""
    version = request.form.get("version", "")
    try:
        percentage = float(request.form.get("percentage", WHOLE))
    except ValueError:
        percentage = 0
    if not 0 < percentage <= WHOLE:
        raise Refused(DEPLOYMENT_INVALID, "The share must be above 0 and at most 100 percent.")
    if percentage == WHOLE:
        return [Share(version, WHOLE)]
    if version == view.version_id:
        raise Refused(DEPLOYMENT_INVALID, "That version is live: choose another one to share with.")
    return [Share(version, percentage), Share(view.version_id, round(WHOLE - percentage, 2))]


def _refused(namespace: str, view: ScriptView, exc: Refused | Invalid) -> tuple[str, int]:
    status = exc.problem.status if isinstance(exc, Refused) else HTTPStatus.BAD_REQUEST
    return _page(namespace, view, problem=str(exc)), status


def _url(page: str, namespace: str, script: str) -> str:
    return url_for(f"dashboard.{page}", namespace=namespace, script=script)


def _list_url(namespace: str) -> str:
    return url_for("dashboard.workers", namespace=namespace)


def _page(namespace: str, view: ScriptView, problem: str | None) -> str:
    registry = house().registry
    deployments = registry.deployments.list(
        namespace_of(g.token.account_id, namespace).id, view.name
    )
    rows = _rows(view, deployments[0])
    numbers = {row.version.id: row.version.number for row in rows}
    return render_template(
        "worker.html",
        worker=view,
        namespace=namespace,
        up=_list_url(namespace),
        url=lambda page: _url(page, namespace, view.name),
        limits=limits.as_dict(view.version.limits),
        hostnames=registry.hostnames.list(
            g.token.account_id, namespace=view.namespace, script=view.name, limit=HOSTNAMES
        ),
        schedules=registry.schedules.of(view.id),
        bindings=[_binding(item) for item in bindings.visible(view.version.bindings)],
        live=[row for row in rows if row.share],
        versions=rows[:VERSIONS],
        deployments=[(item, _words(item, numbers)) for item in deployments[:DEPLOYMENTS]],
        site=_site(view.version.assets),
        invocations=_invocations(view),
        problem=problem,
    )


def _rows(view: ScriptView, active: DeploymentView) -> list[Row]:
    """All versions that are kept, the newest first."""
    shares = {share.version_id: f"{share.percentage:g} %" for share in active.versions}
    return [
        Row(
            version=version,
            share=shares.get(version.id, ""),
            message=annotations.shown(version.settings).get(annotations.MESSAGE, ""),
        )
        for version in house().registry.versions.list(view.id)
    ]


def _words(item: DeploymentView, numbers: dict[str, int]) -> str:
    """Which versions a deployment made live; those that are kept no more have no number."""
    if len(item.versions) == 1:
        return str(numbers.get(item.versions[0].version_id, "?"))
    return ", ".join(
        f"{numbers.get(share.version_id, '?')}: {share.percentage:g} %" for share in item.versions
    )


def _site(ref: SiteRef | None) -> SiteView | None:
    """The live version's assets; without their files where those cannot be read."""
    if ref is None:
        return None
    try:
        files = decode_manifest(house().blobs.get(f"manifest/{ref.manifest}")).files
        config = decode_config(house().blobs.get(f"assetconfig/{ref.config}"))
    except NotReady:
        log.warning("the assets of version manifest %s cannot be read", ref.manifest)
        return SiteView(ref, Config(), [])
    return SiteView(ref, config, sorted(files, key=lambda file: file.path)[:FILES])


def _binding(item: dict[str, Any]) -> tuple[str, str, str]:
    rest = {key: value for key, value in item.items() if key not in {"name", "type"}}
    if item["type"] == "secret_text":
        return item["name"], item["type"], "hidden"
    shown = ", ".join(
        f"{key}: {value if isinstance(value, str) else msgspec.json.encode(value).decode()}"
        for key, value in rest.items()
    )
    return item["name"], item["type"], shown


def _invocations(view: ScriptView) -> list[Trace]:
    found = []
    for record in logs.recent(view.namespace, view.name, INVOCATIONS):
        try:
            found.append(msgspec.json.decode(record, type=Trace))
        except msgspec.DecodeError:
            log.warning("an invocation record of %s cannot be read", view.name)
    return found
