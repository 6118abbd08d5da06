"""Static assets: a session for a manifest, and the files that it lacks.

The first is asked for with an API token, the second with the session's own, which is all that the
machine that uploads needs to have.
"""

import base64
import binascii
import re

import msgspec
from flask import Blueprint, Response, request

from cloister.assets import FILE_BYTES, Stored
from cloister.assets.types import guessed
from cloister.errors import NotFound
from cloister.registry.assets import Session
from control import asset_tokens, bodies, envelope, fields, sites, upload
from control.auth import bearer
from control.errors import (
    MALFORMED_PARAMETER,
    MANIFEST_INVALID,
    NAMESPACE_NOT_FOUND,
    UNAUTHENTICATED,
    Refused,
    translated,
)
from control.house import house
from control.operation import FORM, operation
from control.paths import ACCOUNT, SCRIPT, namespace_of
from control.rules import assets, names

blueprint = Blueprint("assets", __name__)
uploads = Blueprint("asset_uploads", __name__)
"""Apart, as no API token is wanted there."""

MANIFEST_BYTES = 24 * 1024 * 1024
"""Largest manifest as JSON."""

BUCKET_BYTES = 16 * 1024 * 1024
BUCKET_FILES = 500
"""What is to be sent at once, but for a larger file, which is sent alone."""

UPLOAD_BYTES = 72 * 1024 * 1024
"""Largest upload: 50 MiB as base64, and the heads of its parts."""

NO_TYPE = "application/null"
"""What says that a file is to be served without a type."""

_TYPE = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,254}")


class ManifestSaid(msgspec.Struct, frozen=True):
    """The files that a version is to have, by path."""

    manifest: dict[str, assets.FileSaid]


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A session. ``jwt`` is for the upload of each bucket, or if there is none for the deploy."""

    jwt: str
    buckets: list[list[str]]


class Uploaded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """With the last file, the token for the deploy."""

    jwt: str | None = None


class Files(msgspec.Struct, frozen=True):
    """A part for each file: named by its hash, its content in base64, with the type to serve."""


@blueprint.post(f"{SCRIPT}/assets-upload-session")
@operation(Opened, body=bodies.Json(ManifestSaid, MANIFEST_BYTES))
def open_session(
    account_id: str, namespace: str, script: str, body: bodies.Body[ManifestSaid]
) -> Response:
    """Say which files a version is to have, and learn which of them to upload."""
    names.script_name(script)
    found = namespace_of(account_id, namespace)
    wanted = assets.manifest(body().manifest)
    sites.check_quotas(found, script, sites.usage_of(file.size for file in wanted))
    with translated(NAMESPACE_NOT_FOUND):
        session = house().registry.assets.open(
            found.id, script, wanted, sites.known(found.id, script)
        )
    use: asset_tokens.Use = "upload" if session.missing else "complete"
    token = asset_tokens.issue(session.id, account_id, use)
    return envelope.success(Opened(jwt=token, buckets=_buckets(session.missing)))


@uploads.post(f"{ACCOUNT}/workers/assets/upload")
@operation(Uploaded, query={"base64": fields.Text()}, takes={FORM: Files}, statuses=(200, 201))
def receive(account_id: str, base64: str | None) -> Response:
    """Upload files of a session, with its token. The last one is answered with 201."""
    session = _session(account_id)
    if base64 != "true":
        raise Refused(MALFORMED_PARAMETER, "base64 must be true.", pointer="/base64")
    parts = upload.receive(UPLOAD_BYTES)
    stored = sites.keep((part.name, _prepared(part, session)) for part in parts)
    with translated(UNAUTHENTICATED):
        is_complete = house().registry.assets.add(session, stored)
    if not is_complete:
        return envelope.success(Uploaded())
    token = asset_tokens.issue(session.id, account_id, "complete")
    return envelope.success(Uploaded(jwt=token), status=201)


def _session(account_id: str) -> Session:
    token = bearer(request.headers.get("Authorization")) or ""
    session_id = asset_tokens.session_of(token, account_id, "upload")
    if session_id is None:
        raise Refused(UNAUTHENTICATED)
    try:
        return house().registry.assets.find(session_id)
    except NotFound as exc:
        raise Refused(UNAUTHENTICATED, str(exc)) from exc


def _prepared(part: upload.Part, session: Session) -> tuple[Stored, bytes]:
    size = session.missing.get(part.name)
    if size is None:
        raise Refused(
            MANIFEST_INVALID, f"File {part.name[:64]!r} is not one that this session lacks."
        )
    if len(part.data) > 4 * -(-FILE_BYTES // 3):
        raise Refused(MANIFEST_INVALID, f"File {part.name!r} is larger than {FILE_BYTES} bytes.")
    try:
        data = base64.b64decode(part.data, validate=True)
    except binascii.Error as exc:
        raise Refused(MANIFEST_INVALID, f"File {part.name!r} is not base64.") from exc
    if len(data) != size:
        raise Refused(
            MANIFEST_INVALID,
            f"File {part.name!r} has {len(data)} bytes; the manifest says {size}.",
        )
    return sites.prepared(data, _type(part), _guess(part.name, session))


def _type(part: upload.Part) -> str | None:
    """The type to serve: empty for none, None where the uploader says nothing of it."""
    declared = part.declared_type
    if declared is None:
        return None
    if not _TYPE.fullmatch(declared):
        raise Refused(MANIFEST_INVALID, f"The Content-Type of file {part.name!r} is not valid.")
    return "" if part.content_type == NO_TYPE else declared


def _guess(name: str, session: Session) -> str:
    return next((guessed(file.path) for file in session.files if file.hash == name), "")


def _buckets(missing: dict[str, int]) -> list[list[str]]:
    buckets: list[list[str]] = []
    left_bytes = left_files = 0
    for name, size in missing.items():
        if not left_files or size > left_bytes:
            buckets.append([])
            left_bytes, left_files = BUCKET_BYTES, BUCKET_FILES
        buckets[-1].append(name)
        left_bytes -= size
        left_files -= 1
    return buckets
