"""``codecs``: text encodings and the few others that neither load code nor unpack without bound."""

import codecs
from collections.abc import Callable
from typing import Any

from executor.isolate.policy.facades import files

TEXT = (
    "ascii", "latin-1", "utf-8", "utf-8-sig", "utf-7", "utf-16", "utf-16-le", "utf-16-be", "utf-32",
    "utf-32-le", "utf-32-be", "cp1252", "iso8859-15", "idna", "punycode", "raw_unicode_escape",
    "unicode_escape",
)  # fmt: skip
"""Encodings that a worker finds loaded."""

OTHER = ("rot13", "hex", "base64", "quopri")
"""Encodings of bytes to bytes, or of text to text, that neither grow nor run anything."""


def load() -> None:
    """Load them all, while there are files."""
    for name in (*TEXT, *OTHER):
        codecs.lookup(name)


def _checked(encoding: str) -> str:
    found = codecs.lookup(str(encoding))
    text: bool = vars(found).get("_is_text_encoding", True)
    if not text and found.name not in {codecs.lookup(name).name for name in OTHER}:
        raise LookupError(f"the encoding {encoding!r} is not available to workers")
    return found.name


def encode(obj: Any, encoding: str = "utf-8", errors: str = "strict") -> Any:
    """``codecs.encode``."""
    return codecs.encode(obj, _checked(encoding), errors)


def decode(obj: Any, encoding: str = "utf-8", errors: str = "strict") -> Any:
    """``codecs.decode``."""
    return codecs.decode(obj, _checked(encoding), errors)


class CodecInfo:
    """``codecs.lookup``'s answer: the name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def lookup(encoding: str) -> CodecInfo:
    """``codecs.lookup``."""
    return CodecInfo(_checked(encoding))


class _Incremental:
    """An incremental coder, whose other half stays hidden."""

    __slots__ = ("_coder", "errors")

    def __init__(self, coder: Any, errors: str) -> None:
        self._coder, self.errors = coder, errors

    def reset(self) -> None:
        """Forget what is unfinished."""
        self._coder.reset()


class Decoder(_Incremental):
    """``codecs.IncrementalDecoder``."""

    __slots__ = ()

    def decode(self, input: bytes, final: bool = False) -> str:  # noqa: A002 - the library's name
        """The text of the next bytes."""
        return str(self._coder.decode(bytes(input), bool(final)))


class Encoder(_Incremental):
    """``codecs.IncrementalEncoder``."""

    __slots__ = ()

    def encode(self, input: str, final: bool = False) -> bytes:  # noqa: A002 - the library's name
        """The bytes of the next text."""
        return bytes(self._coder.encode(str(input), bool(final)))


def getincrementaldecoder(encoding: str) -> Callable[..., Decoder]:
    """``codecs.getincrementaldecoder``."""
    make = codecs.getincrementaldecoder(_text(encoding))
    return lambda errors="strict": Decoder(make(errors), errors)


def getincrementalencoder(encoding: str) -> Callable[..., Encoder]:
    """``codecs.getincrementalencoder``."""
    make = codecs.getincrementalencoder(_text(encoding))
    return lambda errors="strict": Encoder(make(errors), errors)


def _text(encoding: str) -> str:
    name = _checked(encoding)
    if name not in {codecs.lookup(text).name for text in TEXT}:
        raise LookupError(f"{encoding!r} is not a text encoding")
    return name


def iterdecode(iterator: Any, encoding: str, errors: str = "strict") -> Any:
    """``codecs.iterdecode``."""
    yield from _coded(iterator, getincrementaldecoder(encoding)(errors).decode, b"")


def iterencode(iterator: Any, encoding: str, errors: str = "strict") -> Any:
    """``codecs.iterencode``."""
    yield from _coded(iterator, getincrementalencoder(encoding)(errors).encode, "")


def _coded(parts: Any, code: Callable[..., Any], nothing: str | bytes) -> Any:
    """What each part gives, and what is left at the end."""
    for part in parts:
        if made := code(part):
            yield made
    if made := code(nothing, final=True):
        yield made


def open_(
    filename: Any, mode: str = "r", encoding: str | None = None, errors: str = "strict"
) -> Any:
    """``codecs.open`` of an uploaded file."""
    if encoding is None:
        return files.open_(filename, mode)
    return files.open_(filename, mode.replace("b", ""), -1, encoding, errors)


CODECS: dict[str, Any] = {
    "encode": encode,
    "decode": decode,
    "lookup": lookup,
    "getincrementaldecoder": getincrementaldecoder,
    "getincrementalencoder": getincrementalencoder,
    "iterdecode": iterdecode,
    "iterencode": iterencode,
    "open": open_,
}
