"""What is said about a version or deployment, for people."""

from typing import Any

from control.errors import MALFORMED_PARAMETER, VALIDATION_FAILED, Problem, Refused

MESSAGE = "workers/message"
TAG = "workers/tag"
TRIGGERED_BY = "workers/triggered_by"

MESSAGE_BYTES = 1_000
TAG_BYTES = 100

_LONGEST = {
    TAG: TAG_BYTES,
    "workers/alias": 255,
    "workers/commit_sha": 64,
    "workers/pull_request_number": 20,
    "workers/pull_request_title": 512,
    "workers/pull_request_url": 512,
    "workers/repository_url": 512,
}
"""Bytes. A message is cut off instead."""


def check(kept: dict[str, Any]) -> None:
    """Bring the annotations of an upload's settings into shape, in place.

    Raises:
        Refused: one is no text, or too long.
    """
    if "annotations" in kept:
        kept["annotations"] = _checked(kept["annotations"])


def message(said: dict[str, Any] | None) -> str:
    """The message of a deployment's annotations; others mean nothing there. Raises as above."""
    return _checked({MESSAGE: (said or {}).get(MESSAGE) or ""}, MALFORMED_PARAMETER)[MESSAGE]


def shown(settings: dict[str, Any]) -> dict[str, str]:
    """Those of a version that are text; of an upload that went live at once any may be there."""
    return {
        name: value
        for name, value in settings.get("annotations", {}).items()
        if isinstance(value, str)
    }


def _checked(said: dict[str, Any], problem: Problem = VALIDATION_FAILED) -> dict[str, str]:
    found = {name: value for name, value in said.items() if value is not None}
    for name, value in found.items():
        pointer = f"/annotations/{name.replace('~', '~0').replace('/', '~1')}"
        if not isinstance(value, str):
            raise Refused(problem, f"{name[:64]} must be a string.", pointer=pointer)
        longest = _LONGEST.get(name)
        if longest is not None and len(value.encode()) > longest:
            raise Refused(problem, f"{name} has at most {longest} bytes.", pointer=pointer)
    if MESSAGE in found:
        cut = found[MESSAGE].encode()[:MESSAGE_BYTES]
        found[MESSAGE] = cut.decode(errors="ignore")
    return found
