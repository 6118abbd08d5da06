"""The first account's credentials, as `cloister up` leaves them for people and for the CLI."""

import os
import tempfile
from pathlib import Path

import msgspec

FILE_NAME = "credentials.json"


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call the control API, and where it and the tenants' front door are."""

    account_id: str
    api_token: str
    control_url: str
    dispatch_url: str
    namespace: str


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
