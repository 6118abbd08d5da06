"""Limits of one invocation, and how those of namespace, script and dispatch call combine."""

from collections.abc import Callable

import msgspec

from cloister.settings import Settings


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bounds of one invocation. None is "not said here".

    ``cpu_ms`` and ``wall_ms`` are milliseconds, ``memory_mb`` is MiB of the whole isolate,
    ``subrequests`` counts fetch() calls, redirect hops and binding operations that leave the
    isolate.
    """

    cpu_ms: int | None = None
    memory_mb: int | None = None
    wall_ms: int | None = None
    subrequests: int | None = None

    def tightest(self, other: "Limits") -> "Limits":
        """Field by field the smaller of the two, or the one that is said."""
        return _combine(self, other, min)

    def replaced_by(self, other: "Limits") -> "Limits":
        """Field by field the other's where it says something."""
        return _combine(self, other, lambda _mine, others: others)


NO_LIMITS = Limits()


def defaults(settings: Settings) -> Limits:
    """What holds where nobody says anything."""
    return Limits(
        cpu_ms=settings.default_cpu_ms,
        memory_mb=settings.default_memory_mb,
        wall_ms=settings.default_wall_ms,
        subrequests=settings.default_subrequests,
    )


def ceiling(settings: Settings) -> Limits:
    """What nobody may exceed."""
    return Limits(
        cpu_ms=settings.max_cpu_ms,
        memory_mb=settings.max_memory_mb,
        wall_ms=settings.max_wall_ms,
        subrequests=settings.max_subrequests,
    )


def effective(
    settings: Settings, namespace: Limits, script: Limits, dispatch: Limits | None = None
) -> Limits:
    """The limits an invocation runs under; every field is set.

    Namespace and script combine to the tightest of what they say; the platform's default fills what
    neither says. What the dispatch worker says replaces that, up to the platform's ceiling: it is
    the operator's own code, and a plan may be wider than the default.
    """
    said = defaults(settings).replaced_by(namespace.tightest(script))
    if dispatch is not None:
        said = said.replaced_by(dispatch)
    return said.tightest(ceiling(settings))


def _combine(mine: Limits, other: Limits, choose: Callable[[int, int], int]) -> Limits:
    values: dict[str, int | None] = {}
    for name in Limits.__struct_fields__:
        a, b = getattr(mine, name), getattr(other, name)
        values[name] = a if b is None else b if a is None else choose(a, b)
    return Limits(**values)
