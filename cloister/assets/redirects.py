"""The rules of ``_redirects``: the first that matches, those without wildcards before others."""

import re
from typing import NamedTuple

from cloister.assets.config import Config
from cloister.assets.patterns import Captures, compiled, substituted
from cloister.assets.quoting import quoted

LOCATION_CHARACTERS = 16 * 1024
"""Longest address that a redirect leads to; a longer one is no match."""

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Redirected(NamedTuple):
    """Where to. With status 200: the path to serve instead."""

    status: int
    location: str


class Redirects:
    """Rules, compiled."""

    def __init__(self, config: Config) -> None:
        self._static = {rule.source: rule for rule in config.static}
        self._dynamic = [(compiled(rule.source), rule) for rule in config.dynamic]

    def find(self, host: str, path: str, query: str) -> Redirected | None:
        """What becomes of a path as sent; None if no rule is about it."""
        rule = self._static.get(path)
        if rule is not None:
            return _redirected(rule.status, rule.target, {}, query)
        for pattern, rule in self._dynamic:
            captures = pattern.match(host, path)
            if captures is not None:
                return _redirected(rule.status, rule.target, captures, query)
        return None


def _redirected(status: int, target: str, captures: Captures, query: str) -> Redirected | None:
    location = substituted(target, captures, LOCATION_CHARACTERS)
    if location is None:
        return None
    location = quoted(location)
    location, mark, fragment = location.partition("#")
    location, _, own_query = location.partition("?")
    if not _ABSOLUTE.match(location):
        # One slash: with two, what follows would be another host, of the visitor's choice.
        location = "/" + re.sub(r"[/\\]{2,}", "/", location).lstrip("/\\")
    if status == 200:
        return Redirected(status, location)
    asked = own_query or query
    return Redirected(status, location + (f"?{asked}" if asked else "") + mark + fragment)
