"""``email``: messages made and parsed, without the hooks that name classes and factories.

A parser writes on whatever a factory makes, a registry of headers makes classes of whatever it
holds, and a policy takes any attribute by name.
"""

import email
import email.generator
import email.headerregistry
import email.message
import email.parser
import email.policy
import email.utils
from collections.abc import Callable
from typing import Any

from executor.isolate.policy import kinds

_OPTIONS = frozenset(
    {
        "cte_type", "linesep", "mangle_from_", "max_line_length", "raise_on_defect",
        "refold_source", "utf8", "verify_generated_headers",
    }
)  # fmt: skip
"""What a worker may choose of a policy: plain values."""

_policy_base: Any = email.policy.Policy.__mro__[1]
_header_types = frozenset(
    kind for kind in vars(email.headerregistry).values() if isinstance(kind, type)
)


def _clone(self: Any, **options: Any) -> Any:
    """``clone`` of a policy.

    Raises:
        TypeError: an option is none of a worker's.
    """
    for name in options:
        if name not in _OPTIONS:
            raise TypeError(f"the policy's {name!r} cannot be chosen by a worker")
    return _library_clone(self, **options)


_library_clone: Callable[..., Any] = _policy_base.clone


def _add(self: Any, other: Any) -> Any:
    """``a + b`` of policies: the options of the second count."""
    if not isinstance(other, _policy_base) or type(other).__module__ not in _HOMES:
        raise TypeError("only policies can be added to a policy")
    return self.clone(**{n: v for n, v in vars(other).items() if n in _OPTIONS})


_HOMES = ("email.policy", "email._policybase")


def _header_class(self: Any, name: str) -> type:
    """The class of a header: one of the library's.

    Raises:
        TypeError: the registry holds another.
    """
    kind = self.registry.get(name.lower(), self.default_class)
    if kind not in _header_types or self.base_class not in _header_types:
        raise TypeError("a header's class is one of the library's")
    return type("_" + kind.__name__, (kind, self.base_class), {})


def install() -> None:
    """Put the checks in the library's classes."""
    type.__setattr__(_policy_base, "clone", _clone)
    type.__setattr__(_policy_base, "__add__", _add)
    type.__setattr__(email.headerregistry.HeaderRegistry, "__getitem__", _header_class)


def _checked_policy(policy: Any) -> Any:
    if type(policy).__module__ in _HOMES and isinstance(policy, _policy_base):
        return policy
    raise TypeError("the policy is one of email.policy")


def message_from_string(s: str, *, policy: Any = email.policy.compat32) -> Any:
    """``email.message_from_string``."""
    return email.message_from_string(s, policy=_checked_policy(policy))


def message_from_bytes(s: bytes, *, policy: Any = email.policy.compat32) -> Any:
    """``email.message_from_bytes``."""
    return email.message_from_bytes(s, policy=_checked_policy(policy))


class Parser:
    """``email.parser.Parser``."""

    def __init__(self, *, policy: Any = email.policy.compat32) -> None:
        self.policy = _checked_policy(policy)

    def parsestr(self, text: str, headersonly: bool = False) -> Any:
        """The message in the text."""
        parser: Any = email.parser.Parser(policy=_checked_policy(self.policy))
        return parser.parsestr(text, headersonly)

    def parse(self, fp: Any, headersonly: bool = False) -> Any:
        """The message in a file."""
        return self.parsestr(fp.read(), headersonly)


class BytesParser(Parser):
    """``email.parser.BytesParser``."""

    def parsebytes(self, text: bytes, headersonly: bool = False) -> Any:
        """The message in the bytes."""
        parser: Any = email.parser.BytesParser(policy=_checked_policy(self.policy))
        return parser.parsebytes(text, headersonly)

    def parse(self, fp: Any, headersonly: bool = False) -> Any:
        """The message in a file."""
        return self.parsebytes(fp.read(), headersonly)


def make_msgid(idstring: str | None = None, domain: str | None = None) -> str:
    """``email.utils.make_msgid``, whose domain is not looked up."""
    return email.utils.make_msgid(idstring, domain or "localhost")


EMAIL: dict[str, Any] = {
    "message_from_string": message_from_string,
    "message_from_bytes": message_from_bytes,
}
EMAIL_PARSER: dict[str, Any] = {"Parser": Parser, "BytesParser": BytesParser}
EMAIL_POLICY: dict[str, Any] = {
    "EmailPolicy": kinds.stand_in(
        email.policy.EmailPolicy, make=lambda **options: email.policy.default.clone(**options)
    ),
    "Compat32": kinds.stand_in(
        email.policy.Compat32, make=lambda **options: email.policy.compat32.clone(**options)
    ),
}
EMAIL_UTILS: dict[str, Any] = {"make_msgid": make_msgid}
