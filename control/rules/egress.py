"""Patterns of a namespace's egress lists: a host, ``*.`` and a domain, or ``*``."""

import ipaddress
import re

from control.errors import MALFORMED_PARAMETER, Refused

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"\*|(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")


def patterns(texts: list[str], kind: str) -> list[str]:
    """The patterns of ``kind`` (allow or deny), lower case.

    Raises:
        Refused: one of them would match nothing, or not what its writer means.
    """
    found = [text.lower() for text in texts]
    for index, pattern in enumerate(found):
        if len(pattern) > 255 or not (_HOST.fullmatch(pattern) or _is_address(pattern)):
            raise Refused(
                MALFORMED_PARAMETER,
                f"{pattern[:100]!r} is not a host, *.DOMAIN or *.",
                pointer=f"/egress/{kind}/{index}",
            )
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
