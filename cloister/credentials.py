"""The first account's credentials, as `cloister up` leaves them for people and for the CLI."""

import os
import tempfile
from pathlib import Path

import msgspec

from cloister import addresses
from cloister.settings import Settings

FILE_NAME = "credentials.json"


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call the control API, and where it and the tenants' front door are."""

    account_id: str
    api_token: str
    control_url: str
    dispatch_url: str
    namespace: str


def of(settings: Settings, account_id: str, api_token: str) -> Credentials:
    """Those of this account, with what else the settings say."""
    return Credentials(
        account_id=account_id,
        api_token=api_token,
        control_url=addresses.url(settings.control_bind),
        dispatch_url=addresses.url(settings.dispatch_bind),
        namespace=settings.default_namespace,
    )


def kept(settings: Settings) -> Credentials | None:
    """What was saved, if the settings still say the same."""
    saved = load(settings.data_dir)
    if saved is None:
        return None
    account_id = settings.account_id or saved.account_id
    api_token = settings.api_token or saved.api_token
    return saved if saved == of(settings, account_id, api_token) else None


def load(data_dir: Path) -> Credentials | None:
    """What was saved in this data directory, if anything."""
    try:
        text = (data_dir / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(text, type=Credentials)


def save(data_dir: Path, credentials: Credentials) -> None:
    """Write them, readable by our user only; a reader sees the old file or the new one."""
    text = msgspec.json.format(msgspec.json.encode(credentials), indent=2) + b"\n"
    descriptor, name = tempfile.mkstemp(dir=data_dir, prefix=f".{FILE_NAME}-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(data_dir / FILE_NAME)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
