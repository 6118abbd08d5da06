"""The text of a ``_redirects`` file."""

from dataclasses import dataclass, field

from cloister.assets import Redirect
from cloister.assets.patterns import PatternInvalid, compiled, has_wildcards
from cloister.assets.quoting import quoted
from control.envelope import Fault
from control.errors import REDIRECTS_INVALID, Refused

STATIC_RULES = 2_000
DYNAMIC_RULES = 100
LINE_CHARACTERS = 1_000
STATUSES = (200, 301, 302, 303, 307, 308)
MAX_FAULTS = 20

_INDEXES = ("/index", "/index.html")
_LOOP = (
    "Infinite loop detected in this rule. This would cause a redirect to strip `.html` or `/index` "
    "and end up triggering this rule again."
)


class _Ignored(ValueError):
    """A line that is not taken."""


@dataclass
class Parsed:
    """The rules, and what is to be said of lines that were ignored."""

    static: list[Redirect] = field(default_factory=list)
    dynamic: list[Redirect] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def parse(text: str, html_handling: str) -> Parsed:
    """Read it: lines that make no sense are ignored.

    Raises:
        Refused: a rule that would redirect for ever, or too many rules.
    """
    parsed = Parsed()
    loops: list[Fault] = []
    seen: set[str] = set()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.strip().startswith("#"):
            continue
        try:
            rule = _rule(line.strip(), seen)
        except (_Ignored, PatternInvalid) as exc:
            parsed.warnings.append(f"_redirects line {number}: {exc}")
            continue
        if _loops(rule, html_handling):
            loops.append(_fault(f"Line {number}: {_LOOP}"))
        seen.add(rule.source)
        (parsed.dynamic if has_wildcards(rule.source) else parsed.static).append(rule)
    faults = loops[:MAX_FAULTS] + _too_many(parsed)
    if faults:
        raise Refused(REDIRECTS_INVALID, faults=faults)
    return parsed


def _rule(line: str, seen: set[str]) -> Redirect:
    if len(line) > LINE_CHARACTERS:
        raise _Ignored(f"It exceeds the maximum allowed length of {LINE_CHARACTERS}.")
    tokens = line.split()
    if len(tokens) not in (2, 3):
        raise _Ignored(f"Expected exactly 2 or 3 whitespace-separated tokens. Got {len(tokens)}.")
    source, target = _source(tokens[0]), tokens[1]
    status = tokens[2] if len(tokens) == 3 else "302"
    if status not in map(str, STATUSES):
        raise _Ignored(
            f"Valid status codes are 200, 301, 302 (default), 303, 307, or 308. Got {status}."
        )
    if not target.startswith(("/", "https://")) or target.startswith("//"):
        raise _Ignored(
            "URLs should either be relative (e.g. begin with a forward-slash), or use HTTPS (e.g. "
            'begin with "https://").'
        )
    if status == "200" and not target.startswith("/"):
        raise _Ignored(f"Proxy (200) redirects can only point to relative paths. Got {target}")
    if source in seen:
        raise _Ignored(f"Ignoring duplicate rule for path {source}.")
    return Redirect(source, quoted(target), int(status))


def _source(token: str) -> str:
    if "://" in token:
        raise _Ignored(f"Only relative URLs are allowed. Skipping absolute URL {token}.")
    path = "/" + token.partition("#")[0].partition("?")[0].removeprefix("/")
    compiled(path)
    return quoted(path)


def _loops(rule: Redirect, html_handling: str) -> bool:
    if not rule.target.startswith("/") or not rule.target.endswith(_INDEXES):
        return False
    return rule.source.endswith("/*") or (rule.source.endswith("/") and html_handling != "none")


def _too_many(parsed: Parsed) -> list[Fault]:
    return [
        _fault(f"Maximum number of {kind} rules supported is {most}. There are {len(rules)}.")
        for kind, rules, most in (
            ("static", parsed.static, STATIC_RULES),
            ("dynamic", parsed.dynamic, DYNAMIC_RULES),
        )
        if len(rules) > most
    ]


def _fault(message: str) -> Fault:
    return Fault(
        REDIRECTS_INVALID.code,
        f"Invalid _redirects configuration:\n{message}",
        "/assets/config/_redirects",
    )
