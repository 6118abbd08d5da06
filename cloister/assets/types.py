"""Content types by the names of files, the same on every machine."""

import mimetypes

_KNOWN = mimetypes.MimeTypes(filenames=())
for _type, _suffix in (
    ("text/javascript", ".js"),
    ("text/javascript", ".mjs"),
    ("application/manifest+json", ".webmanifest"),
    ("application/json", ".map"),
    ("application/wasm", ".wasm"),
    ("font/woff", ".woff"),
    ("font/woff2", ".woff2"),
    ("font/ttf", ".ttf"),
    ("font/otf", ".otf"),
    ("image/webp", ".webp"),
    ("image/avif", ".avif"),
    ("image/x-icon", ".ico"),
    ("text/markdown", ".md"),
):
    _KNOWN.add_type(_type, _suffix)


def guessed(path: str) -> str:
    """The type of a file of that name; empty for none that is known."""
    kind, encoding = _KNOWN.guess_type(path.rpartition("/")[2], strict=False)
    if kind is None or encoding is not None:
        return ""
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
