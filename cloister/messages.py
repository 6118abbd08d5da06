"""What travels between processes: frozen, versioned, msgpack, never pickle.

A dispatcher publishes a :class:`Batch` of :class:`Invocation` on the namespace's Celery queue; the
executor answers each with frames (:data:`Frame`) on the invocation's own reply list. The control
plane publishes a :class:`CompileJob` and gets one :class:`CompileAnswer`.

Fields are only ever appended, with a default, so that a message of the previous release decodes.
"""

from typing import Any

import msgspec

from cloister.databases import DatabaseAnswer
from cloister.languages import RESTRICTED, Language
from cloister.limits import Limits
from cloister.outcomes import Outcome

VERSION = 1

INLINE_BODY_BYTES = 256 * 1024
"""Bodies up to this size travel in the message; larger ones beside it, as a list of chunks."""

CHUNK_BYTES = 256 * 1024
"""Largest chunk of a streamed body."""

STREAM_WINDOW_BYTES = 4 * 1024 * 1024
"""Bytes of a response that an executor sends before the dispatcher grants more."""

DISPATCH_TASK = "cloister.dispatch"
COMPILE_TASK = "cloister.compile"
COMPILE_QUEUE = "compile"

Headers = list[tuple[str, str]]
"""Header pairs in order, repeats kept, names lower case, Latin-1 text as on the wire."""


def dispatch_queue(namespace: str) -> str:
    """The Celery queue of a dispatch namespace."""
    return f"dispatch.{namespace}"


def reply_list(process_id: str) -> str:
    """The Valkey list on which one waiting process receives its frames."""
    return f"reply:{process_id}"


def body_list(invocation_id: str) -> str:
    """The Valkey list of a large request body's chunks; an empty chunk ends it."""
    return f"body:{invocation_id}"


def executor_channel(executor_id: str) -> str:
    """The pub/sub channel of notes to one executor."""
    return f"executor:{executor_id}"


EXECUTORS_CHANNEL = "executors"
"""The pub/sub channel of notes to every executor."""

REGISTRY_CHANNEL = "registry"
"""The pub/sub channel on which the control plane says what changed."""


def log_list(namespace: str, script: str) -> str:
    """The Valkey list of a worker's last invocation records, newest first (JSON)."""
    return f"logs:{namespace}:{script}"


def tail_channel(namespace: str, script: str) -> str:
    """The pub/sub channel of a worker's invocation records, live: JSON, one record a line."""
    return f"tail:{namespace}:{script}"


class Outbound(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outbound worker of an invocation: it receives the tenant's fetch().

    ``parameters`` become attributes of the outbound worker's ``env``.
    """

    namespace: str
    script: str
    parameters: dict[str, Any] = {}
    entrypoint: str | None = None


class ObjectCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which Durable Object an invocation is for; its ``handler`` is then a method of that.

    ``arguments`` is a msgpack list, of a method that is not ``fetch``. ``chain`` are the objects
    that wait for this call, ``depth`` is how deep it is, ``hops`` how often it was sent on,
    ``rules`` the host rules, allowed and denied, of those on whose behalf it is made, and
    ``is_tail`` says that it descends from records, so that there are no tails of it.
    """

    namespace_id: str
    id: str
    name: str | None = None
    arguments: bytes = b""
    chain: list[str] = []
    depth: int = 0
    hops: int = 0
    rules: list[tuple[list[str], list[str]]] = []
    is_tail: bool = False


class Invocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request to one worker version, or one event (see ``cloister.publishing``).

    ``deadline`` is the wall clock in epoch seconds after which nobody waits. ``limits`` are the
    effective ones, complete. ``args`` is the free-form object of the dispatch call, the worker's
    ``ctx.props``; ``cf`` is set only in trusted namespaces. An ``event`` is msgpack, its shape
    given by the ``handler``, and is answered with :class:`Returned` or :class:`Failure`; with an
    empty ``reply_to`` with neither.
    """

    id: str
    namespace: str
    script: str
    version: str
    method: str
    url: str
    headers: Headers
    reply_to: str
    deadline: float
    limits: Limits
    body: bytes = b""
    body_is_streamed: bool = False
    entrypoint: str | None = None
    outbound: Outbound | None = None
    args: dict[str, Any] = {}
    cf: dict[str, Any] | None = None
    handler: str = "fetch"
    event: bytes = b""
    object: ObjectCall | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """The argument of the Celery task ``cloister.dispatch``."""

    invocations: list[Invocation]
    v: int = VERSION


class Head(msgspec.Struct, frozen=True, kw_only=True, tag="head", omit_defaults=True):
    """Status and headers; a small response is whole in this one frame (``end``)."""

    id: str
    status: int
    headers: Headers
    executor: str
    body: bytes = b""
    end: bool = False


class Chunk(msgspec.Struct, frozen=True, kw_only=True, tag="chunk"):
    """The next bytes of a streamed response."""

    id: str
    data: bytes


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    """The streamed response is complete."""

    id: str


class Failure(msgspec.Struct, frozen=True, kw_only=True, tag="error", omit_defaults=True):
    """The invocation ended without a (whole) response.

    ``message`` is for the dispatch worker's ``except`` and never reaches the client.
    """

    id: str
    outcome: Outcome
    message: str = ""


Frame = Head | Chunk | End | Failure


class Returned(msgspec.Struct, frozen=True, kw_only=True, tag="returned"):
    """An event was handled. ``value`` is msgpack; its shape is given by the handler."""

    id: str
    value: bytes


class Alive(msgspec.Struct, frozen=True, kw_only=True, tag="alive", omit_defaults=True):
    """One executor's answer to the :class:`Ask` of the same ``id``: what of it is in its hands."""

    id: str
    executor: str
    ids: list[str] = []


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag="cancel"):
    """Note to the executors: nobody waits for this invocation any more."""

    id: str


