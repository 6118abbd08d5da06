"""The door protocol: what the executor and one isolate say to each other.

The door is one ``socketpair`` (stream). Each frame is a 4-byte big-endian length and a msgpack body
of at most :data:`MAX_FRAME_BYTES`; a longer or undecodable frame ends the isolate. An isolate
serves one invocation at a time, so frames carry no invocation id. A few may be sent behind one
another; the next begins after Done, and those that have come while one waits are Declined.

Order, seen from the executor::

    -> Load                         once; the isolate belongs to that version from here on
    <- Loaded | Failed
    -> Invoke                       then, in any order until Done:
    <- Call      -> Reply | Refusal     the isolate asks for something (fetch, env.*, stream.read)
    <- Log
    <- Head, Chunk*, End | Failed       exactly one response; of an RPC method or event: Returned
    <- Declined                         those sent behind this invocation are to run elsewhere
    <- Done                             waitUntil work is over; the isolate is free again

    -> Compile                      instead of Load, in an isolate that is thrown away after
    <- Compiled | Failed

Bodies are pulled, never pushed: the isolate calls ``("stream", "read", [stream_id])`` and gets the
next bytes, ``b""`` at the end, or gives up the rest with ``("stream", "cancel", [stream_id])``.
Stream 0 is the request's body; others come from replies that carry :class:`Incoming`. The other way
round, a request body that the isolate streams to ``fetch`` is sent as
``Call("stream", "write", [stream_id, data])``, empty data ending it; the isolate chose the id, and
named it as ``stream`` in the call that the body belongs to. Each write is answered with ``None``
when it was taken.

What calls carry, by target::

    fetch       method "fetch"      [Outgoing]      -> Incoming
    a service   method "fetch"      [Outgoing]      -> Incoming
                any other method    arguments       -> the callee's Returned.value, untouched
    a dispatch  as a service; options: name, args, limits, outbound
    namespace
    a KV        get                 [key]           -> None | {"value": bytes} | {"stream": id},
                                                       with "metadata" when there is some
                get_many            [[key, ...]]    -> a list of such, in order (never streams)
                put                 [key, value]    -> None. options: expiration (epoch s),
                                                       expiration_ttl (s), metadata; with option
                                                       "stream" (id) the value is b"" and follows
                delete              [key]           -> None
                list                []              -> {"keys": [{"name", "expiration"?,
                                                       "metadata"?}], "list_complete", "cursor"?};
                                                       options: prefix, limit, cursor
    CACHES          match               [Outgoing]      -> Incoming | None. options: cache (name, or
                                                       None: the default one), ignore_method
                    put                 [Outgoing, {"status", "headers", "body"}] -> None; with
                                                       option "stream" (id) the body follows
                    delete              [Outgoing]      -> whether there was one
    (get and get_many take the option cache_ttl, s)
    an R2 bucket  head              [key]           -> None | an object: {"key", "version", "size",
                                                       "etag", "checksums", "uploaded" (epoch ms),
                                                       "httpMetadata", "customMetadata",
                                                       "storageClass"}
                  get               [key]           -> the same, and where it is read "range" and
                                                       "body" (bytes) or "stream" (id); options:
                                                       only_if | if_headers, range | range_header
                  put               [key, value]    -> None (a condition fails) | an object.
                                                       options: http_metadata, custom_metadata,
                                                       storage_class, checksums, only_if |
                                                       if_headers; stream as in KV's put
                  delete            [[key, ...]]    -> None
                  list              []              -> {"objects", "delimitedPrefixes",
                                                       "truncated", "cursor"?}; options: prefix,
                                                       delimiter, cursor, start_after, limit
                  createMultipartUpload    [key]                       -> the upload's id
                  uploadPart               [key, upload, number, value] -> the part's etag
                  completeMultipartUpload  [key, upload, [[number, etag], ...]] -> an object
                  abortMultipartUpload     [key, upload]               -> None
    a class of    idFromName        [name]          -> the id's digits
    objects       newUniqueId       []              -> the same
                  idFromString      [digits]        -> the same
                  with option "object", {"id"} or {"name"}, what a service takes
    ctx.storage   what executor/objects/cell/store.py lists; sync, abort

A service that fails is a Refusal whose kind is the callee's ``Failed.name``. Other kinds are the
names of ``executor.isolate.calls.KINDS``; an unknown one is an ``Exception`` to the tenant. RPC
values are plain msgpack; what has no such form (sets, errors, responses) rides in msgpack
extensions.

What a tenant can shape freely (arguments, options, returned values) is raw to the executor: it is
passed on unread, or decoded by whoever knows its type. Eight MiB of empty lists would else be
hundreds of MiB of objects.
"""

from typing import Any, Literal, get_args

import msgspec
from msgspec import Raw

