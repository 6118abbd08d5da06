"""Whether a certificate may be had for a name: asked by a proxy that gets them on demand, for every
name that strangers connect with. Needs no token, and says what a TLS handshake would show.
"""

from flask import Blueprint, Response, request

from cloister.errors import Invalid, NotReady
from cloister.registry.hostname_names import is_ours, may_be_hostname
from control.house import house

blueprint = Blueprint("ask", __name__)

PATH = "/tls/ask"


@blueprint.get(PATH)
def ask() -> Response:
    """200 for an active hostname and for a name of a worker that there is, else 404.

    Names that a hostname has along by ``ssl.wildcard`` are not among them: anybody could have any
    number of certificates made. They need one with a wildcard.
    """
    if not house().asked.take():
        return Response("Too many questions.\n", 429, mimetype="text/plain")
    name = request.args.get("domain", "").lower().removesuffix(".")
    try:
        known = _is_known(name)
    except Invalid:
        known = False
    except NotReady:
        return Response("The registry does not answer.\n", 503, mimetype="text/plain")
    return Response("yes\n" if known else "no\n", 200 if known else 404, mimetype="text/plain")


def _is_known(name: str) -> bool:
    settings, registry = house().settings, house().registry
    if may_be_hostname(name, settings.domain):
        return registry.hostnames.resolve(name) is not None
    own = settings.domain.lower().strip(".")
    if not is_ours(name, own):
        return False
    if name == own:
        return True
    worker, _, namespace = name.removesuffix(f".{own}").partition(".")
    return registry.resolve(namespace or settings.default_namespace, worker) is not None
