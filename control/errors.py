"""Every refusal of the API: one table of code, HTTP status and words, and the way to a response.

Views raise :class:`Refused`. Codes are the product's (reference section 6.4; the KV product numbers
its errors on its own, so that one number may stand for two things).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import NamedTuple

import redis
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from cloister import uploads
from cloister.errors import Conflict, Invalid, NotFound, NotReady
from control import envelope
from control.request_id import log


class Problem(NamedTuple):
    """A kind of refusal: its code, its HTTP status, and the words when the raiser has none."""

    code: int
    status: int
    message: str


UNAUTHENTICATED = Problem(10000, 401, "Authentication error")
FORBIDDEN = Problem(10000, 403, "Authentication error")
WRONG_CONTENT_TYPE = Problem(10001, 415, "The Content-Type is not accepted here.")
INTERNAL = Problem(10002, 500, "Internal error. The request id finds it in the log.")
MISSING_PARAMETER = Problem(10003, 400, "A required parameter is missing.")
MALFORMED_PARAMETER = Problem(10004, 400, "A parameter is malformed.")
BAD_UPLOAD = Problem(10006, 400, "The upload could not be parsed.")
SCRIPT_NOT_FOUND = Problem(10007, 404, "This Worker does not exist on your account.")
SCRIPT_NOT_IN_NAMESPACE = Problem(10092, 404, "The namespace has no such Worker.")
NO_ADDRESS = Problem(
    10015,
    403,
    "A Worker outside of namespaces has no address of its own here: set workers_dev = false and "
    "preview_urls = false.",
)
TAIL_NOT_FOUND = Problem(10058, 404, "There is no such tail, or it has expired.")
NO_WEBSOCKET = Problem(10004, 400, "Connect with a WebSocket of the protocol trace-v1.")
TOO_MANY_CRONS = Problem(10072, 400, "A Worker has at most 250 cron triggers.")
TAIL_CONSUMER_NOT_FOUND = Problem(10105, 400, "There is no such Worker to get these records.")
TAILS_ITSELF = Problem(10108, 400, "A Worker cannot be its own tail consumer.")
BAD_SCRIPT_NAME = Problem(
    10016,
    400,
    "A Worker's name begins with a lower-case letter, has only lower-case letters, digits and "
    "dashes, does not end in a dash, and is at most 63 characters long.",
)
VALIDATION_FAILED = Problem(10021, 400, "The script could not be validated.")
BAD_BODY = Problem(10026, 400, "The body could not be parsed as JSON.")
SCRIPT_TOO_LARGE = Problem(10027, 400, "The script exceeds the size limit of 64 MiB.")
BODY_TOO_LARGE = Problem(10027, 413, "The body is larger than this request allows.")
NAME_TAKEN = Problem(10040, 409, "This name is taken.")
KV_NOT_FOUND_FOR_BINDING = Problem(10041, 404, "This KV namespace does not exist.")
KV_ID_INVALID_FOR_BINDING = Problem(10042, 400, "This KV namespace id is not valid.")
BINDING_WITHOUT_NAME = Problem(10052, 400, "A binding has no name.")
BINDING_TWICE = Problem(10053, 400, "Two bindings have the same name.")
TEXT_TOO_LARGE = Problem(10054, 400, "A text binding is larger than 5 KB.")
TOO_MANY_VARIABLES = Problem(10055, 400, "A Worker has at most 128 variables and secrets.")
NO_HANDLERS = Problem(10068, 400, uploads.NO_HANDLERS)
BINDING_NOT_FOUND = Problem(10056, 404, "This binding does not exist.")
OBJECTS_NOT_FOUND = Problem(10061, 400, "There is no such class of Durable Objects.")
CLASS_NOT_EXPORTED = Problem(10070, 400, "A class of Durable Objects is not exported.")
VERSION_NOT_FOUND = Problem(10071, 404, "This version of the Worker does not exist.")
MIGRATION_INVALID = Problem(10074, 400, "The migration does not fit the classes that there are.")
MIGRATION_TAG = Problem(10079, 412, "The tag of the last migration is another one.")
BINDING_NAME_TOO_LONG = Problem(10100, 400, "A binding's name is too long.")
STILL_REFERENCED = Problem(10142, 400, "Something else still refers to this.")
SERVICE_NOT_FOUND = Problem(10143, 400, "The target of a service binding does not exist.")
SERVICE_ENVIRONMENT_NOT_FOUND = Problem(10144, 400, "A Worker has one environment here.")
SERVICE_ENTRYPOINT_NOT_FOUND = Problem(10145, 400, "That Worker has no such entrypoint.")
SETTINGS_PART_MISSING = Problem(10201, 400, "The upload has no part named settings.")
LIMIT_TOO_HIGH = Problem(10206, 400, "A limit is above what this platform allows.")
DEPLOYMENT_INVALID = Problem(10210, 400, "These versions cannot be deployed so.")
VERSION_WITH_MIGRATION = Problem(
    10211, 400, "Migrations come with an upload that becomes live at once, not with a version."
)
NOT_FULLY_DEPLOYED = Problem(10215, 400, "Two versions of this Worker are deployed.")
SECRETS_CHANGED = Problem(10220, 400, "Secrets have changed since that version was made.")
NOTHING_BEFORE = Problem(10222, 400, "There is no version to go back to.")
ASSETS_OVER_QUOTA = Problem(10027, 400, "More static assets than this platform allows.")
ASSETS_MISSING = Problem(10301, 400, "Files of these assets have not been uploaded yet.")
MANIFEST_INVALID = Problem(10304, 400, "The manifest of assets is not valid.")
ASSETS_BINDING_ALONE = Problem(10305, 400, "A binding to assets needs assets: the Worker has none.")
DEPLOYMENT_NOT_FOUND = Problem(10336, 404, "This deployment does not exist.")
DEPLOYMENT_ACTIVE = Problem(10338, 400, "The active deployment cannot be deleted.")
MANIFEST_MISSING = Problem(
    10343, 400, "assets.jwt must be the completion token of an upload session of this Worker."
)
TAG_TOO_LARGE = Problem(100102, 400, "A tag is longer than 255 characters.")
TOO_MANY_TAGS = Problem(100103, 400, "A Worker has at most 8 tags.")
NAMESPACE_NOT_FOUND = Problem(100119, 404, "This dispatch namespace does not exist.")
DATASET_NAME_INVALID = Problem(100144, 400, "The name of an analytics dataset is not valid.")
REDIRECTS_INVALID = Problem(100324, 400, "Invalid _redirects configuration.")
BAD_BINDING_TYPE = Problem(100153, 400, "A binding has an unknown type.")

ZONE_NOT_FOUND = Problem(1001, 404, "The zone does not exist.")
METADATA_TOO_LARGE = Problem(1401, 400, "custom_metadata has more than 4 KB as JSON.")
HOSTNAME_QUOTA = Problem(1405, 403, "Quota exceeded.")
HOSTNAME_TAKEN = Problem(1406, 409, "Another account has this hostname.")
HOSTNAME_DUPLICATE = Problem(1406, 409, "Duplicate custom hostname found.")
HOSTNAME_INVALID = Problem(1407, 400, "This cannot be a custom hostname.")
ORIGIN_INVALID = Problem(1415, 400, "This cannot be an origin: it is no Worker's name.")
ORIGIN_NOT_FOUND = Problem(1421, 400, "The origin does not exist: there is no such Worker.")
HOSTNAME_NOT_FOUND = Problem(1436, 404, "The custom hostname was not found.")
FILTER_BESIDE_ID = Problem(1438, 400, "No other filter may stand beside id.")
NO_FALLBACK = Problem(1551, 404, "There is no fallback origin.")

KV_KEY_NOT_FOUND = Problem(10009, 404, "get: 'key not found'")
KV_NAMESPACE_NOT_FOUND = Problem(10013, 404, "list keys: 'namespace not found'")
KV_TITLE_TAKEN = Problem(10014, 400, "A namespace with this account ID and title already exists.")
KV_VALUE_TOO_LARGE = Problem(10027, 413, "The value is larger than 25 MiB.")

STORE_NOT_FOUND = Problem(1001, 404, "The store or secret does not exist.")
STORE_NAME_TAKEN = Problem(1004, 409, "The name is taken, or the account has too many.")

R2_BUCKET_EXISTS = Problem(10004, 409, "The bucket you tried to create already exists.")
R2_BUCKET_NAME = Problem(
    10005, 400, "A bucket's name has 3 to 63 lower-case letters, digits and dashes."
)
R2_BUCKET_NOT_FOUND = Problem(10006, 404, "The specified bucket does not exist.")
R2_KEY_NOT_FOUND = Problem(10007, 404, "The specified key does not exist.")
R2_BUCKET_NOT_EMPTY = Problem(10008, 409, "The bucket you tried to delete is not empty.")
R2_BUCKET_NOT_FOUND_FOR_BINDING = Problem(10085, 400, "This R2 bucket does not exist.")
R2_NO_CORS = Problem(10059, 404, "The CORS configuration does not exist.")
R2_OBJECT_TOO_LARGE = Problem(100100, 413, "The object is larger than 300 MiB.")

QUEUE_NOT_FOUND = Problem(11000, 404, "The queue does not exist.")
CONSUMER_NOT_FOUND = Problem(11000, 404, "The queue has no such consumer.")
CONSUMER_WITHOUT_HANDLER = Problem(11001, 400, "The Worker has no queue() handler.")
QUEUE_NAME_INVALID = Problem(
    11003,
    400,
    "A queue's name has 1 to 63 lower-case letters, digits and dashes, no dash at either end.",
)
QUEUE_HAS_CONSUMER = Problem(11004, 409, "The queue already has a consumer.")
QUEUE_IN_USE = Problem(11005, 409, "The queue is still in use.")
QUEUE_LIMIT = Problem(11008, 403, "A limit of queues is reached.")
QUEUE_EXISTS = Problem(11009, 409, "A queue of this name exists.")
CONSUMER_INVALID = Problem(100127, 400, "The consumer's settings are invalid.")
QUEUE_INVALID = Problem(100128, 400, "The queue's settings are invalid.")

D1_MALFORMED = Problem(7400, 400, "The query cannot be asked.")
D1_NOT_FOUND = Problem(7404, 404, "The database could not be found.")
D1_TOO_MANY = Problem(7406, 400, "The account has too many databases.")
D1_OVERLOADED = Problem(7429, 429, "D1 DB is overloaded. Too many requests queued.")
D1_FAILED = Problem(7500, 400, "The query failed.")
D1_NAME_TAKEN = Problem(7502, 400, "A database with that name already exists.")
D1_FILE_MISSING = Problem(7404, 404, "There is no such file, or its address has expired.")
D1_FILE_INVALID = Problem(7400, 400, "The file is larger than 5 GiB.")

TOKEN_NOT_FOUND = Problem(1001, 404, "The account has no such token.")
METHOD_UNKNOWN = Problem(7001, 405, "This method is not available for that URI.")
ROUTE_UNKNOWN = Problem(7003, 404, "Could not route to that path: no such route or identifier.")
UNAVAILABLE = Problem(10013, 503, "A service that this needs does not answer. Try again.")
LENGTH_REQUIRED = Problem(10006, 411, "A form must come with its length.")
BODY_TOO_SLOW = Problem(10006, 408, "The body did not come in time, or not to its end.")
TOO_MANY_REQUESTS = Problem(971, 429, "Please wait: this token has made too many requests.")
TOO_MANY_UPLOADS = Problem(10429, 429, "Too many large uploads at once. Try again in a moment.")
TOO_MANY_STREAMS = Problem(10429, 429, "Too many open streams. Close one and try again.")

TABLE: dict[int, Problem] = {
    problem.code: problem
    for problem in (
        MALFORMED_PARAMETER,
        SCRIPT_NOT_FOUND,
        BAD_SCRIPT_NAME,
        VALIDATION_FAILED,
        NAME_TAKEN,
        KV_NOT_FOUND_FOR_BINDING,
        BINDING_TWICE,
        BINDING_NOT_FOUND,
        OBJECTS_NOT_FOUND,
        CLASS_NOT_EXPORTED,
        MIGRATION_INVALID,
        MIGRATION_TAG,
        STILL_REFERENCED,
        SERVICE_NOT_FOUND,
        LIMIT_TOO_HIGH,
        VERSION_NOT_FOUND,
        DEPLOYMENT_INVALID,
        NOT_FULLY_DEPLOYED,
        SECRETS_CHANGED,
        TAG_TOO_LARGE,
        TOO_MANY_TAGS,
        NAMESPACE_NOT_FOUND,
        HOSTNAME_INVALID,
        HOSTNAME_QUOTA,
    )
}
"""What the ground floor's :class:`Invalid` may carry as its code."""


