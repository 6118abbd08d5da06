"""Everything that a worker may need is loaded before the sandbox closes."""

import datetime as dt
import decimal
import encodings.idna
import mimetypes
import time
import typing
import zoneinfo

from executor.isolate.env import BINDINGS, Env
from executor.isolate.policy import tripwire
from executor.isolate.policy.compiler import compile_sources
from executor.isolate.policy.facades import encodings as encodings_
from executor.isolate.policy.facades import library
from executor.isolate.policy.hardening import harden
from executor.isolate.policy.receivers import guard
from executor.isolate.workers.facade import facades as platform_modules

_WARM_SOURCE = b"""
import dataclasses, datetime, asyncio
@dataclasses.dataclass
class Point:
    x: int = 0
    def __init_subclass__(cls, **kw): super().__init_subclass__(**kw)
async def main():
    return [f"{p!r:>10}" async for p in Point()]
"""


def warm_up() -> None:
    """Import every facade's real module and what those load lazily. Called in the zygote."""
    mimetypes.init(files=[])
    harden()  # before the facades are made: some of what it replaces is in them
    library()
    for module in platform_modules(Env()).values():
        guard(vars(module).values())
    guard(BINDINGS.values())
    load_late_parts()
    result = compile_sources({"warm.py": _WARM_SOURCE}, "warm.py")
    if result.errors:
        raise RuntimeError(f"the language policy does not work here: {result.errors[0].message}")
    forget_annotations()
    tripwire.install()


def forget_annotations() -> None:
    """Empty the caches of ``typing``.

    They compare what a worker's annotations hold with what the library's do, some of which a worker
    must not hold.
    """
    for clear in vars(typing)["_cleanups"]:
        clear()


def load_late_parts() -> None:
    """Let the library load what it would only load, or read from a file, at its first use."""
    encodings_.load()
    dt.datetime.strptime("2000-01-01", "%Y-%m-%d")  # noqa: DTZ007 - loads _strptime
    time.strptime("2000", "%Y")
    encodings.idna.nameprep("a")
    str(decimal.Decimal(1) / 3)
    zoneinfo.ZoneInfo("UTC")