from cloister.languages import RESTRICTED, Language

Headers = list[tuple[str, str]]

CACHES = "caches."
"""The target of calls of the Cache API; no binding has such a name."""

MAX_FRAME_BYTES = 8 * 1024 * 1024
"""Largest frame from an isolate; larger values (a 25 MiB KV value) travel as streams."""

MAX_PLAIN_FRAME_BYTES = 1024 * 1024
"""Largest frame of a kind that is not in :data:`_LARGE`."""

CALLS_AT_ONCE = 1_000
"""Calls of one isolate without an answer. It waits itself before it makes more; one that does not
is ended."""

MAX_LOAD_BYTES = 128 * 1024 * 1024
"""Largest frame to an isolate: a whole compiled worker."""

INLINE_BODY_BYTES = 256 * 1024
"""Bodies up to this size ride in their frame; larger ones are streams."""


class Load(msgspec.Struct, frozen=True, kw_only=True, tag="load", omit_defaults=True):
    """Become this worker version.

    ``modules`` maps dotted module names to marshalled code; ``data`` holds non-Python modules by
    file name. ``env`` maps each binding to its plain value, or for a live binding to
    ``{"binding": type}`` inside ``live``. An isolate of another ``language`` leaves.
    """

    main: str
    modules: dict[str, bytes]
    data: dict[str, bytes] = {}
    env: dict[str, Any] = {}
    live: dict[str, str] = {}
    compatibility_date: str = ""
    compatibility_flags: list[str] = []
    memory_bytes: int = 0
    language: Language = RESTRICTED


class Compile(msgspec.Struct, frozen=True, kw_only=True, tag="compile", omit_defaults=True):
    """Compile these sources (name to bytes), then run the main module's top level."""

    main: str
    sources: dict[str, bytes]
    data: dict[str, bytes] = {}
    only_compile: bool = False
    language: Language = RESTRICTED


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A Durable Object: 64 hex digits, and the name that they were made from if it is known."""

    id: str
    name: str | None = None


class Invoke(msgspec.Struct, frozen=True, kw_only=True, tag="invoke", omit_defaults=True):
    """Run a handler.

    ``handler`` is ``fetch`` or, for an RPC call through a service binding, the method's name with
    ``arguments``: a list, which the executor passes on raw. With an ``event`` it is that of an
    event, see ``executor.isolate.events``. ``env`` adds to the worker's env for this invocation
    only (outbound parameters). With an ``object`` it is the method of that instance of the class
    ``entrypoint``, which the isolate holds from then on; it has no other.
    """

    handler: str = "fetch"
    entrypoint: str | None = None
    method: str = "GET"
    url: str = ""
    headers: Headers = []
    body: bytes = b""
    body_is_streamed: bool = False
    arguments: Any = []
    env: dict[str, Any] = {}
    props: dict[str, Any] = {}
    cf: dict[str, Any] | None = None
    log_bytes: int = 128 * 1024
    event: bytes = b""
    object: Identity | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True, tag="reply"):
    """The value that a call asked for."""

    call: int
    value: Any


class Refusal(msgspec.Struct, frozen=True, kw_only=True, tag="refusal"):
    """A call failed. ``kind`` names the exception the tenant sees, from a fixed list."""

    call: int
    kind: str
    message: str


ToIsolate = Load | Compile | Invoke | Reply | Refusal


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The sandbox stands; the isolate may be given work. Sent first, with the sender's pid."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True, tag="loaded", omit_defaults=True):
    """Top-level code ran. ``handlers`` maps entrypoint class (``Default``) to its handlers."""

    handlers: dict[str, list[str]] = {}


class Issue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One complaint of the compiler."""

    message: str
    module: str = ""
    line: int = 0
    column: int = 0


class Compiled(msgspec.Struct, frozen=True, kw_only=True, tag="compiled", omit_defaults=True):
    """What came of Compile. With ``errors`` there is no code."""

    modules: dict[str, bytes] = {}
    errors: list[Issue] = []
    warnings: list[Issue] = []
    handlers: dict[str, list[str]] = {}
    startup_ms: int = 0


NOTHING = Raw(b"\xc0")
NO_ARGUMENTS = Raw(b"\x90")
NO_OPTIONS = Raw(b"\x80")


class Call(msgspec.Struct, frozen=True, kw_only=True, tag="call", omit_defaults=True):
    """Ask the executor for something. ``call`` numbers the answer.

    ``target`` is ``fetch``, ``stream``, or the name of a live binding of this worker's env.
    """

    call: int
    target: str
    method: str
    arguments: Raw = NO_ARGUMENTS
    options: Raw = NO_OPTIONS


Level = Literal["debug", "info", "log", "warn", "error"]
LEVELS: frozenset[Level] = frozenset(get_args(Level))


