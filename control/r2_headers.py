"""What is known of an R2 object, as headers of HTTP: of requests, and of answers."""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.utils import format_datetime, formatdate, parsedate_to_datetime

from flask import request

from cloister.registry.r2_views import ObjectView
from control.errors import MALFORMED_PARAMETER, Refused

_FIELDS = {
    "contentType": "Content-Type",
    "contentDisposition": "Content-Disposition",
    "contentEncoding": "Content-Encoding",
    "contentLanguage": "Content-Language",
    "cacheControl": "Cache-Control",
    "cacheExpiry": "Expires",
}
_CUSTOM = "x-amz-meta-"
"""Before the names of custom metadata, as in the product and in S3. Names are lower-case there."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What can be the name of a header."""


def http_metadata() -> dict[str, str]:
    """What the current request says of an object. Raises :class:`Refused` for a date that is
    none."""
    said = {name: request.headers.get(field) for name, field in _FIELDS.items()}
    kept = {name: value for name, value in said.items() if value}
    if "cacheExpiry" in kept:
        kept["cacheExpiry"] = _expiry(kept["cacheExpiry"])
    return kept


def custom_metadata() -> dict[str, str]:
    """The request's own words for it: plain, or encoded by RFC 2047."""
    return {
        name.lower().removeprefix(_CUSTOM): _decoded(value)
        for name, value in request.headers
        if name.lower().startswith(_CUSTOM)
    }


def of_object(found: ObjectView) -> Iterator[tuple[str, str]]:
    """The headers of an answer that is the object, but for its length."""
    for name, field in _FIELDS.items():
        value = found.http_metadata.get(name)
        if value:
            yield field, _http_date(value) if name == "cacheExpiry" else value
    for name, value in found.custom_metadata.items():
        if _TOKEN.fullmatch(name):
            yield _CUSTOM + name, _encoded(value)
    yield "ETag", f'"{found.etag}"'
    yield "Last-Modified", formatdate(found.uploaded_at / 1000, usegmt=True)
    yield "Accept-Ranges", "bytes"
    yield "cf-r2-storage-class", found.storage_class


def _expiry(text: str) -> str:
    try:
        date = _date(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError) as exc:
        raise Refused(MALFORMED_PARAMETER, "Expires must be a date of HTTP.") from exc


def _date(text: str) -> datetime:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return datetime.fromisoformat(text)


def _http_date(text: str) -> str:
    return format_datetime(datetime.fromisoformat(text).astimezone(UTC), usegmt=True)


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, UnicodeError, ValueError):
        return value


def _encoded(value: str) -> str:
    plain = value.isascii() and (value.isprintable() or not value) and "=?" not in value
    return value if plain else f"=?UTF-8?B?{base64.b64encode(value.encode()).decode()}?="
