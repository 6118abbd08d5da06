"""What differs between the languages of workers, for the isolate and its zygote."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from cloister.languages import FULL, RESTRICTED, Language
from executor.isolate import forgetting, full, policy
from executor.isolate.calls import Calls, Channel
from executor.isolate.loop import DoorLoop

LogHook = Callable[[str, str], None]


class Space(Protocol):
    """The modules of one worker version."""

    def supply(self, modules: dict[str, bytes], data: dict[str, bytes]) -> None:
        """Set what the space is made of, before anything is imported."""

    def run_main(self, main: str) -> dict[str, Any]:
        """Execute the main module; its namespace."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One language: how code is compiled, loaded and run, and what the zygote does for it.

    ``warm_up`` and ``forget_host`` take the top-level modules that the operator allows; the former
    also the names of the distributions that they are from.
    """

    language: Language
    warm_up: Callable[[Sequence[str], Sequence[str]], None]
    forget_host: Callable[[Sequence[str]], None]
    space: Callable[[Mapping[str, ModuleType]], Space]
    compile_sources: Callable[[dict[str, bytes], str], policy.CompileResult]
    format_traceback: Callable[[BaseException], str]
    set_environ: Callable[[Mapping[str, str]], None]
    set_log_hook: Callable[[LogHook], None]
    loop: Callable[[Channel, Calls], DoorLoop]
    forget: Callable[[Any], None] | None
    """Undoes a load in that space; None where too much is changed by one."""


DIALECTS: dict[str, Dialect] = {
    RESTRICTED: Dialect(
        language=RESTRICTED,
        warm_up=lambda _modules, _distributions: policy.warm_up(),
        forget_host=lambda _modules: forgetting.forget_host(),
        space=lambda given: policy.ModuleSpace({}, {}, given),
        compile_sources=policy.compile_sources,
        format_traceback=policy.format_traceback,
        set_environ=policy.set_environ,
        set_log_hook=policy.set_log_hook,
        loop=DoorLoop,
        forget=policy.ModuleSpace.forget,
    ),
    FULL: Dialect(
        language=FULL,
        warm_up=full.warm_up,
        forget_host=full.forget_host,
        space=full.ModuleSpace,
        compile_sources=full.compile_sources,
        format_traceback=full.format_traceback,
        set_environ=full.set_environ,
        set_log_hook=full.set_log_hook,
        loop=full.InlineLoop,
        forget=None,
    ),
}
"""By name. A name that is not here is no language."""
