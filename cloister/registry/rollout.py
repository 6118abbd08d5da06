"""Which of the versions that are deployed a request gets.

Only where two are: one that is deployed alone needs none of this.
"""

import hashlib
import random
import re
from collections.abc import Iterable

import msgspec

KEY_HEADER = "cloudflare-workers-version-key"
"""Requests with the same value get the same version, whoever sends it."""

OVERRIDE_HEADER = "cloudflare-workers-version-overrides"
"""A dictionary of RFC 8941: script name to the id of a version. Only the platform's own code may
say so; the front door drops what a client says."""

WHOLE = 100.0

_ENTRY = re.compile(r'\s*([a-z*][a-z0-9_.*-]*)="([0-9a-f-]{1,36})"\s*(?:;.*)?')


class Share(msgspec.Struct, frozen=True):
    """A version, and the percentage of requests that it gets."""

    version_id: str
    percentage: float


class Traffic(msgspec.Struct, frozen=True):
    """Versions of a script that are deployed together, the newest first. Percentages add up to
    100."""

    versions: list[Share]

    @property
    def main(self) -> str:
        """The version with the largest share; of two halves, the newer."""
        return max(self.versions, key=lambda share: share.percentage).version_id


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Several versions of one script that are live."""

    script_id: str
    script: str
    traffic: Traffic

    def pick(self, headers: Iterable[tuple[str, str]] = ()) -> str:
        """The id of a request's version: what an override says, if that is deployed; else what its
        key says; else a draw. ``headers`` are in lower case."""
        said = {KEY_HEADER: "", OVERRIDE_HEADER: ""}
        for name, value in headers:
            if name in said:
                said[name] = f"{said[name]}, {value}" if said[name] else value
        overridden = _overrides(said[OVERRIDE_HEADER]).get(self.script)
        if any(share.version_id == overridden for share in self.traffic.versions):
            return str(overridden)
        key = said[KEY_HEADER]
        return self._at(_point(self.script_id, key) if key else random.random() * WHOLE)  # noqa: S311 - nothing is secret in it

    def _at(self, point: float) -> str:
        """The version at a point from 0 to below 100. The newest has the lowest ones, so that as
        its share grows no key goes back to an older one."""
        reached = 0.0
        chosen = self.traffic.main
        for share in self.traffic.versions:
            reached += share.percentage
            if share.percentage:
                chosen = share.version_id
            if point < reached:
                break
        return chosen


def _point(script_id: str, key: str) -> float:
    """Where a key stands, 0 to below 100: the same for a script as long as it lives."""
    digest = hashlib.sha256(f"{script_id}\0{key}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48 * WHOLE


def _overrides(text: str) -> dict[str, str]:
    found = (_ENTRY.fullmatch(entry) for entry in text.split(","))
    return {entry[1]: entry[2] for entry in found if entry}
