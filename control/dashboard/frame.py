"""What all pages have in common: who gets in, and what a refusal looks like."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException

from cloister.errors import CloisterError, NotFound, NotReady
from control import auth, envelope
from control.dashboard import session
from control.errors import FORBIDDEN, LENGTH_REQUIRED, Refused
from control.request_id import log

View = TypeVar("View", bound=Callable[..., Any])

blueprint = Blueprint("dashboard", __name__, template_folder="pages")

FORM_BYTES = 64 * 1024

_PUBLIC = frozenset({"dashboard.sign_in", "dashboard.style", "dashboard.icon", "dashboard.api"})
_OF_ACCOUNT: set[str] = set()


def of_account(view: View) -> View:
    """Mark a view of what is in no namespace: a token restricted to one does not see it."""
    _OF_ACCOUNT.add(f"dashboard.{view.__name__}")
    return view


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
        any_namespace=namespace is None and request.endpoint not in _OF_ACCOUNT,
    ):
        raise Refused(FORBIDDEN, "Your API token does not allow this.")
    return None


@blueprint.app_template_filter("moment")
def moment(epoch_ms: int) -> str:
    """A time for people, UTC to the second."""
    return envelope.timestamp(epoch_ms).replace("T", " ")[:19]


@blueprint.app_template_filter("size")
def size(count: int) -> str:
    """Bytes for people."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


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
