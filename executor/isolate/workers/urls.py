"""URLs as the product's Request has them: absolute, with a path, and ASCII on the wire."""

import re
from urllib.parse import quote, urlsplit, urlunsplit

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")
_SAFE = "%/:?#[]@!$&'()*+,;=~-._"

"warm".encode("idna")  # loads the codec, which no file can be read for later


def absolute_url(url: object) -> str:
    """The URL, normalised. Raises ``TypeError`` if it is not absolute."""
    text = str(url).strip()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _invalid(text) from None
    if not parts.scheme or not host or _FORBIDDEN.search(parts.netloc):
        raise _invalid(text)
    netloc = _ascii_host(host, text)
    if port is not None and port != {"http": 80, "https": 443}.get(parts.scheme):
        netloc += f":{port}"
    if "@" in parts.netloc:
        netloc = f"{parts.netloc.rpartition('@')[0]}@{netloc}"
    path, query, fragment = (quote(each, safe=_SAFE) for each in parts[2:])
    return urlunsplit((parts.scheme, netloc, path or "/", query, fragment))


def fetchable_url(url: str) -> str:
    """The same URL, if fetch() may ask for it: http or https, and no password in it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise TypeError(f"Fetch API cannot load: {url}")
    if "@" in parts.netloc:
        raise TypeError(
            f"Request cannot be constructed from a URL that includes credentials: {url}"
        )
    return url


def _ascii_host(host: str, url: str) -> str:
    if ":" in host:
        return f"[{host}]"
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        raise _invalid(url) from None


def _invalid(url: str) -> TypeError:
    return TypeError(f"Invalid URL: {url}")
