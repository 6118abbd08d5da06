"""D1 over REST: a database as SQL, out and in.

Files go by addresses that are signed for one database and one hour, and need no token.
"""

import base64
import binascii
import hashlib
import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Response, request

from cloister.databases import (
    Export,
    Exported,
    Failed,
    Import,
    Imported,
    Poll,
    Task,
    export_key,
    import_key,
)
from cloister.errors import NotReady
from control import bodies, envelope
from control.d1 import ONE, QueryMeta, meta, mine
from control.databases import ask
from control.errors import D1_FILE_INVALID, D1_FILE_MISSING, D1_MALFORMED, Refused
from control.house import house
from control.operation import ANY, operation
from control.paths import API

blueprint = Blueprint("d1_transfer", __name__)
files = Blueprint("d1_files", __name__)

FILE_BYTES = 5 * 1024**3
LIFE_S = 3600
TOKEN_CHARACTERS = 400

Direction = Literal["export", "import"]
MD5 = "^[0-9a-f]{32}$"


class DumpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What of a database; all of it where nothing is said."""

    tables: list[str] = []
    no_data: bool = False
    no_schema: bool = False
    compatibility: Literal["d1"] | None = None


class NewExport(msgspec.Struct, frozen=True, kw_only=True):
    """An export to begin, or with ``current_bookmark`` the one that is under way."""

    output_format: Literal["polling"]
    current_bookmark: str | None = None
    dump_options: DumpOptions = DumpOptions()


class ExportedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of SQL, and where it can be had for an hour."""

    filename: str
    signed_url: str


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an export or import goes. ``at_bookmark`` names it, to ask again."""

    success: bool
    status: Literal["active", "complete", "error"] | None = None
    at_bookmark: str = ""
    error: str | None = None
    errors: list[str] = []


class ExportProgress(Progress, frozen=True, kw_only=True, tag="export", tag_field="type"):
    """Of an export."""

    messages: list[str]
    result: ExportedFile | None = None


class NewImport(msgspec.Struct, frozen=True, kw_only=True):
    """``init`` asks where to send the file with this MD5, ``ingest`` runs what was sent there,
    ``poll`` asks how that goes."""

    action: Literal["init", "ingest", "poll"]
    etag: Annotated[str, msgspec.Meta(pattern=MD5)] | None = None
    filename: str | None = None
    current_bookmark: str | None = None


class ImportedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What an import has done."""

    num_queries: int
    final_bookmark: str
    meta: QueryMeta


class ImportProgress(Progress, frozen=True, kw_only=True, tag="import", tag_field="type"):
    """Of an import; after ``init``, where the file is to be sent."""

    messages: list[str]
    filename: str = ""
    upload_url: str = ""
    result: ImportedFile | None = None


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """What an address allows, until (epoch seconds) it does not: the file of this name."""

    name: str
    expires_at: int


@blueprint.post(f"{ONE}/export")
@operation(ExportProgress, body=bodies.Json(NewExport))
def export(account_id: str, database_id: str, body: bodies.Body[NewExport]) -> Response:
    """Write the database as SQL; asked again until it is done."""
    id_, wanted = mine(account_id, database_id).id, body()
    options = wanted.dump_options
    question: Poll | Export = Export(
        key=export_key(id_),
        tables=options.tables,
        no_schema=options.no_schema,
        no_data=options.no_data,
    )
    if wanted.current_bookmark:
        question = Poll(task=wanted.current_bookmark)
    task = ask(account_id, id_, question, Task)
    result = None
    if isinstance(task.outcome, Exported):
        result = ExportedFile(
            filename=f"{id_}.sql", signed_url=_address(account_id, id_, "export", export_key(id_))
        )
    return envelope.success(ExportProgress(**_progress(task), messages=[], result=result))


