"""Who asks, and whether they may.

``Authorization: Bearer`` with an API token. Missing, wrong, revoked or expired: 401. Valid but for
another account, another namespace, or only for reading: 403, whether or not the thing exists, so
that a token finds out nothing about what is not its own.

A token restricted to a namespace manages the scripts in it and reads the namespace itself. It does
not change the namespace (its limits and egress rules bound the token's holder too) and does not
reach stored data but by binding a KV namespace whose id it knows.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, current_app, g, request

from cloister.registry.views import TokenView
from control import throttle
from control.errors import FORBIDDEN, UNAUTHENTICATED, Refused
from control.house import house

View = TypeVar("View", bound=Callable[..., Any])

READING = frozenset({"GET", "HEAD", "OPTIONS"})


def install(api: Blueprint) -> None:
    """Guard every view of the blueprint and of those inside it.

    Requests are counted between the two: also those that a token may not make.
    """
    api.before_request(_identify)
    throttle.install(api)
    api.before_request(_permit)


def reads(view: View) -> View:
    """Mark a view whose method looks like a write but only reads."""
    view.reads = True  # type: ignore[attr-defined]  # functions have attributes
    return view


def any_token(view: View) -> View:
    """Mark a view that a token restricted to a namespace may use, though it is outside of it."""
    view.any_token = True  # type: ignore[attr-defined]  # functions have attributes
    return view


def admin(view: View) -> View:
    """Mark a view that only a token without restrictions may use."""
    view.admin = True  # type: ignore[attr-defined]  # functions have attributes
    return view


def bearer(header: str | None) -> str | None:
    """The token in an Authorization header."""
    scheme, _, text = (header or "").partition(" ")
    return text.strip() or None if scheme.lower() == "bearer" else None


def presented() -> str:
    """The token text of the current request, as sent."""
    return bearer(request.headers.get("Authorization")) or ""


def permits(
    token: TokenView,
    *,
    account_id: str | None,
    namespace: str | None,
    writes: bool,
    admin_only: bool = False,
    any_namespace: bool = False,
) -> bool:
    """Whether a token allows a request on this account and namespace (None: not about one)."""
    if account_id is not None and account_id != token.account_id:
        return False
    if admin_only and (token.read_only or token.namespace is not None):
        return False
    if writes and token.read_only:
        return False
    return token.namespace is None or any_namespace or namespace == token.namespace


def _identify() -> None:
    text = presented()
    token = house().registry.tokens.verify(text) if text else None
    if token is None:
        raise Refused(UNAUTHENTICATED)
    g.token = token


def _permit() -> None:
    view = current_app.view_functions[request.endpoint or ""]
    arguments = request.view_args or {}
    if not permits(
        g.token,
        # An account has one zone, under its own id.
        account_id=arguments.get("account_id", arguments.get("zone_id")),
        namespace=arguments.get("namespace"),
        writes=request.method not in READING and not hasattr(view, "reads"),
        admin_only=hasattr(view, "admin"),
        any_namespace=hasattr(view, "any_token"),
    ):
        raise Refused(FORBIDDEN)
