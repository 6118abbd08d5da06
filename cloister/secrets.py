"""Encryption at rest: AES-256-GCM under a key derived from the operator's secret.

It keeps secrets from whoever reads the database or a backup of it. It does not keep them from
whoever reads this process's memory, its environment or the key file.
"""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cloister.errors import NotReady, SettingInvalid
from cloister.settings import Settings, new_key

KEY_CHARACTERS = 32
"""Shortest secret key. The derivation does not stretch a guessable one."""

NONCE_BYTES = 12


class Cipher:
    """Seals bytes for one place: what is sealed ``about`` one thing opens for no other."""

    def __init__(self, secret_key: str) -> None:
        if len(secret_key) < KEY_CHARACTERS:
            raise SettingInvalid(
                f"CLOISTER_SECRET_KEY must have at least {KEY_CHARACTERS} characters."
            )
        self._aead = AESGCM(_derived(secret_key, b"cloister secrets v1"))
        self.token_key = _derived(secret_key, b"cloister tokens v1")
        """Signs what we give out to be shown to us again."""

    def seal(self, data: bytes, about: str) -> bytes:
        """Encrypt and authenticate, bound to ``about``."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, data, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes:
        """Undo :meth:`seal`.

        Raises:
            NotReady: sealed under another key or about another thing, or damaged.
        """
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about.encode())
        except (InvalidTag, ValueError) as exc:
            raise NotReady("A stored secret does not open with this CLOISTER_SECRET_KEY.") from exc


def _derived(secret_key: str, purpose: bytes) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose)
    return derivation.derive(secret_key.encode())


def open_cipher(settings: Settings) -> Cipher:
    """The cipher of the operator's key, or of the one kept in the data directory.

    Raises:
        SettingInvalid: the key is too short, or others may read the key file.
    """
    return Cipher(settings.secret_key or _kept_key(settings.data_dir / "secret.key"))


def _kept_key(path: Path) -> str:
    if not path.exists():
        _create_key(path)
    if path.stat().st_mode & 0o077:
        raise SettingInvalid(f"Others may read {path}; run chmod 600 on it.")
    return path.read_text().strip()


def _create_key(path: Path) -> None:
    """Write a fresh key, whole or not at all; of processes that start together, one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(new_key())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