@blueprint.post(f"{ONE}/import")
@operation(ImportProgress, body=bodies.Json(NewImport))
def import_(account_id: str, database_id: str, body: bodies.Body[NewImport]) -> Response:
    """Run a file of SQL, in one transaction: ``init``, then the file is sent, then ``ingest``, and
    ``poll`` until it is done."""
    id_, wanted = mine(account_id, database_id).id, body()
    if wanted.action == "poll":
        return _imported(account_id, id_, Poll(task=wanted.current_bookmark or ""))
    if wanted.etag is None:
        raise Refused(D1_MALFORMED, "etag is required.", pointer="/etag")
    if wanted.action == "ingest":
        return _imported(account_id, id_, Import(key=import_key(id_), etag=wanted.etag))
    address = _address(account_id, id_, "import", wanted.etag)
    filename = f"{id_}.{wanted.etag}.sql"
    return envelope.success(
        ImportProgress(success=True, messages=[], filename=filename, upload_url=address)
    )


@files.put(f"{ONE}/import/<token>")
@operation(takes={ANY: msgspec.Raw}, gives={ANY: msgspec.Raw})
def put_file(account_id: str, database_id: str, token: str) -> Response:
    """Take the file of an import, at the address that ``init`` gave."""
    etag = _granted(account_id, database_id, "import", token)
    mine(account_id, database_id)
    house().blobs.put_stream(import_key(database_id), _verified(etag))
    answer = Response(status=200)
    answer.headers["ETag"] = f'"{etag}"'
    return answer


@files.get(f"{ONE}/export/<token>")
@operation(gives={ANY: msgspec.Raw})
def get_file(account_id: str, database_id: str, token: str) -> Response:
    """The file of the latest export, at the address that it gave."""
    key = _granted(account_id, database_id, "export", token)
    mine(account_id, database_id)
    size = house().blobs.size(key)
    pieces = house().blobs.stream(key, 0, size) if size else None
    if size is None or pieces is None:
        raise Refused(D1_FILE_MISSING)
    answer = Response(pieces, mimetype="application/sql")
    answer.headers["Content-Length"] = str(size)
    return answer


def _imported(account_id: str, database_id: str, question: Import | Poll) -> Response:
    task = ask(account_id, database_id, question, Task)
    done, result, messages = task.outcome, None, []
    if isinstance(done, Imported):
        messages = [f"Processed {done.queries} queries."]
        result = ImportedFile(
            num_queries=done.queries, final_bookmark=done.bookmark, meta=meta(done.meta)
        )
    return envelope.success(ImportProgress(**_progress(task), messages=messages, result=result))


def _progress(task: Task) -> dict[str, Any]:
    """What is told of both."""
    if isinstance(task.outcome, Failed):
        said = task.outcome.message
        told = {"success": False, "status": "error", "error": said, "errors": [said]}
    else:
        told = {"success": True, "status": "complete" if task.outcome else "active"}
    return {**told, "at_bookmark": task.id}


def _verified(etag: str) -> Iterator[bytes]:
    """The body, of which nothing is kept if it is not what was announced."""
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in bodies.chunks(FILE_BYTES, D1_FILE_INVALID):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != etag:
        raise Refused(D1_FILE_INVALID, "The file is not the one announced: its MD5 differs.")


# Addresses:


def _address(account_id: str, database_id: str, direction: Direction, name: str) -> str:
    grant = msgspec.msgpack.encode(Grant(name, int(time.time()) + LIFE_S))
    sealed = house().cipher.seal(grant, about=_about(account_id, database_id, direction))
    token = base64.urlsafe_b64encode(sealed).decode().rstrip("=")
    # A proxy's word is enough here: whoever lies with it gets a wrong address, and nobody else.
    secure = request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
    path = f"/accounts/{account_id}/d1/database/{database_id}/{direction}/{token}"
    return f"{'https' if secure else 'http'}://{request.host}{API}{path}"


def _granted(account_id: str, database_id: str, direction: Direction, token: str) -> str:
    """What the address is for. Raises :class:`Refused`."""
    about = _about(account_id, database_id, direction)
    try:
        padded = token[:TOKEN_CHARACTERS] + "=" * (-len(token) % 4)
        sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
        grant = msgspec.msgpack.decode(house().cipher.open(sealed, about=about), type=Grant)
    except (NotReady, binascii.Error, ValueError, msgspec.MsgspecError) as exc:
        raise Refused(D1_FILE_MISSING) from exc
    if grant.expires_at <= time.time():
        raise Refused(D1_FILE_MISSING, "This address has expired.")
    return grant.name


def _about(account_id: str, database_id: str, direction: Direction) -> str:
    return f"{direction} of {database_id} of {account_id}"
