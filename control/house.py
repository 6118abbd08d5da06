"""What the views work with: made once by the app factory, found through the running app."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import BoundedSemaphore

import redis
from flask import Flask, current_app

from cloister.blobs import Blobs
from cloister.registry import Registry
from cloister.secrets import Cipher
from cloister.settings import Settings
from control.bucket import Bucket
from control.budget import Budget
from control.checker import Checker
from control.compiler import Compiles
from control.places import Places

_KEY = "cloister"

STREAMS = 8
"""Open tails at once: each holds a thread, and the API needs some too."""

UPLOADS = 4
"""Large bodies held at once, of 64 MiB and more each. Four more wait, the rest is refused."""

UPLOAD_WAIT_S = 5.0

QUERIES = 6
"""Questions to databases at once: each holds a thread, for as long as a query may take."""

QUERY_WAIT_S = 2.0

ASKED_PER_S = 100
ASKED_AT_ONCE = 500
"""Names of which a proxy may ask whether they want certificates, which are not had that quickly."""


@dataclass(frozen=True, kw_only=True)
class House:
    """The control plane's parts. ``stopping`` says that this process is about to end."""

    settings: Settings
    registry: Registry
    blobs: Blobs
    compiler: Compiles
    redis: redis.Redis
    budget: Budget
    checker: Checker
    cipher: Cipher
    stopping: Callable[[], bool]
    streams: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(STREAMS))
    asked: Bucket = field(default_factory=lambda: Bucket(ASKED_PER_S, ASKED_AT_ONCE))
    queries: Places = field(
        default_factory=lambda: Places(QUERIES, waiting=QUERIES, wait_s=QUERY_WAIT_S)
    )
    uploads: Places = field(
        default_factory=lambda: Places(UPLOADS, waiting=UPLOADS, wait_s=UPLOAD_WAIT_S)
    )

    def install(self, app: Flask) -> None:
        """Make it what :func:`house` finds."""
        app.extensions[_KEY] = self


def house() -> House:
    """The parts of the app that serves the current request."""
    found: House = current_app.extensions[_KEY]
    return found