class Refused(Exception):
    """The request is refused; ``faults`` is what the envelope lists."""

    def __init__(
        self,
        problem: Problem,
        message: str | None = None,
        *,
        pointer: str | None = None,
        faults: list[envelope.Fault] | None = None,
    ) -> None:
        self.problem = problem
        self.faults = faults or [envelope.Fault(problem.code, message or problem.message, pointer)]
        super().__init__(self.faults[0].message)

    def response(self) -> Response:
        """The enveloped answer."""
        return envelope.failure(self.problem.status, self.faults)


@contextmanager
def translated(missing: Problem, taken: Problem = NAME_TAKEN) -> Iterator[None]:
    """Turn the registry's "not found" and "conflict" into these refusals."""
    try:
        yield
    except NotFound as exc:
        raise Refused(missing, str(exc)) from exc
    except Conflict as exc:
        raise Refused(taken, str(exc)) from exc


def install(app: Flask) -> None:
    """Answer every error of the application in the envelope; HTML and tracebacks never leave."""
    app.register_error_handler(Refused, Refused.response)
    app.register_error_handler(Invalid, _invalid)
    app.register_error_handler(NotFound, lambda exc: Refused(ROUTE_UNKNOWN, str(exc)).response())
    app.register_error_handler(Conflict, lambda exc: Refused(NAME_TAKEN, str(exc)).response())
    app.register_error_handler(NotReady, lambda exc: Refused(UNAVAILABLE, str(exc)).response())
    app.register_error_handler(redis.RedisError, _unreachable)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _invalid(exc: Invalid) -> Response:
    problem = TABLE.get(exc.code, MALFORMED_PARAMETER)
    fault = envelope.Fault(exc.code, str(exc), exc.pointer)
    return Refused(problem, faults=[fault]).response()


def _unreachable(exc: redis.RedisError) -> Response:
    log.error("Valkey cannot be reached", exc_info=exc)
    return Refused(UNAVAILABLE).response()


def _http(exc: HTTPException) -> Response:
    if exc.code == HTTPStatus.NOT_FOUND:
        return Refused(ROUTE_UNKNOWN).response()
    if exc.code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer = Refused(
            METHOD_UNKNOWN, f"Method {request.method} not available for that URI."
        ).response()
        answer.headers["Allow"] = dict(exc.get_headers()).get("Allow", "")
        return answer
    if exc.code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Refused(BODY_TOO_LARGE).response()
    status = exc.code or 500
    problem = Problem(MALFORMED_PARAMETER.code if status < 500 else INTERNAL.code, status, exc.name)
    return Refused(problem).response()


def _unexpected(exc: Exception) -> Response:
    log.error("the request failed", exc_info=exc)
    return Refused(INTERNAL).response()