class Log(msgspec.Struct, frozen=True, kw_only=True, tag="log", omit_defaults=True):
    """One log line. ``timestamp`` is epoch milliseconds. ``last`` says that the log is cut off."""

    level: Level
    text: str
    timestamp: int
    last: bool = False


class Head(msgspec.Struct, frozen=True, kw_only=True, tag="head", omit_defaults=True):
    """Status and headers of the response; ``end`` if ``body`` is all of it."""

    status: int
    headers: Headers
    body: bytes = b""
    end: bool = False


class Chunk(msgspec.Struct, frozen=True, kw_only=True, tag="chunk"):
    """The next bytes of the response."""

    data: bytes


class End(msgspec.Struct, frozen=True, tag="end"):
    """The response is complete."""


class Returned(msgspec.Struct, frozen=True, kw_only=True, tag="returned"):
    """The value of an RPC method, or what is told of an event, instead of a response."""

    value: Raw


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed", omit_defaults=True):
    """The tenant's code raised. ``name`` is the exception's class, ``stack`` its traceback.

    ``memory`` says that it was MemoryError; the executor then ends the isolate.
    ``phase`` is ``load``, ``invoke`` or ``background`` (waitUntil; no response is at stake).
    """

    name: str
    message: str
    stack: str = ""
    memory: bool = False
    phase: str = "invoke"
    pass_through: bool = False


class Declined(msgspec.Struct, frozen=True, tag="declined"):
    """The invocation waits; the first ``count`` of those sent behind it are not begun."""

    count: int


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The invocation, waitUntil work included, is over."""


FromIsolate = (
    Ready
    | Loaded
    | Compiled
    | Call
    | Log
    | Head
    | Chunk
    | End
    | Returned
    | Failed
    | Declined
    | Done
)


class Outgoing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The argument of a call to ``fetch``. With ``stream`` the body follows as writes."""

    method: str = "GET"
    url: str
    headers: Headers = []
    body: bytes = b""
    stream: int | None = None
    redirect: str = "follow"
    cf: Raw = NOTHING


class Incoming(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The value of a reply to ``fetch``: a response whose body is inline or a stream to pull."""

    status: int
    headers: Headers
    url: str = ""
    redirected: bool = False
    status_text: str = ""
    body: bytes = b""
    stream: int | None = None


encode = msgspec.msgpack.Encoder().encode
plain = msgspec.msgpack.Decoder().decode
"""The plain value of something raw."""

_from_isolate: msgspec.msgpack.Decoder[FromIsolate] = msgspec.msgpack.Decoder(FromIsolate)


class _UnreadInvoke(Invoke, frozen=True, kw_only=True, tag="invoke"):
    arguments: Raw


class _UnreadReply(Reply, frozen=True, kw_only=True, tag="reply"):
    value: Raw


_to_isolate: msgspec.msgpack.Decoder[ToIsolate] = msgspec.msgpack.Decoder(ToIsolate)
_unread: msgspec.msgpack.Decoder[_UnreadInvoke | _UnreadReply] = msgspec.msgpack.Decoder(
    _UnreadInvoke | _UnreadReply
)


_NO_FRAME = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_to_isolate(body: memoryview | bytes) -> ToIsolate:
    """The frame of the executor. It passes on what another worker sent, and that may be no value:
    then the reply is a refusal, and the arguments are no list.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError: it is no frame.
    """
    try:
        frame: ToIsolate = _to_isolate.decode(body)
    except _NO_FRAME as error:
        frame = _without_value(bytes(body), error)
    return frame


def _without_value(body: bytes, error: Exception) -> Invoke | Refusal:
    try:
        unread = _unread.decode(body)
    except _NO_FRAME:
        raise error from None
    if isinstance(unread, _UnreadInvoke):
        return unread
    return Refusal(call=unread.call, kind="ValueError", message="The answer cannot be read")


class _Kind(msgspec.Struct):
    type: str


_decode_kind = msgspec.msgpack.Decoder(_Kind).decode

_LARGE = frozenset({"call", "returned", "compiled"})

_CHUNK_START = encode(Chunk(data=b""))[:12]


def raw(value: Any) -> Raw:
    """A value as it travels."""
    return Raw(encode(value))


def decode_from_isolate(body: memoryview | bytes) -> FromIsolate:
    """The frame of an isolate, which is not believed to send a good one.

    Raises:
        msgspec.MsgspecError, RecursionError: it is none, or is too large for its kind.
    """
    if len(body) > MAX_PLAIN_FRAME_BYTES and _decode_kind(body).type not in _LARGE:
        raise msgspec.ValidationError(f"{len(body)} bytes are too many")
    if body[: len(_CHUNK_START)] != _CHUNK_START:
        body = bytes(body)  # a copy: what is raw holds on to it
    return _from_isolate.decode(body)
