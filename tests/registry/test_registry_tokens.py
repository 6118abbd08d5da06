"""Accounts and API tokens."""

import hashlib

import pytest
from sqlalchemy import text

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry import Registry
from cloister.registry.database import now_ms


def test_accounts(registry: Registry) -> None:
    """An account is made once for an id, whoever asks, and found by it."""
    made = registry.accounts.ensure("a" * 32, "Acme")
    assert registry.accounts.ensure("a" * 32, "Another") == made
    other = registry.accounts.create("Other")
    assert registry.accounts.list() == [made, other]
    with pytest.raises(NotFound):
        registry.accounts.get("0" * 32)


@pytest.mark.parametrize(
    "account_id", ["", "A" * 32, "a" * 31, "a" * 33, "g" * 32, "a" * 32 + "\n"]
)
def test_an_account_id_that_cannot_be(registry: Registry, account_id: str) -> None:
    """An account id is 32 lower-case hex digits and nothing else."""
    with pytest.raises(Invalid):
        registry.accounts.ensure(account_id, "Acme")


def test_a_token_opens_its_account(registry: Registry, account: str, namespace: str) -> None:
    """The text is told once and means what was asked for."""
    plain = registry.tokens.create(account, "all")
    narrow = registry.tokens.create(
        account, "narrow", read_only=True, namespace="production", expires_at=now_ms() + 60_000
    )
    assert registry.tokens.verify(plain.text) == plain.token
    assert (plain.token.account_id, plain.token.read_only, plain.token.namespace) == (
        account,
        False,
        None,
    )
    seen = registry.tokens.verify(narrow.text)
    assert seen == narrow.token
    assert (seen.read_only, seen.namespace) == (True, "production")
    assert registry.tokens.list(account) == [plain.token, narrow.token]


def test_texts_differ_and_are_long(registry: Registry, account: str) -> None:
    """256 bits of entropy, and a prefix that scanners know."""
    texts = {registry.tokens.create(account, "x").text for _ in range(10)}
    assert len(texts) == 10
    assert all(each.startswith("cloister_") and len(each) == 52 for each in texts)


def test_only_the_digest_is_stored(registry: Registry, account: str) -> None:
    """Whoever reads the table cannot use a token."""
    made = registry.tokens.create(account, "x")
    with registry.tokens._database.read() as session:
        rows = repr(session.execute(text("SELECT * FROM api_tokens")).all())
    assert made.text not in rows
    assert hashlib.sha256(made.text.encode()).hexdigest() in rows


@pytest.mark.parametrize("guess", ["", "x", "cloister_" + "A" * 43, "\0", "\ud800", "ä" * 1000])
def test_other_texts_open_nothing(registry: Registry, account: str, guess: str) -> None:
    """Whatever a client sends as a token is answered by yes or no, never by an error."""
    registry.tokens.create(account, "x")
    assert registry.tokens.verify(guess) is None


def test_an_expired_token_is_refused(registry: Registry, account: str) -> None:
    """A token ends at its very millisecond; the list still shows it."""
    made = registry.tokens.create(account, "x", expires_at=now_ms())
    assert registry.tokens.verify(made.text) is None
    assert registry.tokens.list(account) == [made.token]


def test_revoke(registry: Registry, account: str) -> None:
    """A revoked token is refused from then on; another account cannot revoke it."""
    made = registry.tokens.create(account, "x")
    other = registry.accounts.create("Other").id
    with pytest.raises(NotFound):
        registry.tokens.revoke(other, made.token.id)
    assert registry.tokens.verify(made.text) is not None
    registry.tokens.revoke(account, made.token.id)
    assert registry.tokens.verify(made.text) is None
    with pytest.raises(NotFound):
        registry.tokens.revoke(account, made.token.id)


def test_a_restriction_follows_a_rename(registry: Registry, account: str, namespace: str) -> None:
    """It never passes to a later namespace of the old name."""
    made = registry.tokens.create(account, "x", namespace="production")
    registry.namespaces.update(account, "production", new_name="live")
    registry.namespaces.create(account, "production")
    assert registry.tokens.verify(made.text).namespace == "live"


def test_the_operators_own_text(registry: Registry, account: str) -> None:
    """A text may be given, once, if it cannot be guessed at once."""
    text = "0123456789abcdef"
    assert registry.tokens.create(account, "x", text=text).text == text
    assert registry.tokens.verify(text).account_id == account
    with pytest.raises(Conflict):
        registry.tokens.create(account, "again", text=text)
    with pytest.raises(Invalid):
        registry.tokens.create(account, "x", text="short")


def test_a_token_needs_what_it_is_for(registry: Registry, account: str, namespace: str) -> None:
    """No token for a missing account, or for a namespace of another one."""
    other = registry.accounts.create("Other").id
    with pytest.raises(NotFound):
        registry.tokens.create("0" * 32, "x")
    with pytest.raises(NotFound):
        registry.tokens.create(other, "x", namespace="production")
    assert registry.tokens.list(other) == []
