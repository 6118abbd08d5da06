"""R2 bindings. What can be seen to be wrong is refused here, in the product's words."""

import datetime as dt
import json
from collections.abc import MutableMapping
from typing import Any

from executor.isolate.frames import INLINE_BODY_BYTES
from executor.isolate.invocation import runtime
from executor.isolate.workers.bodies import (
    BodyStream,
    Chunk,
    body_of,
    is_used,
    known_bytes,
    pulled,
    read_all,
)
from executor.isolate.workers.fetching import ask_while_writing, stream_of
from executor.isolate.workers.forms import Blob
from executor.isolate.workers.headers import HeaderMap
from executor.isolate.workers.values import JsDict, merged_options

MOST_KEYS = 1_000
MOST_PARTS = 10_000
HTTP_METADATA = (
    *("contentType", "contentLanguage", "contentDisposition", "contentEncoding"),
    *("cacheControl", "cacheExpiry"),
)
HEADERS = dict(
    zip(
        HTTP_METADATA,
        (
            *("content-type", "content-language", "content-disposition", "content-encoding"),
            *("cache-control", "expires"),
        ),
        strict=True,
    )
)
CONDITIONAL = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
CHECKSUM_BYTES = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
CHECKSUM_NAMES = {
    "md5": "MD5",
    "sha1": "SHA-1",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
}
CLASSES = ("Standard", "InfrequentAccess")
INCLUDES = ("httpMetadata", "customMetadata")
Bytes = bytes


class R2Checksums:
    """Checksums of an object, as bytes; those that are not known are None."""

    __slots__ = ("_hex",)

    def __init__(self, found: dict[str, str]) -> None:
        self._hex = found

    def __getattr__(self, name: str) -> memoryview | None:
        if name not in CHECKSUM_BYTES:
            raise AttributeError(name)
        found = self._hex.get(name)
        return None if found is None else memoryview(bytes.fromhex(found))

    def toJSON(self) -> JsDict:
        """The same as hex, by name."""
        return JsDict(self._hex)

    def __repr__(self) -> str:
        return f"<R2 checksums {', '.join(self._hex)}>"


class R2Object:
    """What is known of an object."""

    __slots__ = ("_known",)

    def __init__(self, known: dict[str, Any]) -> None:
        self._known = JsDict(known)
        http = JsDict(known["httpMetadata"])
        if "cacheExpiry" in http:
            http["cacheExpiry"] = _local(dt.datetime.fromisoformat(http["cacheExpiry"]))
        uploaded = dt.datetime.fromtimestamp(known["uploaded"] / 1000, dt.UTC)
        self._known.update(
            httpEtag=f'"{known["etag"]}"',
            uploaded=_local(uploaded),
            checksums=R2Checksums(known["checksums"]),
            httpMetadata=http,
            customMetadata=JsDict(known["customMetadata"]),
            range=JsDict(known["range"]) if "range" in known else None,
        )

    @property
    def key(self) -> str:
        """Its key."""
        return str(self._known["key"])

    @property
    def version(self) -> str:
        """Names this upload of it."""
        return str(self._known["version"])

    @property
    def size(self) -> int:
        """All its bytes, whatever range was asked for."""
        return int(self._known["size"])

    @property
    def etag(self) -> str:
        """Names its content, without quotes."""
        return str(self._known["etag"])

    @property
    def httpEtag(self) -> str:
        """The etag as a header has it."""
        return str(self._known["httpEtag"])

    @property
    def uploaded(self) -> dt.datetime:
        """When it was put."""
        when: dt.datetime = self._known["uploaded"]
        return when

    @property
    def checksums(self) -> R2Checksums:
        """Those that are known."""
        found: R2Checksums = self._known["checksums"]
        return found

    @property
    def httpMetadata(self) -> JsDict:
        """What was said of it for HTTP."""
        found: JsDict = self._known["httpMetadata"]
        return found

    @property
    def customMetadata(self) -> JsDict:
        """What else was said of it."""
        found: JsDict = self._known["customMetadata"]
        return found

    @property
    def range(self) -> JsDict | None:
        """Which bytes came: ``offset`` and ``length``."""
        found: JsDict | None = self._known["range"]
        return found

    @property
    def storageClass(self) -> str:
        """What it is stored as."""
        return str(self._known["storageClass"])

    def writeHttpMetadata(self, headers: MutableMapping[str, Any] | HeaderMap) -> None:
        """Set the headers that the object's ``httpMetadata`` stand for."""
        for name, value in self.httpMetadata.items():
            if isinstance(value, dt.datetime):
                value = value.replace(tzinfo=_zone()).astimezone(dt.UTC)
                value = value.strftime("%a, %d %b %Y %H:%M:%S GMT")
            headers[HEADERS[name]] = value

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key!r}>"


