"""Links to one version of a worker, live or not, for whoever is given them."""

import time
from typing import Annotated
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, Response

from cloister import addresses
from cloister.previews import PARAMETER, Grant, seal
from cloister.settings import Settings
from control import bodies, envelope
from control.errors import VALIDATION_FAILED, Refused
from control.house import house
from control.operation import JSON, operation
from control.paths import script_of, version_of
from control.versions import VERSION, preview_host

blueprint = Blueprint("previews", __name__)

SHORTEST_S = 60
LONGEST_S = 7 * 24 * 60 * 60
USUAL_S = 60 * 60


class NewPreview(msgspec.Struct, frozen=True, kw_only=True):
    """How long a link is to last."""

    expires_in_s: Annotated[int, msgspec.Meta(ge=SHORTEST_S, le=LONGEST_S)] = USUAL_S


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """A link, and what it is made of. Whoever has it sees the version."""

    url: str
    host: str
    token: str
    expires_on: envelope.Time


@blueprint.post(f"{VERSION}/preview")
@operation(Preview, takes={JSON: NewPreview})
def post(account_id: str, namespace: str, script: str, version_id: str) -> Response:
    """Make a link. The body may be missing: then it lasts for an hour."""
    view = script_of(account_id, namespace, script)
    version = version_of(view, version_id)
    data = bodies.whole(bodies.JSON_BYTES)
    said = bodies.converted(bodies.decode_json(data), NewPreview) if data else NewPreview()
    host = preview_host(version, view.namespace, script)
    if host is None:
        raise Refused(
            VALIDATION_FAILED,
            "This Worker has no previews: it is in no namespace, or its name is too long for one "
            "label of a host name together with a version's.",
        )
    grant = Grant(version.id, int(time.time()) + said.expires_in_s)
    token = seal(house().cipher, host, grant)
    preview = Preview(
        url=f"{_origin(house().settings, host)}/?{urlencode({PARAMETER: token})}",
        host=host,
        token=token,
        expires_on=envelope.timestamp(grant.expires_at * 1000),
    )
    return envelope.success(preview)


def _origin(settings: Settings, host: str) -> str:
    """How browsers reach the dispatcher: on this machine itself, else behind what speaks TLS."""
    if host.endswith(".localhost"):
        return f"http://{host}:{addresses.split(settings.dispatch_bind)[1]}"
    return f"https://{host}"
