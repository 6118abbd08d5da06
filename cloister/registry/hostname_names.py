"""What may be a custom hostname."""

import re
from functools import lru_cache

import idna

from cloister.errors import Invalid

HOSTNAME_CHARACTERS = 253
HOSTNAME_INVALID = 1407

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A name whose last label is one of these is an IPv4 address to browsers, however it is written."""


def canonical_hostname(text: str, domain: str) -> str:
    """The hostname as a Host header has it: lower case, punycode, no final dot.

    Raises:
        Invalid: a custom hostname of the platform of this domain cannot be that.
    """
    # Before anything else is done with it: encoding takes long for long texts.
    if len(text) > HOSTNAME_CHARACTERS + 1:
        raise _invalid(f"A hostname has at most {HOSTNAME_CHARACTERS} characters.")
    if "*" in text:
        raise _invalid("A name has no wildcard: say ssl.wildcard for the names below it.")
    name = _ascii(text).lower().removesuffix(".")
    if len(name) > HOSTNAME_CHARACTERS:
        raise _invalid(f"A hostname has at most {HOSTNAME_CHARACTERS} characters, as punycode too.")
    if not _HOSTNAME.fullmatch(name):
        raise _invalid(
            f"{text[:64]!r} is not a hostname: two or more labels of letters, digits and dashes, "
            "each of up to 63 characters and not beginning or ending with a dash; no port."
        )
    if _is_address(name):
        raise _invalid("An IP address cannot be a custom hostname.")
    if is_ours(name, domain):
        raise _invalid(f"{name!r} is of the platform's own domain, where workers are by name.")
    return name


@lru_cache(maxsize=4096)
def may_be_hostname(host: str, domain: str) -> bool:
    """Whether a custom hostname can be this, in lower case and without a final dot."""
    return (
        len(host) <= HOSTNAME_CHARACTERS
        and not is_ours(host, domain)
        and _HOSTNAME.fullmatch(host) is not None
        and not _is_address(host)
    )


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    try:
        return idna.encode(text, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as exc:
        raise _invalid(f"{text[:64]!r} is not an internationalized hostname: {exc}.") from exc


def _is_address(name: str) -> bool:
    return _NUMBER.fullmatch(name.rpartition(".")[2]) is not None


def is_ours(name: str, domain: str) -> bool:
    """Whether a name is the platform's domain or below it."""
    own = domain.lower().strip(".")
    return name == own or name.endswith(f".{own}")


def _invalid(message: str) -> Invalid:
    return Invalid(message, code=HOSTNAME_INVALID, pointer="/hostname")
