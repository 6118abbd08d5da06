"""Who is signed in: an encrypted cookie that names an API token, which is looked up each time.

The cookie holds no token text: whoever revokes the token ends the session, and a stolen cookie is
no API token. It is HttpOnly and SameSite=Strict, and Secure where the browser came over HTTPS.
"""

import base64
import binascii
import hmac
import ipaddress
import secrets
import time

import msgspec
from flask import Response, request

from cloister.errors import NotReady
from cloister.registry import TokenView
from control.house import house

COOKIE = "cloister_session"
ABOUT = "dashboard session"
LIFETIME_S = 12 * 3600


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What the cookie says. ``csrf`` is what each form must send back."""

    account_id: str
    token_id: str
    csrf: str
    until: float


def begin(response: Response, token: TokenView) -> None:
    """Sign in: set the cookie on the answer."""
    session = Session(
        account_id=token.account_id,
        token_id=token.id,
        csrf=secrets.token_urlsafe(24),
        until=time.time() + LIFETIME_S,
    )
    sealed = house().cipher.seal(msgspec.msgpack.encode(session), about=ABOUT)
    response.set_cookie(
        COOKIE,
        base64.urlsafe_b64encode(sealed).decode(),
        max_age=LIFETIME_S,
        httponly=True,
        samesite="Strict",
        secure=_came_over_https(),
    )


def end(response: Response) -> None:
    """Sign out: drop the cookie."""
    response.delete_cookie(COOKIE, httponly=True, samesite="Strict", secure=_came_over_https())


def current() -> tuple[Session, TokenView] | None:
    """The session of the request and its token, if both are still good."""
    session = _opened(request.cookies.get(COOKIE, ""))
    if session is None or session.until <= time.time():
        return None
    for token in house().registry.tokens.list(session.account_id):
        if token.id == session.token_id:
            alive = token.expires_at is None or token.expires_at > time.time() * 1000
            return (session, token) if alive else None
    return None


def form_is_ours(session: Session) -> bool:
    """Whether the posted form carries this session's CSRF token."""
    sent = request.form.get("csrf", "")
    return hmac.compare_digest(sent.encode(), session.csrf.encode())


def _opened(cookie: str) -> Session | None:
    try:
        sealed = base64.urlsafe_b64decode(cookie)
        return msgspec.msgpack.decode(house().cipher.open(sealed, about=ABOUT), type=Session)
    except (binascii.Error, ValueError, NotReady, msgspec.DecodeError):
        return None


def _came_over_https() -> bool:
    """By the connection, or by the word of a proxy that the operator trusts."""
    if request.is_secure:
        return True
    try:
        peer = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return False
    trusted = any(peer in network for network in house().settings.trusted_proxies)
    return trusted and request.headers.get("X-Forwarded-Proto") == "https"
