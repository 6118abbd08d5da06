"""The full language: plain CPython, with the kernel's cell as the only wall.

Nothing here protects anything. It lets ordinary code run where there are no files, sockets or
threads: modules come from memory, what asks for a thread runs inline, and what a cell does not have
fails with an error that says so. See :mod:`executor.isolate.policy` for the restricted language.
"""

import sys

from executor.isolate.full.compiler import compile_sources
from executor.isolate.full.inline import InlineLoop
from executor.isolate.full.output import set_log_hook
from executor.isolate.full.space import ModuleSpace, set_environ
from executor.isolate.full.tracebacks import format_traceback
from executor.isolate.full.warming import forget_host, warm_up

__all__ = [
    "FULL_VERSION",
    "InlineLoop",
    "ModuleSpace",
    "compile_sources",
    "forget_host",
    "format_traceback",
    "set_environ",
    "set_log_hook",
    "warm_up",
]

_REVISION = 1
"""Raised whenever the compiled form changes: code of another revision is compiled again."""

FULL_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}-full-{_REVISION}"
"""Part of the key of compiled code, as ``POLICY_VERSION`` is for the restricted language."""
