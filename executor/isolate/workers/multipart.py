"""Forms as bodies: ``multipart/form-data`` and ``application/x-www-form-urlencoded``."""

import random
import re
from urllib.parse import parse_qsl

from executor.isolate.workers.forms import Blob, File, FormData

MAX_FIELDS = 1000
MAX_PART_HEADER_BYTES = 8 * 1024

_PARAMETER = re.compile(r';\s*([\w-]+)\*?=(?:"([^"]*)"|([^;\s]*))')


def parse_form(data: bytes, content_type: str) -> FormData:
    """The form in a body.

    Raises ``TypeError`` if the content type is no form's, or the body is no such form, and
    ``ValueError`` if it has too many fields.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return _parse_urlencoded(data)
    if kind == "multipart/form-data":
        boundary = _parameters(content_type).get("boundary")
        if not boundary:
            raise TypeError("No boundary string in Content-Type header")
        return _parse_multipart(data, boundary.encode("latin-1", "replace"))
    raise TypeError(
        "Unrecognized Content-Type header value. FormData can only parse the following MIME types:"
        " multipart/form-data, application/x-www-form-urlencoded"
    )


def encode_form(form: FormData) -> tuple[bytes, str]:
    """The body of a form, and its content type."""
    boundary = f"----cloister{random.getrandbits(128):032x}"
    parts: list[bytes] = []
    for name, value in form.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_escaped(name)}"'
        if isinstance(value, Blob):
            filename = value.name if isinstance(value, File) else "blob"
            kind = value.content_type or "application/octet-stream"
            head += f'; filename="{_escaped(filename)}"\r\nContent-Type: {kind}'
            body = value._data
        else:
            body = value.encode("utf-8", "replace")
        parts += [head.encode("utf-8", "replace"), b"\r\n\r\n", body, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def _parse_urlencoded(data: bytes) -> FormData:
    form = FormData()
    text = data.decode("utf-8", "replace")
    for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS):
        form.append(name, value)
    return form


def _parse_multipart(data: bytes, boundary: bytes) -> FormData:
    delimiter = b"\r\n--" + boundary
    form = FormData()
    rest = b"\r\n" + data
    position = rest.find(delimiter)
    if position < 0:
        raise TypeError("No initial boundary string (or you have a truncated message)")
    while not rest.startswith(b"--", position + len(delimiter)):
        start = position + len(delimiter)
        position = rest.find(delimiter, start)
        if position < 0:
            raise TypeError("No final boundary string (or you have a truncated message)")
        if len(form) >= MAX_FIELDS:
            raise ValueError(f"More than {MAX_FIELDS} fields in a form")
        _add_part(form, rest[start:position])
    return form


def _add_part(form: FormData, part: bytes) -> None:
    head, separator, body = part.lstrip(b" \t").removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not separator or len(head) > MAX_PART_HEADER_BYTES:
        raise TypeError("No headers in a part of the form, or too long ones")
    headers = _part_headers(head.decode("utf-8", "replace"))
    disposition = _parameters(headers.get("content-disposition", ""))
    name = disposition.get("name")
    if name is None:
        raise TypeError("No name in the Content-Disposition header of a part of the form")
    if "filename" in disposition:
        form.append(name, File(body, disposition["filename"], headers.get("content-type")))
    else:
        form.append(name, body.decode("utf-8", "replace"))


def _part_headers(head: str) -> dict[str, str]:
    lines = (line.partition(":") for line in head.split("\r\n"))
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def _parameters(header: str) -> dict[str, str]:
    return {
        match[1].lower(): _unescaped(match[2]) if match[2] is not None else match[3]
        for match in _PARAMETER.finditer(header)
    }


def _escaped(text: str) -> str:
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _unescaped(text: str) -> str:
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
