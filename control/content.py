"""The code of a worker: downloaded as uploaded, or replaced alone."""

import secrets

import msgspec
from flask import Blueprint, Response, request

from cloister.bundles import decode_sources
from cloister.messages import Source
from cloister.registry import VersionView
from control import deploy, envelope, fields
from control.errors import INTERNAL, SCRIPT_NOT_FOUND, Refused, translated
from control.house import house
from control.operation import ANY, FORM, operation
from control.paths import SCRIPT, namespace_of, script_of, version_of
from control.request_id import log
from control.scripts import Script, shape

blueprint = Blueprint("content", __name__)

CONTENT = f"{SCRIPT}/content"


@blueprint.get(CONTENT)
@operation(gives={ANY: msgspec.Raw}, statuses=(200, 304), query={"version": fields.Text()})
def get(account_id: str, namespace: str, script: str, version: str | None) -> Response:
    """The modules: a single one raw, several as multipart/form-data. Of the live version, or of
    another one that is kept."""
    view = script_of(account_id, namespace, script)
    return answer(view.version if version is None else version_of(view, version))


def answer(version: VersionView) -> Response:
    """The modules of a version, unless the client has them."""
    if not version.main_module:
        raise Refused(SCRIPT_NOT_FOUND, "This Worker has no code, only assets.")
    if version.digest in request.if_none_match:
        response = Response(status=304)
    else:
        response = _body(_sources(version.digest))
        response.headers["CF-Entrypoint"] = version.main_module
    response.set_etag(version.digest)
    return response


@blueprint.put(CONTENT)
@operation(Script, takes={FORM: deploy.UploadForm})
def put(account_id: str, namespace: str, script: str) -> Response:
    """Replace the code; bindings, limits and settings stay."""
    found = namespace_of(account_id, namespace)
    script_of(account_id, namespace, script)  # before the upload is read
    live = house().registry.scripts.uploaded(found.id, script)
    had = live.bindings if live else []
    code = deploy.compiled(deploy.receive(), had, found.language)
    with translated(SCRIPT_NOT_FOUND):
        view = house().registry.scripts.revise(found.id, script, code.into)
    return envelope.success(shape(view), messages=code.warnings)


def _sources(digest: str) -> list[Source]:
    data = house().blobs.get(f"source/{digest}")
    if data is None:
        log.error("the blob source/%s is missing", digest)
        raise Refused(INTERNAL, "The code of this Worker is missing from the object store.")
    return decode_sources(data)


def _body(sources: list[Source]) -> Response:
    if len(sources) == 1:
        return Response(sources[0].data, content_type=sources[0].content_type)
    boundary = secrets.token_hex(16)
    pieces: list[bytes] = []
    for source in sources:
        pieces += (_part_head(boundary, source), source.data, b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return Response(b"".join(pieces), content_type=f"multipart/form-data; boundary={boundary}")


def _part_head(boundary: str, source: Source) -> bytes:
    name = source.name.replace('"', "%22")
    return (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
        f"Content-Type: {source.content_type}\r\n\r\n"
    ).encode()
