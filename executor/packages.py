"""The packages that workers of the full language may import: from the operator's names to modules.

A name is that of an installed distribution, or of a top-level module. What a distribution requires
comes along, or it would not work. Cloister itself never does.
"""

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from inspect import getmodulename

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cloister.errors import SettingInvalid

OURS = frozenset({"cloister", "control", "dispatcher", "executor"})
"""Our own top-level modules, and the distribution of them all."""

NATIVE = {"ctypes": ("_ctypes",)}
"""Modules of the standard library that are listed under another name."""

_NO_EXTRA = {"extra": ""}


@dataclass(frozen=True, kw_only=True)
class Packages:
    """Top-level modules, and the distributions that they are from, sorted."""

    modules: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()


def resolve(names: Collection[str]) -> Packages:
    """What these names stand for here.

    Raises:
        SettingInvalid: one is not installed, or is our own.
    """
    modules: set[str] = set()
    wanted: list[str] = []
    for name in names:
        if name in sys.stdlib_module_names:
            modules.update((name, *NATIVE.get(name, ())))
        elif name not in OURS:
            wanted += _distributions_of(name)
    found = _with_requirements(wanted)
    modules.update(top for each in found.values() for top in _tops(each))
    if OURS & {*modules, *found, *names}:
        raise SettingInvalid("CLOISTER_PACKAGES: workers never import Cloister itself.")
    return Packages(modules=tuple(sorted(modules)), distributions=tuple(sorted(found)))


def _distributions_of(name: str) -> list[str]:
    """The distribution of that name, or those that have a top-level module of that name."""
    if _installed(name) is not None:
        return [name]
    owners = [each.name for each in distributions() if name in _tops(each)]
    if not owners:
        raise SettingInvalid(
            f"CLOISTER_PACKAGES: {name!r} is not installed here. Install it beside Cloister, "
            f"or take it off the list."
        )
    return owners


def _with_requirements(names: list[str]) -> dict[str, Distribution]:
    """These distributions and all that they require, by name. An optional requirement that is not
    installed is left out."""
    found: dict[str, Distribution] = {}
    names = list(names)
    while names:
        name = canonicalize_name(names.pop())
        each = _installed(name)
        if each is None or name in found:
            continue
        found[name] = each
        for text in each.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(_NO_EXTRA):
                names.append(requirement.name)
    return found


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except (PackageNotFoundError, ValueError):
        return None


def _tops(found: Distribution) -> set[str]:
    """The names of a distribution's top-level modules and packages."""
    return {top for top in _candidates(found) if top.isidentifier() and top != "__pycache__"}


def _candidates(found: Distribution) -> Iterator[str]:
    for file in found.files or ():
        module = getmodulename(file.name)
        if module is not None:
            yield file.parts[0] if len(file.parts) > 1 else module
