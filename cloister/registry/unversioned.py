"""Settings of a script that no version has of its own: they stay when another one is deployed."""

from typing import Any

NAMES = ("logpush", "observability", "tail_consumers")

Settings = dict[str, Any]


def picked(settings: Settings) -> Settings:
    """Those of them that are said."""
    return {name: settings[name] for name in NAMES if name in settings}


def merged(version: Settings, script: Settings | None) -> Settings:
    """The settings that hold while a version is live: its own, and the script's."""
    if script is None:
        return version
    return {name: value for name, value in version.items() if name not in NAMES} | script
