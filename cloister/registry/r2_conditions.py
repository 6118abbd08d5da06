"""Which object is to be read or replaced, if any, and which of its bytes: as the binding says it,
and as HTTP's headers do.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

import msgspec

from cloister.registry import r2_errors as errors

ANY = "*"
SECOND_MS = 1_000


class OnlyIf(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions, those that are None aside. Etags are bare; ``*`` is any. Times are epoch
    milliseconds, compared by the second with ``by_second``."""

    etag_matches: list[str] | None = None
    etag_does_not_match: list[str] | None = None
    uploaded_before: int | None = None
    uploaded_after: int | None = None
    by_second: bool = False

    @classmethod
    def of_headers(cls, headers: Mapping[str, str]) -> "OnlyIf":
        """What a request says: ``headers`` by lower-case name. A date that is none says nothing."""
        return cls(
            etag_matches=_etags(headers.get("if-match"), weak=False),
            etag_does_not_match=_etags(headers.get("if-none-match"), weak=True),
            uploaded_before=_date(headers.get("if-unmodified-since")),
            uploaded_after=_date(headers.get("if-modified-since")),
            by_second=True,
        )

    def holds(self, etag: str | None, uploaded_at: int = 0) -> bool:
        """Whether they hold for an object with that etag; None: there is no object."""
        if etag is None:
            return self.etag_matches is None and self.uploaded_after is None
        is_match = self.etag_matches is None or _has(self.etag_matches, etag)
        is_other = self.etag_does_not_match is None or not _has(self.etag_does_not_match, etag)
        # As in HTTP, a time says nothing where an etag has said it already.
        is_after = (
            self.uploaded_after is None
            or self.etag_does_not_match is not None
            or self._at(uploaded_at) > self._at(self.uploaded_after)
        )
        is_before = (
            self.uploaded_before is None
            or self.etag_matches is not None
            or self._at(uploaded_at) <= self._at(self.uploaded_before)
        )
        return is_match and is_other and is_after and is_before

    def _at(self, time_ms: int) -> int:
        return time_ms // SECOND_MS * SECOND_MS if self.by_second else time_ms


def _has(etags: list[str], etag: str) -> bool:
    return ANY in etags or etag in etags


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Which bytes of an object: those from ``offset`` on, ``length`` of them, or the last
    ``suffix``. Without any, all."""

    offset: int | None = None
    length: int | None = None
    suffix: int | None = None

    @classmethod
    def of_header(cls, text: str | None) -> "Span | None":
        """What a Range header asks for; None where there is none, or one that servers ignore, as
        several ranges."""
        found = _RANGE.fullmatch(text or "")
        if found is None or not (found[1] or found[2]):
            return None
        if not found[1]:
            return cls(suffix=int(found[2]))
        offset = int(found[1])
        if not found[2]:
            return cls(offset=offset)
        return cls(offset=offset, length=int(found[2]) - offset + 1)

    def of(self, size: int) -> tuple[int, int]:
        """Offset and length within an object of that size.

        Raises:
            R2Error: it has none of those bytes.
        """
        if self.suffix is not None:
            offset, length = max(size - self.suffix, 0), min(self.suffix, size)
        else:
            offset = self.offset or 0
            length = size - offset if self.length is None else min(self.length, size - offset)
        if offset < 0 or (length <= 0 and (size or self != _ALL)):
            raise errors.invalid_range()
        return offset, length


_ALL = Span()
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_ETAG = re.compile(r'(W/)?"([^"]*)"')


def _etags(text: str | None, *, weak: bool) -> list[str] | None:
    """The etags of a header, those that are weak only where such a comparison is meant."""
    if text is None:
        return None
    if text.strip() == ANY:
        return [ANY]
    return [found[2] for found in _ETAG.finditer(text) if weak or not found[1]]


def _date(text: str | None) -> int | None:
    try:
        date = parsedate_to_datetime(text or "")
        return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