class R2ObjectBody(R2Object):
    """An object with its bytes, to be read once."""

    __slots__ = ("_body",)

    def __init__(self, known: dict[str, Any]) -> None:
        super().__init__(known)
        stream = known.get("stream")
        self._body = BodyStream(known.get("body", b"")) if stream is None else pulled(stream)

    @property
    def body(self) -> BodyStream:
        """The bytes as an asynchronous iterator of chunks."""
        return self._body

    @property
    def bodyUsed(self) -> bool:
        """Whether they were read."""
        return is_used(self._body)

    async def bytes(self) -> Bytes:
        """The bytes."""
        if self.bodyUsed:
            raise TypeError(
                "Body has already been used. It can only be used once. Use tee() first if you "
                "need to read it twice."
            )
        return await read_all(self._body)

    async def arrayBuffer(self) -> memoryview:
        """The bytes as a memoryview."""
        return memoryview(await self.bytes())

    async def buffer(self) -> Chunk:
        """The bytes, with the ``to_bytes()`` of a buffer."""
        return Chunk(await self.bytes())

    async def text(self) -> str:
        """The bytes as UTF-8 text."""
        return (await self.bytes()).decode("utf-8-sig", "replace")

    async def json(self) -> Any:
        """The bytes as JSON."""
        return json.loads(await self.text())

    async def blob(self) -> Blob:
        """The bytes as a Blob of the object's content type."""
        return Blob(await self.bytes(), self.httpMetadata.get("contentType"))


class R2MultipartUpload:
    """An upload in parts that is not finished."""

    __slots__ = ("_key", "_name", "_upload")

    def __init__(self, name: str, key: str, upload: str) -> None:
        self._name = name
        self._key = key
        self._upload = upload

    @property
    def key(self) -> str:
        """The key of the object to be."""
        return self._key

    @property
    def uploadId(self) -> str:
        """Names the upload, for ``resumeMultipartUpload``."""
        return self._upload

    async def uploadPart(self, partNumber: int, value: Any, options: Any = None, /) -> JsDict:
        """Store a part; what ``complete`` wants of it."""
        merged_options(options, {})
        number = _part_number(partNumber)
        arguments = [self._key, self._upload, number]
        etag = await _ask_with_body(self._name, "uploadPart", arguments, value, {})
        return JsDict(partNumber=number, etag=etag)

    async def complete(self, uploadedParts: Any, /) -> R2Object:
        """Make an object of these parts."""
        parts = [_part(each) for each in uploadedParts]
        arguments = [self._key, self._upload, parts]
        return R2Object(await runtime.ask(self._name, "completeMultipartUpload", arguments))

    async def abort(self) -> None:
        """Give the upload up."""
        await runtime.ask(self._name, "abortMultipartUpload", [self._key, self._upload])

    def __repr__(self) -> str:
        return f"<R2 multipart upload {self._upload} of {self._key!r}>"


