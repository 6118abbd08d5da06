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
    users,
)
from executor.sandbox.syscalls import DOOR_DESCRIPTOR

__all__ = ["DOOR_DESCRIPTOR", "Step", "StepFailed", "enclose", "has_users", "lock_down"]


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


def has_users(without: Collection[str]) -> bool:
    """Whether each isolate is a user of its own: only in a user namespace, where it is owner."""
    return not {"ids", "user"} & set(without)


def enclosure_steps(
    without: Collection[str],
    block: users.Block,
    new_root: Callable[[], None] = namespaces.empty_root,
) -> list[Step]:
    """The zygote's steps, in order, less what the operator accepts to do without.

    The user namespace comes before the others, since it gives the right to make them; the file
    system towards the end, since the steps before need ``/proc``. With ids of the zygote's own,
    root is left as soon as they are mapped. Else it is left first, so that even in the namespace
    we are nobody outside; without one, the other namespaces need root, which goes once they stand.
    """
    kept = 0
    leave_root = Step("identity", identity.leave_root)
    begin = [Step("session", priority.stand_apart)]
    end = []
    if has_users(without):
        kept = identity.OVER_OTHER_USERS
        begin += [Step("ids", block.claim), Step("user", block.unshare)]
        begin += [Step("ids", partial(users.become, identity.NOBODY))]
    elif "user" not in without:
        begin += [leave_root, Step("user", namespaces.unshare_one_user)]
    else:
        end = [leave_root]
    steps = (
        *begin,
        Step("net", namespaces.unshare_net),
        Step("ipc", namespaces.unshare_ipc),
        Step("uts", namespaces.unshare_uts),
        Step("cgroup", namespaces.unshare_cgroup),
        Step("pid", namespaces.unshare_pid),
        Step("mount", namespaces.unshare_mount),
        Step("nesting", namespaces.forbid_nesting),
        Step("mount", new_root),
        *end,
        Step("capabilities", partial(identity.drop_capabilities, kept)),
    )
    left_out = {*without, "nesting"} if "user" in without else without
    return [step for step in steps if step.facility not in left_out]


_ISOLATE_STEPS = (
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


def isolate_steps(
    without: Collection[str], user: int | None, total_bytes: int, ceiling_bytes: int
) -> list[Step]:
    """Each isolate's steps, in order, less what the operator accepts to do without."""
    own = [Step("memory", partial(limits.limit_memory, total_bytes, ceiling_bytes))]
    if user is not None:
        own.insert(0, Step("ids", partial(users.become, user)))
    return [step for step in (*own, *_ISOLATE_STEPS) if step.facility not in without]


def enclose(without: Collection[str], block: users.Block) -> None:
    """Take the zygote out of the system. Its next child is PID 1 of the new world.

    Raises:
        StepFailed: the cell would be incomplete.
    """
    run(enclosure_steps(without, block))


def lock_down(
    without: Collection[str], user: int | None, total_bytes: int, ceiling_bytes: int
) -> None:
    """Take from an isolate all that it does not need. The door alone stays.

    It becomes ``user``, unless all are one. Its address space is bounded by ``total_bytes``, which
    the zygote may move up to the ceiling.

    Raises:
        StepFailed: the cell would be incomplete; the isolate must end.
    """
    run(isolate_steps(without, user, total_bytes, ceiling_bytes))


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
