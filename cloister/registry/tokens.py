"""API tokens: shown once, kept as digests.

The text has 256 bits of entropy, so that a plain SHA-256 of it cannot be searched for, and looking
it up by an index tells nothing about it.
"""

import builtins
import hashlib
import secrets

from sqlalchemy import Select, delete, select
from sqlalchemy.exc import IntegrityError

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry.database import Database, now_ms
from cloister.registry.models import Account, ApiToken, Namespace
from cloister.registry.names import check_title, new_id
from cloister.registry.namespaces import namespace_row
from cloister.registry.views import NewToken, TokenView

PREFIX = "cloister_"
"""So that scanners of leaked secrets can know one."""

TEXT_CHARACTERS = 16
"""Shortest text of a token that the operator chose."""


class Tokens:
    """Makes, checks and revokes API tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        account_id: str,
        name: str,
        *,
        read_only: bool = False,
        namespace: str | None = None,
        expires_at: int | None = None,
        text: str | None = None,
    ) -> NewToken:
        """Make a token. ``expires_at`` is epoch ms; ``text`` fixes it (the operator's own).

        Raises:
            NotFound: there is no such account, or no such namespace in it.
            Conflict: a token of this text exists.
            Invalid: the name is not printable, or the text too short.
        """
        if text is not None and len(text) < TEXT_CHARACTERS:
            raise Invalid(f"A token has at least {TEXT_CHARACTERS} characters.")
        text = text or PREFIX + secrets.token_urlsafe(32)
        token = ApiToken(
            id=new_id(),
            account_id=account_id,
            name=check_title(name, "Token name"),
            digest=_digest(text),
            read_only=read_only,
            created_at=now_ms(),
            expires_at=expires_at,
        )
        try:
            self._add(token, namespace)
        except IntegrityError as exc:
            raise Conflict("A token of this text exists.") from exc
        return NewToken(text=text, token=_view(token, namespace))

    def verify(self, text: str) -> TokenView | None:
        """What this token may do; None if it is unknown, revoked or expired."""
        with self._database.read() as session:
            row = session.execute(_tokens().where(ApiToken.digest == _digest(text))).one_or_none()
        if row is None:
            return None
        token, namespace = row
        if token.expires_at is not None and token.expires_at <= now_ms():
            return None
        return _view(token, namespace)

    def list(self, account_id: str) -> builtins.list[TokenView]:
        """The account's tokens, expired ones too, oldest first."""
        query = _tokens().where(ApiToken.account_id == account_id)
        with self._database.read() as session:
            rows = session.execute(query.order_by(ApiToken.created_at, ApiToken.id))
            return [_view(token, namespace) for token, namespace in rows]

    def roll(self, account_id: str, token_id: str) -> NewToken:
        """Give a token another text; the one that it had is refused from now on.

        Raises:
            NotFound: the account has no such token.
        """
        text = PREFIX + secrets.token_urlsafe(32)
        mine = (ApiToken.account_id == account_id) & (ApiToken.id == token_id)
        with self._database.write() as work:
            found = work.execute(_tokens().where(mine)).one_or_none()
            if found is None:
                raise NotFound("The account has no such token.")
            token, namespace = found
            token.digest = _digest(text)
        return NewToken(text=text, token=_view(token, namespace))

    def revoke(self, account_id: str, token_id: str) -> None:
        """Delete a token; it is refused from now on.

        Raises:
            NotFound: the account has no such token.
        """
        mine = (ApiToken.account_id == account_id) & (ApiToken.id == token_id)
        with self._database.write() as work:
            if not work.rows_changed(delete(ApiToken).where(mine)):
                raise NotFound("The account has no such token.")

    def _add(self, token: ApiToken, namespace: str | None) -> None:
        with self._database.write() as work:
            if work.get(Account, token.account_id) is None:
                raise NotFound("No account has this id.")
            if namespace is not None:
                token.namespace_id = namespace_row(work, token.account_id, namespace).id
            work.add(token)


def _tokens() -> Select[ApiToken, str | None]:
    """Tokens, each with the present name of the namespace it is restricted to."""
    return select(ApiToken, Namespace.name).outerjoin(
        Namespace, ApiToken.namespace_id == Namespace.id
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _view(token: ApiToken, namespace: str | None) -> TokenView:
    return TokenView(
        id=token.id,
        account_id=token.account_id,
        name=token.name,
        read_only=token.read_only,
        namespace=namespace,
        created_at=token.created_at,
        expires_at=token.expires_at,
    )