class R2Bucket:
    """``env.NAME`` of an R2 binding. Options go in one dict or by keyword."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    async def head(self, key: str, /) -> R2Object | None:
        """What is known of an object, or None."""
        found = await runtime.ask(self._name, "head", [_key(key)])
        return None if found is None else R2Object(found)

    async def get(self, key: str, options: Any = None, /, **named: Any) -> R2Object | None:
        """An object with its body, or None; without a body where ``onlyIf`` does not hold.
        Options: ``onlyIf``, ``range``."""
        asked = merged_options(options, named)
        sent = {**_only_if(asked.get("onlyIf")), **_range(asked.get("range"))}
        found = await runtime.ask(self._name, "get", [_key(key)], sent)
        if found is None:
            return None
        return R2ObjectBody(found) if "range" in found else R2Object(found)

    async def put(
        self, key: str, value: Any, options: Any = None, /, **named: Any
    ) -> R2Object | None:
        """Store an object; None where ``onlyIf`` does not hold. Options: ``httpMetadata``,
        ``customMetadata``, one of the checksums, ``onlyIf``, ``storageClass``."""
        asked = merged_options(options, named)
        sent = {**_said(asked), **_only_if(asked.get("onlyIf")), **_checksum(asked)}
        found = await _ask_with_body(self._name, "put", [_key(key)], value, sent)
        return None if found is None else R2Object(found)

    async def delete(self, keys: Any, /) -> None:
        """Delete an object, or a list of them, which need not be there."""
        wanted = [_key(each) for each in ([keys] if isinstance(keys, str) else keys)]
        if len(wanted) > MOST_KEYS:
            raise ValueError(
                f"delete: You can delete at most {MOST_KEYS} keys at once, not {len(wanted)}."
            )
        await runtime.ask(self._name, "delete", [wanted])

    async def list(self, options: Any = None, /, **named: Any) -> JsDict:
        """Objects by key. Options: ``prefix``, ``limit``, ``cursor``, ``delimiter``,
        ``startAfter``, ``include``."""
        asked = merged_options(options, named)
        include = asked.get("include", list(INCLUDES))
        for each in include:
            if each not in INCLUDES:
                raise ValueError(f"Unsupported include value {each}")
        page = await runtime.ask(self._name, "list", [], _listing(asked))
        left_out: dict[str, Any] = {name: {} for name in INCLUDES if name not in include}
        page["objects"] = [R2Object({**each, **left_out}) for each in page["objects"]]
        return JsDict(page)

    async def createMultipartUpload(
        self, key: str, options: Any = None, /, **named: Any
    ) -> R2MultipartUpload:
        """Begin an upload in parts. Options: ``httpMetadata``, ``customMetadata``,
        ``storageClass``."""
        sent = _said(merged_options(options, named))
        upload = await runtime.ask(self._name, "createMultipartUpload", [_key(key)], sent)
        return R2MultipartUpload(self._name, key, upload)

    def resumeMultipartUpload(self, key: str, uploadId: str, /) -> R2MultipartUpload:
        """An upload that was begun before. Nobody looks whether there is one."""
        return R2MultipartUpload(self._name, _key(key), str(uploadId))

    def __repr__(self) -> str:
        return f"<R2 bucket {self._name}>"


async def _ask_with_body(
    name: str, method: str, arguments: list[Any], value: Any, options: dict[str, Any]
) -> Any:
    """Ask something that a body belongs to: with it, or the body written meanwhile."""
    body = _body(value)
    data = b"" if body is None else known_bytes(body)
    if data is not None and len(data) <= INLINE_BODY_BYTES:
        return await runtime.ask(name, method, [*arguments, data], options)
    stream, chunks = stream_of(body if data is None else data)  # type: ignore[arg-type]
    question = runtime.ask(name, method, [*arguments, b""], {**options, "stream": stream})
    return await ask_while_writing(question, stream, chunks)


def _body(value: Any) -> BodyStream | None:
    try:
        return body_of(value)[0]
    except TypeError:
        raise TypeError(
            "Incorrect type for parameter 2: the provided value is not of type 'ReadableStream or "
            "ArrayBuffer or ArrayBufferView or string or Blob', it is of type "
            f"{type(value).__name__!r}."
        ) from None


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"An R2 key is a str, not {type(key).__name__}")
    return key


def _part_number(number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError(f"A part number is an int, not {type(number).__name__}")
    if not 1 <= number <= MOST_PARTS:
        raise TypeError(
            f"Part number must be between 1 and {MOST_PARTS} (inclusive). Actual value was: "
            f"{number}"
        )
    return int(number)


def _part(part: Any) -> tuple[int, str]:
    found = part if isinstance(part, dict) else {}
    number, etag = found.get("partNumber"), found.get("etag")
    if number is None or not isinstance(etag, str):
        raise TypeError("complete() takes parts as uploadPart() returns them")
    return _part_number(number), etag


def _said(asked: dict[str, Any]) -> dict[str, Any]:
    """What is said of an object that is put."""
    sent: dict[str, Any] = {}
    if "httpMetadata" in asked:
        sent["http_metadata"] = _http_metadata(asked["httpMetadata"])
    if "customMetadata" in asked:
        custom = asked["customMetadata"]
        if not isinstance(custom, dict):
            raise TypeError(f"customMetadata is a dict, not {type(custom).__name__}")
        sent["custom_metadata"] = {str(name): str(value) for name, value in custom.items()}
    if "storageClass" in asked:
        if asked["storageClass"] not in CLASSES:
            raise ValueError(f"put: Unsupported storage class {asked['storageClass']!r}")
        sent["storage_class"] = asked["storageClass"]
    return sent


def _http_metadata(said: Any) -> dict[str, str]:
    if isinstance(said, HeaderMap):
        said = {name: said[field] for name, field in HEADERS.items() if said[field] is not None}
    if not isinstance(said, dict):
        raise TypeError(f"httpMetadata is a dict or headers, not {type(said).__name__}")
    known = {name: said[name] for name in HTTP_METADATA if said.get(name) is not None}
    if "cacheExpiry" in known:
        known["cacheExpiry"] = _moment(known["cacheExpiry"], "cacheExpiry").isoformat()
    return {name: str(value) for name, value in known.items()}


def _checksum(asked: dict[str, Any]) -> dict[str, Any]:
    said = [name for name in CHECKSUM_BYTES if name in asked]
    if len(said) > 1:
        raise TypeError("You cannot specify multiple hashing algorithms.")
    return {"checksums": {name: _hex(name, asked[name]) for name in said}} if said else {}


def _hex(name: str, value: Any) -> str:
    size, shown = CHECKSUM_BYTES[name], CHECKSUM_NAMES[name]
    if isinstance(value, bytes | bytearray | memoryview):
        if len(value) != size:
            raise TypeError(f"{shown} is {size} bytes, not {len(value)}")
        return bytes(value).hex()
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str of hex digits or bytes, not {type(value).__name__}")
    if len(value) != 2 * size:
        raise TypeError(f"{shown} is {2 * size} hex characters, not {len(value)}")
    try:
        return bytes.fromhex(value).hex()
    except ValueError:
        raise TypeError(f"Provided {shown} wasn't a valid hex string") from None


def _only_if(said: Any) -> dict[str, Any]:
    if said is None:
        return {}
    if isinstance(said, HeaderMap):
        found = {name: said[name] for name in CONDITIONAL if said[name] is not None}
        return {"if_headers": found} if found else {}
    if not isinstance(said, dict):
        raise TypeError(f"onlyIf is a dict or headers, not {type(said).__name__}")
    sent = {
        "etag_matches": _etags(said.get("etagMatches")),
        "etag_does_not_match": _etags(said.get("etagDoesNotMatch")),
        "uploaded_before": _epoch_ms(said.get("uploadedBefore"), "uploadedBefore"),
        "uploaded_after": _epoch_ms(said.get("uploadedAfter"), "uploadedAfter"),
        "by_second": bool(said.get("secondsGranularity")),
    }
    return {"only_if": sent}


def _etags(said: Any) -> list[str] | None:
    if said is None:
        return None
    etags = said if isinstance(said, list) else [said]
    for etag in etags:
        if not isinstance(etag, str):
            raise TypeError(f"An etag is a str, not {type(etag).__name__}")
        if etag.startswith('"') and etag.endswith('"'):
            raise TypeError(f"Conditional ETag should not be wrapped in quotes ({etag}).")
    return etags


def _range(said: Any) -> dict[str, Any]:
    if said is None:
        return {}
    if isinstance(said, HeaderMap):
        return {"range_header": said["range"]} if said["range"] else {}
    if not isinstance(said, dict):
        raise TypeError(f"range is a dict or headers, not {type(said).__name__}")
    names = ("offset", "length", "suffix")
    given = {name: said[name] for name in names if said.get(name) is not None}
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"range.{name} is an int, not {type(value).__name__}")
        if value < 0:
            raise ValueError(f"Invalid range. {name} ({value}) must be greater than or equal to 0.")
    if "suffix" in given and len(given) > 1:
        other = "offset" if "offset" in given else "length"
        raise TypeError(f"Suffix is incompatible with {other}.")
    return {"range": {name: int(value) for name, value in given.items()}}


def _listing(asked: dict[str, Any]) -> dict[str, Any]:
    sent: dict[str, Any] = {}
    for name, sent_name in (
        ("prefix", "prefix"),
        ("delimiter", "delimiter"),
        ("cursor", "cursor"),
        ("startAfter", "start_after"),
    ):
        if name in asked:
            sent[sent_name] = _text(name, asked[name])
    if "limit" in asked:
        limit = asked["limit"]
        if isinstance(limit, bool) or not isinstance(limit, int | float):
            raise TypeError(f"limit is an int, not {type(limit).__name__}")
        sent["limit"] = int(limit)
    return sent


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, not {type(value).__name__}")
    return value


def _epoch_ms(value: Any, name: str) -> int | None:
    return None if value is None else int(_moment(value, name).timestamp() * 1000)


def _moment(value: Any, name: str) -> dt.datetime:
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    if not isinstance(value, dt.datetime):
        raise TypeError(f"{name} is a datetime, not {type(value).__name__}")
    return value.astimezone(dt.UTC)


def _zone() -> Any:
    return dt.datetime.now().astimezone().tzinfo


def _local(moment: dt.datetime) -> dt.datetime:
    """As the product gives times: local, and without saying so."""
    return moment.astimezone().replace(tzinfo=None)
