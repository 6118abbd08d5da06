"""Pages: sign in, namespaces, the workers of one, the API's document."""

from http import HTTPStatus
from typing import Any

from flask import (
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

from cloister.languages import RESTRICTED
from cloister.registry import NamespaceView, TagFilter
from control import openapi
from control.dashboard import account, session, worker
from control.dashboard.frame import blueprint
from control.errors import UNAUTHENTICATED
from control.house import house
from control.paths import PLAIN, namespace_of
from control.rules import limits

__all__ = ["account", "blueprint", "worker"]

WORKERS_A_PAGE = 50

_API_PAGE = "cloister.api_page"


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
@blueprint.get("/workers", defaults={"namespace": PLAIN})
def workers(namespace: str) -> str:
    """A page of a namespace's workers, or of those that are in none."""
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
        namespace=namespace,
        said=_said_of_namespace(found) if namespace else [],
        rows=rows,
        tag=tag,
        cursor=page.cursor,
    )


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
