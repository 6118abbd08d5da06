"""Cookies of Cloister's own pages, which tenants neither see nor set.

A cookie belongs to a host, whatever the port. So a browser that is signed in to the dashboard sends
its session to the dispatcher on the same host as well, and a cookie that a tenant sets there
reaches the dashboard. Names that begin with ``cloister_`` therefore stop here, both ways.
"""

import re

from dispatcher.headers import Pairs

_OURS = re.compile(
    # What is no part of a name is passed over: browsers send the nameless cookie "=cloister_x=1" as
    # "cloister_x=1", and servers strip white space of every kind.
    r"[^!#$%&'*+\-.^_`|~0-9A-Za-z]*(?:__(?:Host|Secure)-)?cloister_",
    re.ASCII | re.IGNORECASE,
)


def hide_ours(pairs: Pairs) -> Pairs:
    """A request's fields without our cookies. The other cookies stay as they are, to the byte."""
    shown: Pairs = []
    for pair in pairs:
        if pair[0] != "cookie":
            shown.append(pair)
        elif kept := _others(pair[1]):
            shown.append(("cookie", kept))
    return shown


def sets_ours(value: str) -> bool:
    """Whether a ``Set-Cookie`` would set a cookie of ours."""
    return _OURS.match(value) is not None


def _others(value: str) -> str:
    cookies = value.split(";")
    others = [cookie for cookie in cookies if not _OURS.match(cookie)]
    if len(others) == len(cookies):
        return value
    return ";".join(others).lstrip(" ")
