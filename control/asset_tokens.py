"""Tokens of asset uploads: a session's, and the one that says that all of it has come.

JSON web tokens, signed with a key of our own. A token names its session and is good for nothing
else; what the session is about is the registry's to say.
"""

import time
from typing import Literal

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jwt import JWTClaimsRegistry

from cloister.registry.assets import LIFE_S
from control.house import house

ISSUER = "cloister/assets"
ALGORITHM = "HS256"
TOKEN_CHARACTERS = 2_000

Use = Literal["upload", "complete"]


def issue(session_id: str, account_id: str, use: Use) -> str:
    """A token for a session."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": session_id,
        "aud": account_id,
        "use": use,
        "iat": now,
        "exp": now + LIFE_S,
    }
    return jwt.encode({"alg": ALGORITHM, "typ": "JWT"}, claims, _key())


def session_of(token: str, account_id: str, use: Use) -> str | None:
    """The session that a token of that account and use names; None if it is no such token."""
    if len(token) > TOKEN_CHARACTERS:
        return None
    registry = JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": account_id},
        use={"essential": True, "value": use},
        sub={"essential": True},
        exp={"essential": True},
    )
    try:
        claims = jwt.decode(token, _key(), algorithms=[ALGORITHM]).claims
        registry.validate(claims)
    except (JoseError, ValueError):
        return None
    return str(claims["sub"])


def _key() -> OctKey:
    return OctKey.import_key(house().cipher.token_key)