class Credit(msgspec.Struct, frozen=True, kw_only=True, tag="credit"):
    """Note to one executor: so many more bytes of this response may be sent."""

    id: str
    bytes: int


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="ask"):
    """Question to all executors: which of these invocations do you run, or keep waiting?

    Each answers at once with one :class:`Alive`, whatever it has.
    """

    id: str
    ids: list[str]
    reply_to: str


Note = Cancel | Credit | Ask


EVERY_HOSTNAME = "*"
"""In place of a hostname: any may lead elsewhere."""


class Changed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Note to every process that caches the registry.

    ``script`` None means the namespace itself: made, changed, renamed or deleted. With a
    ``hostname``, only that custom hostname is meant; the others say where it leads or led.
    """

    namespace: str
    script: str | None = None
    hostname: str | None = None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One module as uploaded."""

    name: str
    content_type: str
    data: bytes


class CompileJob(msgspec.Struct, frozen=True, kw_only=True):
    """Compile the source bundle stored as blob ``digest`` and keep the result beside it.

    The executor runs the compiler and then the top-level code in an isolate.
    """

    id: str
    digest: str
    main_module: str
    reply_to: str
    deadline: float
    v: int = VERSION
    environment: bytes = b""
    """The bindings that top-level code sees, sealed: see ``cloister.trial``."""
    language: Language = RESTRICTED


class CheckJob(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Do with these sources what an upload does, and keep nothing (``python -m executor.check``).

    ``env`` are plain values by name, ``live`` the types of live bindings by name.
    """

    main_module: str
    sources: list[Source]
    env: dict[str, Any] = {}
    live: dict[str, str] = {}
    language: Language = RESTRICTED


class Complaint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One refusal or warning of the compiler, with the tenant's own file and position."""

    message: str
    module: str = ""
    line: int = 0
    column: int = 0


class CompileAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="compiled", omit_defaults=True):
    """What came of a compile job. ``errors`` empty means that the bundle can run.

    ``handlers`` are those of the default entrypoint, ``named_handlers`` those of each other one.
    """

    id: str
    errors: list[Complaint] = []
    warnings: list[Complaint] = []
    handlers: list[str] = []
    named_handlers: dict[str, list[str]] = {}
    startup_ms: int = 0
    failure: Outcome | None = None


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line that the tenant's code wrote. ``timestamp`` is epoch milliseconds."""

    timestamp: int
    level: str
    message: list[Any]


class ExceptionLine(msgspec.Struct, frozen=True, kw_only=True):
    """An uncaught exception, with the tenant's own traceback."""

    timestamp: int
    name: str
    message: str
    stack: str = ""


class Subrequest(msgspec.Struct, frozen=True, kw_only=True):
    """One fetch() of an invocation. ``status`` 0 means that it was refused or failed."""

    method: str
    url: str
    status: int
    wall_ms: float


class Trace(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The record of one invocation (a tail item, reference section 2.16, and our measures)."""

    id: str
    script_name: str
    dispatch_namespace: str
    script_version: str
    event_timestamp: int
    event: dict[str, Any]
    outcome: Outcome
    logs: list[LogLine] = []
    exceptions: list[ExceptionLine] = []
    subrequests: list[Subrequest] = []
    subrequest_count: int = 0
    cpu_ms: float = 0
    wall_ms: float = 0
    peak_memory_kb: int = 0
    truncated: bool = False
    language: Language = RESTRICTED


Reply = Frame | Returned | CompileAnswer | DatabaseAnswer | Alive
"""What a reply list holds."""

_reply_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
_note_decoder: msgspec.msgpack.Decoder[Note] = msgspec.msgpack.Decoder(Note)
_changed_decoder = msgspec.msgpack.Decoder(Changed)

encode = msgspec.msgpack.Encoder().encode


def decode_frame(data: bytes) -> Reply:
    """Decode one reply. Raises ``msgspec.DecodeError`` on anything else."""
    return _reply_decoder.decode(data)


def decode_note(data: bytes) -> Note:
    """Decode one note to an executor. Raises ``msgspec.DecodeError`` on anything else."""
    return _note_decoder.decode(data)


def decode_changed(data: bytes) -> Changed:
    """Decode one registry note. Raises ``msgspec.DecodeError`` on anything else."""
    return _changed_decoder.decode(data)
