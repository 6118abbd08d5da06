"""Plain Workers, in no namespace: the platform's own (outbound, dispatch, tail).

They are uploaded, compiled, bounded and run as user workers are, by the same views.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint

from control import (
    assets,
    content,
    deployments,
    latest,
    logs,
    schedules,
    scripts,
    secrets,
    settings,
    versions,
)
from control.operation import View
from control.paths import ACCOUNT, PLAIN, PLAIN_SCRIPT, PLAIN_SCRIPTS, SERVICE

blueprint = Blueprint("plain", __name__)

ONE_VERSION = f"{PLAIN_SCRIPT}/versions/<version_id>"
ONE_DEPLOYMENT = f"{PLAIN_SCRIPT}/deployments/<deployment_id>"
ONE_SECRET = f"{PLAIN_SCRIPT}/secrets/<everything:name>"

VIEWS: tuple[tuple[str, str, str, Callable[..., Any]], ...] = (
    ("list", "GET", PLAIN_SCRIPTS, scripts.list_some),
    ("upload", "PUT", PLAIN_SCRIPT, scripts.put),
    ("download", "GET", PLAIN_SCRIPT, content.get),
    ("delete", "DELETE", PLAIN_SCRIPT, scripts.delete),
    ("delete_service", "DELETE", SERVICE, scripts.delete),
    ("open_assets", "POST", f"{PLAIN_SCRIPT}/assets-upload-session", assets.open_session),
    ("put_content", "PUT", f"{PLAIN_SCRIPT}/content", content.put),
    ("get_content", "GET", f"{PLAIN_SCRIPT}/content/v2", content.get),
    ("get_settings", "GET", f"{PLAIN_SCRIPT}/settings", settings.get),
    ("patch_settings", "PATCH", f"{PLAIN_SCRIPT}/settings", settings.patch),
    ("get_script_settings", "GET", f"{PLAIN_SCRIPT}/script-settings", settings.get),
    ("patch_script_settings", "PATCH", f"{PLAIN_SCRIPT}/script-settings", settings.patch),
    ("list_secrets", "GET", f"{PLAIN_SCRIPT}/secrets", secrets.list_all),
    ("put_secret", "PUT", f"{PLAIN_SCRIPT}/secrets", secrets.put),
    ("get_secret", "GET", ONE_SECRET, secrets.get),
    ("delete_secret", "DELETE", ONE_SECRET, secrets.delete),
    ("patch_secrets", "PATCH", f"{PLAIN_SCRIPT}/secrets-bulk", secrets.patch_bulk),
    ("post_version", "POST", f"{PLAIN_SCRIPT}/versions", versions.post),
    ("list_versions", "GET", f"{PLAIN_SCRIPT}/versions", versions.list_some),
    ("get_version", "GET", ONE_VERSION, versions.get),
    ("patch_latest", "PATCH", f"{ACCOUNT}/workers/workers/<script>/versions/latest", latest.patch),
    ("get_version_content", "GET", f"{ONE_VERSION}/content", versions.get_content),
    ("post_deployment", "POST", f"{PLAIN_SCRIPT}/deployments", deployments.post),
    ("roll_back", "POST", f"{PLAIN_SCRIPT}/deployments/rollback", deployments.roll_back),
    ("list_deployments", "GET", f"{PLAIN_SCRIPT}/deployments", deployments.list_some),
    ("get_deployment", "GET", ONE_DEPLOYMENT, deployments.get),
    ("delete_deployment", "DELETE", ONE_DEPLOYMENT, deployments.delete),
    ("get_schedules", "GET", f"{PLAIN_SCRIPT}/schedules", schedules.get),
    ("put_schedules", "PUT", f"{PLAIN_SCRIPT}/schedules", schedules.put),
    ("get_logs", "GET", f"{PLAIN_SCRIPT}/logs", logs.get),
    ("tail", "GET", f"{PLAIN_SCRIPT}/tail", logs.tail),
)
"""Name, method, path and view; a view is told :data:`control.paths.PLAIN` for a namespace."""


def _mount(name: str, method: str, path: str, view: View) -> None:
    blueprint.add_url_rule(
        path, endpoint=name, view_func=view, methods=[method], defaults={"namespace": PLAIN}
    )


for _row in VIEWS:
    _mount(*_row)
