"""The second wall: what the kernel keeps from an isolate, whatever code runs in it.

One file per kernel facility; here, the order. :func:`enclose` is for the zygote, once;
:func:`lock_down` for each isolate after its fork. Each stops at the first step that fails.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

from executor.sandbox import (
    identity,
    landlock,
    limits,
    namespaces,
    priority,
    process,
    seccomp,
)
from executor.sandbox.syscalls import DOOR_DESCRIPTOR

__all__ = ["DOOR_DESCRIPTOR", "ISOLATE_STEPS", "Step", "StepFailed", "enclose", "lock_down"]


@dataclass(frozen=True)
class Step:
    """Part of the wall. ``facility`` is the name in the report of ``cloister doctor``."""

    facility: str
    apply: Callable[[], None]


class StepFailed(Exception):
    """A step of the sandbox could not be taken. Nothing may run.

    Attributes:
        facility: the step's name.
        position: its place in the list.
    """

    def __init__(self, facility: str, position: int, cause: BaseException) -> None:
        super().__init__(f"{facility}: {cause}")
        self.facility = facility
        self.position = position


_LEAVE_ROOT = Step("identity", identity.leave_root)

ENCLOSURE_STEPS = (
    Step("session", priority.stand_apart),
    Step("user", namespaces.unshare_user),
    Step("net", namespaces.unshare_net),
    Step("ipc", namespaces.unshare_ipc),
    Step("uts", namespaces.unshare_uts),
    Step("cgroup", namespaces.unshare_cgroup),
    Step("pid", namespaces.unshare_pid),
    Step("mount", namespaces.unshare_mount),
    Step("nesting", namespaces.forbid_nesting),
    Step("mount", namespaces.empty_root),
    Step("capabilities", identity.drop_capabilities),
)
"""The zygote's, in order: the user namespace before the others, since it gives the right to make
them; the file system towards the end, since the steps before need ``/proc``."""

ISOLATE_STEPS = (
    Step("parent", process.die_with_parent),
    Step("group", process.own_group),
    Step("priority", priority.step_back),
    Step("rlimits", limits.limit_resources),
    Step("capabilities", identity.drop_capabilities),
    Step("no_new_privs", process.no_new_privileges),
    Step("landlock", landlock.restrict),
    Step("dumpable", identity.hide_memory),
    Step("randomness", process.fresh_randomness),
    # Last: it forbids the calls that the other steps make.
    Step("seccomp", seccomp.install),
)
"""Each isolate's, in order."""


def enclosure_steps(without: Collection[str]) -> list[Step]:
    """The zygote's steps, less what the operator accepts to do without.

    With a user namespace, root is left first, so that even in it we are nobody outside. Without
    one, the other namespaces need root, which is left once they stand.
    """
    steps = list(ENCLOSURE_STEPS)
    steps.insert(len(steps) - 1 if "user" in without else 1, _LEAVE_ROOT)
    left_out = {*without, "nesting"} if "user" in without else without
    return [step for step in steps if step.facility not in left_out]


def enclose(without: Collection[str]) -> None:
    """Take the zygote out of the system. Its next child is PID 1 of the new world.

    Raises:
        StepFailed: the cell would be incomplete.
    """
    run(enclosure_steps(without))


def lock_down(without: Collection[str], total_bytes: int, ceiling_bytes: int) -> None:
    """Take from an isolate all that it does not need. The door alone stays.

    Its address space is bounded by ``total_bytes``, which the zygote may move up to the ceiling.

    Raises:
        StepFailed: the cell would be incomplete; the isolate must end.
    """
    memory = Step("memory", partial(limits.limit_memory, total_bytes, ceiling_bytes))
    run([step for step in (memory, *ISOLATE_STEPS) if step.facility not in without])


def run(steps: Sequence[Step]) -> None:
    """Take the steps in order.

    Raises:
        StepFailed: at the first that fails, by whatever exception.
    """
    for position, step in enumerate(steps):
        try:
            step.apply()
        except Exception as exc:
            raise StepFailed(step.facility, position, exc) from exc
