"""The text of a ``_headers`` file."""

import re
from dataclasses import dataclass, field

from cloister.assets import HeaderRule
from cloister.assets.patterns import PatternInvalid, compiled
from cloister.assets.quoting import quoted
from control.errors import VALIDATION_FAILED, Refused

MAX_RULES = 100
LINE_CHARACTERS = 2_000
TEXT_CHARACTERS = 256 * 1024

OURS = frozenset(
    {
        *("connection", "content-length", "content-range", "date", "keep-alive", "server"),
        *("proxy-authenticate", "proxy-connection", "te", "trailer", "transfer-encoding"),
        *("upgrade", "x-cloister-request-id"),
    }
)
"""Fields that frame a response, or are the front door's: no rule sets or removes them."""

_PATH = re.compile(r"/|\S+://")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]+")


class _Ignored(ValueError):
    """A line that is not taken."""


@dataclass
class Parsed:
    """The rules, and what is to be said of lines that were ignored."""

    rules: list[HeaderRule] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def parse(text: str) -> Parsed:
    """Read it: lines that make no sense are ignored.

    Raises:
        Refused: it has too many rules, or is too long.
    """
    if len(text) > TEXT_CHARACTERS:
        raise _refused(f"It is longer than {TEXT_CHARACTERS} characters.")
    parsed = Parsed()
    rule: HeaderRule | None = None
    for number, line in enumerate(text.split("\n"), 1):
        said = line.strip()
        if not said or said.startswith("#"):
            continue
        try:
            if _PATH.match(said):
                rule = None  # what follows a pattern that is ignored is ignored with it
                rule = HeaderRule(_pattern(said), [], [])
                parsed.rules.append(rule)
            else:
                _add(rule, said)
        except (_Ignored, PatternInvalid) as exc:
            parsed.warnings.append(f"_headers line {number}: {exc}")
    parsed.rules = [rule for rule in parsed.rules if rule.set or rule.unset]
    if len(parsed.rules) > MAX_RULES:
        raise _refused(f"Maximum number of rules supported is {MAX_RULES}.")
    return parsed


def _pattern(said: str) -> str:
    _check_length(said)
    if not said.startswith(("/", "https://")):
        raise _Ignored("URLs should either be relative, or use HTTPS.")
    if re.match(r"https://[^/]*:\d+(/|$)", said):
        raise _Ignored(f"Specifying ports is not supported. Skipping absolute URL {said}.")
    pattern = quoted(said)
    compiled(pattern)
    return pattern


def _check_length(said: str) -> None:
    if len(said) > LINE_CHARACTERS:
        raise _Ignored(f"It exceeds the maximum allowed length of {LINE_CHARACTERS}.")


def _add(rule: HeaderRule | None, said: str) -> None:
    """Add what a line says to the rule, which nobody else has yet."""
    _check_length(said)
    if rule is None:
        raise _Ignored("Path should come before header.")
    name, colon, value = said.partition(":")
    if not colon:
        if not said.startswith("!"):
            raise _Ignored("Expected a colon-separated header pair (e.g. name: value).")
        rule.unset.append(_name(said.removeprefix("!").strip()))
        return
    name, value = _name(name.strip()), value.strip()
    if not _VALUE.fullmatch(value):
        raise _Ignored("The value is missing, or has characters that a header cannot have.")
    for at, (known, old) in enumerate(rule.set):
        if known == name:
            rule.set[at] = name, f"{old}, {value}"
            return
    rule.set.append((name, value))


def _name(text: str) -> str:
    name = text.lower()
    if not _NAME.fullmatch(name):
        raise _Ignored("That is no header name.")
    if name in OURS:
        raise _Ignored(f"{name} cannot be set or removed.")
    return name


def _refused(message: str) -> Refused:
    return Refused(
        VALIDATION_FAILED,
        f"Invalid _headers configuration: {message}",
        pointer="/assets/config/_headers",
    )
