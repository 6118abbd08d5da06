"""Text of visitors and tenants on its way into a header field."""

from urllib.parse import quote

_URL = "!#$%&'()*+,/:;=?@[]^_|~-.\\"


def quoted(text: str) -> str:
    """As part of a URL: what is no printable ASCII character is percent-encoded."""
    return quote(text, safe=_URL)
