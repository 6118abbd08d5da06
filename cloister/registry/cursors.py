"""Opaque cursors: where a listing goes on."""

import base64
import binascii

from cloister.errors import Invalid


def encode_cursor(last: bytes) -> str:
    """The cursor that goes on after this key."""
    return base64.urlsafe_b64encode(last).decode()


def decode_cursor(cursor: str) -> bytes:
    """Undo :func:`encode_cursor`.

    Raises:
        Invalid: it was made by nobody here.
    """
    try:
        return base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as exc:
        raise Invalid("That cursor is not one of ours.") from exc
