"""Checks claims on hostnames as they fall due, in threads of its own.

Every control process has one; a claim is leased to whoever takes it, so that any number may run.
"""

import logging
import threading

from cloister.errors import NotReady
from cloister.registry.claims import Claims
from control.proofs import Prover

THREADS = 4
"""Slow hosts of one customer hold up others' checks when there are so many of them."""

POLL_S = 5.0
"""How long a claim may go unnoticed that another process was told of."""

log = logging.getLogger(__name__)


class Checker:
    """Start it after a fork; its threads end with the process."""

    def __init__(self, claims: Claims, prover: Prover) -> None:
        self._claims = claims
        self._prover = prover
        self._awake = threading.Event()
        self._stopping = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to check."""
        self._threads = [
            threading.Thread(target=self._run, name=f"check-{number}", daemon=True)
            for number in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, after the checks under way."""
        self._stopping = True
        self._awake.set()
        for thread in self._threads:
            thread.join()

    def wake(self) -> None:
        """Something is due now."""
        self._awake.set()

    def _run(self) -> None:
        while not self._stopping:
            if not self._check_one():
                self._awake.wait(POLL_S)
                if not self._stopping:
                    self._awake.clear()

    def _check_one(self) -> bool:
        try:
            claim = self._claims.take()
            if claim is None:
                return False
            verdict, errors = self._prover.check(claim)
            self._claims.conclude(claim, verdict, errors)
        except NotReady as exc:
            log.warning("hostnames are not checked: %s", exc)
            return False
        except Exception:
            # The lease ends by itself, and the claim is checked again.
            log.exception("a hostname could not be checked")
            return False
        return True
