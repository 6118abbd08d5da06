"""Wall 1: the language of workers.

At upload :func:`compile_sources` refuses what reaches into the interpreter and rewrites what only
run time can decide; in the isolate :class:`ModuleSpace` runs the result among guarded builtins and
facades of the standard library. It bounds neither CPU nor memory: the executor does.
"""

import sys

from executor.isolate.policy.compiler import CompileResult, compile_sources
from executor.isolate.policy.facades.system import set_environ
from executor.isolate.policy.modules import ModuleSpace
from executor.isolate.policy.output import set_log_hook
from executor.isolate.policy.tracebacks import format_traceback
from executor.isolate.policy.warming import warm_up

__all__ = [
    "POLICY_VERSION",
    "CompileResult",
    "ModuleSpace",
    "compile_sources",
    "format_traceback",
    "set_environ",
    "set_log_hook",
    "warm_up",
]

_REVISION = 6
"""Raised whenever the compiled form changes: code of another revision is compiled again."""

POLICY_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}-{_REVISION}"
"""Part of the key of compiled code: marshalled code is valid for one Python and one policy."""
