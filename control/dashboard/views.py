"""Pages: sign in, namespaces, the workers of one, a worker."""

from http import HTTPStatus
from typing import Any

import msgspec
from flask import (
    Blueprint,
    Response,
    current_app,
    g,
    make_response,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from werkzeug.exceptions import HTTPException

from cloister.errors import CloisterError, NotFound, NotReady
from cloister.languages import RESTRICTED
from cloister.messages import Trace
from cloister.registry import NamespaceView, ScriptView, TagFilter, VersionView
from control import auth, envelope, logs, openapi
from control.dashboard import session
from control.errors import (
    FORBIDDEN,
    LENGTH_REQUIRED,
    SCRIPT_NOT_FOUND,
    STILL_REFERENCED,
    UNAUTHENTICATED,
    Refused,
    translated,
)
from control.house import house
from control.paths import namespace_of, script_of
from control.request_id import log
from control.rules import bindings, limits

blueprint = Blueprint("dashboard", __name__, template_folder="pages")

FORM_BYTES = 64 * 1024
WORKERS_A_PAGE = 50
INVOCATIONS = 25
HOSTNAMES = 20

_API_PAGE = "cloister.api_page"

_PUBLIC = frozenset({"dashboard.sign_in", "dashboard.style", "dashboard.icon", "dashboard.api"})


@blueprint.before_request
def admit() -> Any:
    """Let only those in who are signed in, and only forms of our own pages."""
    request.max_content_length = FORM_BYTES
    posts = request.method not in auth.READING
    if posts and request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
        raise Refused(FORBIDDEN, "That form was not sent from here.")
    if posts and request.content_length is None:
        raise Refused(LENGTH_REQUIRED)
    if request.endpoint in _PUBLIC:
        return None
    found = session.current()
    if found is None:
        return redirect(url_for("dashboard.sign_in"), HTTPStatus.SEE_OTHER)
    g.session, g.token = found
    if posts and not session.form_is_ours(g.session):
        raise Refused(FORBIDDEN, "This form is no longer valid. Go back, reload and try again.")
    namespace = (request.view_args or {}).get("namespace")
    if not auth.permits(
        g.token,
        account_id=None,
        namespace=namespace,
        writes=posts and request.endpoint != "dashboard.sign_out",
        any_namespace=namespace is None,
    ):
        raise Refused(FORBIDDEN, "Your API token does not allow this.")
    return None


@blueprint.app_template_filter("moment")
def moment(epoch_ms: int) -> str:
    """A time for people, UTC to the second."""
    return envelope.timestamp(epoch_ms).replace("T", " ")[:19]


@blueprint.get("/style.css")
def style() -> Response:
    """The stylesheet."""
    response = send_from_directory(blueprint.root_path, "pages/style.css", max_age=300)
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@blueprint.get("/icon.svg")
def icon() -> Response:
    """The icon of browsers' tabs."""
    return send_from_directory(blueprint.root_path, "pages/icon.svg", max_age=86400)


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> Any:
    """Sign in with an API token."""
    if request.method != "POST":
        return render_template("sign_in.html")
    token = house().registry.tokens.verify(request.form.get("token", "").strip())
    if token is None:
        page = render_template("sign_in.html", problem="This token is not known, or has expired.")
        return make_response(page, UNAUTHENTICATED.status)
    response = make_response(redirect(url_for("dashboard.home"), HTTPStatus.SEE_OTHER))
    session.begin(response, token)
    return response


@blueprint.get("/api")
def api() -> str:
    """The API's document, for people; like it, for everybody, and so made once."""
    if _API_PAGE not in current_app.extensions:
        current_app.extensions[_API_PAGE] = render_template(
            "api.html", document=openapi.of_app(), problems=openapi.problems()
        )
    page: str = current_app.extensions[_API_PAGE]
    return page


@blueprint.post("/sign-out")
def sign_out() -> Any:
    """Sign out of this browser."""
    response = make_response(redirect(url_for("dashboard.sign_in"), HTTPStatus.SEE_OTHER))
    session.end(response)
    return response


@blueprint.get("/")
def home() -> str:
    """The namespaces that the token may see."""
    found = house().registry.namespaces.list(g.token.account_id)
    mine = [item for item in found if g.token.namespace in {None, item.name}]
    return render_template("home.html", namespaces=mine, said=_said_of_namespace)


@blueprint.get("/namespaces/<namespace>")
def workers(namespace: str) -> str:
    """A page of a namespace's workers."""
    found = namespace_of(g.token.account_id, namespace)
    tag = request.args.get("tag", "").strip()
    page = house().registry.scripts.list(
        found.id,
        tags=TagFilter(have=[tag]) if tag else TagFilter(),
        limit=WORKERS_A_PAGE,
        cursor=request.args.get("cursor") or None,
    )
    views = [house().registry.scripts.get(found.id, item.name) for item in page.items]
    rows = [(view, limits.as_dict(view.version.limits)) for view in views]
    return render_template(
        "workers.html",
        namespace=found,
        said=_said_of_namespace(found),
        rows=rows,
        tag=tag,
        cursor=page.cursor,
    )


@blueprint.get("/namespaces/<namespace>/workers/<script>")
def worker(namespace: str, script: str) -> str:
    """A worker: what it is bound to, and its last invocations."""
    view = script_of(g.token.account_id, namespace, script)
    return _worker_page(view, problem=None)


@blueprint.post("/namespaces/<namespace>/workers/<script>/delete")
def delete_worker(namespace: str, script: str) -> Any:
    """Delete it; where others are bound to it, only if the form says so."""
    view = script_of(g.token.account_id, namespace, script)
    found = namespace_of(g.token.account_id, namespace)
    try:
        with translated(SCRIPT_NOT_FOUND, STILL_REFERENCED):
            force = request.form.get("force") == "yes"
            house().registry.scripts.delete(found.id, script, force=force)
    except Refused as exc:
        return _worker_page(view, problem=str(exc)), exc.problem.status
    logs.forget(namespace, script)
    return redirect(url_for("dashboard.workers", namespace=namespace), HTTPStatus.SEE_OTHER)


@blueprint.errorhandler(Refused)
def refused(exc: Refused) -> Any:
    """A refusal as a page."""
    return _problem_page(exc.problem.status, str(exc))


@blueprint.errorhandler(CloisterError)
def failed(exc: CloisterError) -> Any:
    """An error of the ground floor as a page: a bad cursor, a service that is down."""
    statuses = {NotReady: HTTPStatus.SERVICE_UNAVAILABLE, NotFound: HTTPStatus.NOT_FOUND}
    return _problem_page(statuses.get(type(exc), HTTPStatus.BAD_REQUEST), str(exc))


@blueprint.errorhandler(Exception)
def unexpected(exc: Exception) -> Any:
    """Anything else as a page; what it was is in the log only."""
    if isinstance(exc, HTTPException):
        return _problem_page(exc.code or HTTPStatus.BAD_REQUEST, exc.name)
    log.error("the page failed", exc_info=exc)
    return _problem_page(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error; see the log.")


def _problem_page(status: int, message: str) -> tuple[str, int]:
    return render_template("problem.html", message=message, request_id=g.request_id), status


def _worker_page(view: ScriptView, problem: str | None) -> str:
    return render_template(
        "worker.html",
        worker=view,
        limits=limits.as_dict(view.version.limits),
        hostnames=house().registry.hostnames.list(
            g.token.account_id, namespace=view.namespace, script=view.name, limit=HOSTNAMES
        ),
        bindings=[_binding(item) for item in bindings.visible(view.version.bindings)],
        live=_live(view),
        invocations=_invocations(view),
        problem=problem,
    )


def _live(view: ScriptView) -> list[tuple[VersionView, str]]:
    """The versions that are live, the newest first, and how much of the traffic each has."""
    namespace = namespace_of(g.token.account_id, view.namespace)
    active = house().registry.deployments.list(namespace.id, view.name)[0]
    found = {version.id: version for version in house().registry.versions.list(view.id)}
    return [
        (found[share.version_id], f"{share.percentage:g} %")
        for share in active.versions
        if share.version_id in found
    ]


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


def _said_of_namespace(found: NamespaceView) -> list[str]:
    """What bounds a namespace, in words."""
    said = [f"{name} {number}" for name, number in limits.as_dict(found.limits).items()]
    if found.language != RESTRICTED:
        said.append(f"{found.language} language")
    if found.fresh_isolates:
        said.append("fresh isolates")
    if found.trusted:
        said.append("trusted")
    if found.outbound is not None:
        said.append(f"fetch through {found.outbound.namespace}/{found.outbound.script}")
    if found.egress_allow:
        said.append(f"{len(found.egress_allow)} hosts allowed")
    if found.egress_deny:
        said.append(f"{len(found.egress_deny)} hosts denied")
    return said
