"""Encryption at rest, and the key it hangs on."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloister.errors import NotReady, SettingInvalid
from cloister.secrets import Cipher, open_cipher
from cloister.settings import Settings, new_key

KEY = new_key()


def test_sealed_opens_again() -> None:
    """The same key and the same purpose open it; the text is nowhere in it."""
    sealed = Cipher(KEY).seal(b"hush-hush", about="version-1")
    assert b"hush" not in sealed
    assert Cipher(KEY).open(sealed, about="version-1") == b"hush-hush"


def test_sealing_twice_differs() -> None:
    """Equal secrets cannot be seen to be equal."""
    cipher = Cipher(KEY)
    assert cipher.seal(b"x", about="a") != cipher.seal(b"x", about="a")


def test_nothing_else_opens_it() -> None:
    """Not another key, not for another purpose, not with one bit changed or cut short."""
    sealed = Cipher(KEY).seal(b"hush-hush", about="version-1")
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for cipher, data, about in (
        (Cipher(new_key()), sealed, "version-1"),
        (Cipher(KEY), sealed, "version-2"),
        (Cipher(KEY), flipped, "version-1"),
        (Cipher(KEY), sealed[:20], "version-1"),
        (Cipher(KEY), b"", "version-1"),
    ):
        with pytest.raises(NotReady, match="CLOISTER_SECRET_KEY"):
            cipher.open(data, about=about)


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    """A key that could be guessed stops the start-up; nothing is generated instead."""
    with pytest.raises(SettingInvalid, match="32 characters"):
        open_cipher(Settings(data=str(tmp_path), secret_key="short"))
    assert list(tmp_path.iterdir()) == []


def test_the_key_is_generated_once(tmp_path: Path) -> None:
    """Without a setting a key is kept in the data directory, for its owner alone."""
    settings = Settings(data=str(tmp_path / "data"))
    sealed = open_cipher(settings).seal(b"x", about="a")
    path = tmp_path / "data" / "secret.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_cipher(settings).open(sealed, about="a") == b"x"
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_start_together_share_a_key(tmp_path: Path) -> None:
    """Whoever comes first makes the key; nobody seals under another one, or reads half of it."""
    settings = Settings(data=str(tmp_path / "data"))
    with ThreadPoolExecutor(8) as pool:
        ciphers = list(pool.map(lambda _: open_cipher(settings), range(8)))
    sealed = ciphers[0].seal(b"x", about="a")
    assert all(cipher.open(sealed, about="a") == b"x" for cipher in ciphers)


def test_a_key_file_that_others_may_read(tmp_path: Path) -> None:
    """It is refused, and the message says what to do."""
    settings = Settings(data=str(tmp_path))
    open_cipher(settings)
    (tmp_path / "secret.key").chmod(0o644)
    with pytest.raises(SettingInvalid, match="chmod 600"):
        open_cipher(settings)
