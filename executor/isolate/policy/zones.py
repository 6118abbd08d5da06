"""Time zones without files: the zone data is read before the sandbox closes."""

import importlib.resources
import io
import zoneinfo
from pathlib import Path
from zoneinfo import _common

_data: dict[str, bytes] = {}


def load() -> None:
    """Read every zone that the host or the ``tzdata`` package has into memory."""
    for key in zoneinfo.available_timezones():
        if (data := _read(key)) is not None:
            _data[key] = data


def _read(key: str) -> bytes | None:
    for directory in zoneinfo.TZPATH:
        file = Path(directory, key)
        if file.is_file():
            return file.read_bytes()
    try:
        return importlib.resources.files("tzdata").joinpath("zoneinfo", key).read_bytes()
    except (ImportError, OSError):
        return None


def install() -> None:
    """Let ``zoneinfo`` take its data from memory only, in C as in Python."""
    zoneinfo.reset_tzpath(())
    _common.load_tzdata = _open  # type: ignore[assignment] # any binary file will do
    zoneinfo.available_timezones = lambda: set(_data)


def _open(key: str) -> io.BytesIO:
    """The data of a zone.

    Raises:
        ZoneInfoNotFoundError: the host has no such zone.
    """
    if key not in _data:
        raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
    return io.BytesIO(_data[key])
