"""Origins of custom hostnames: workers, by the names that they have under the platform's domain."""

from cloister.registry.hostname_names import is_ours
from cloister.registry.names import NAME
from cloister.settings import Settings
from control.errors import ORIGIN_INVALID, Refused

Target = tuple[str, str]
"""Namespace and script."""


def target_of(origin: str, settings: Settings) -> Target | None:
    """The worker whose name this is, there or not; None if it is no worker's."""
    own = settings.domain.lower().strip(".")
    name = origin.lower().removesuffix(".")
    if name == own or not is_ours(name, own):
        return None
    script, _, namespace = name.removesuffix(f".{own}").partition(".")
    namespace = namespace or settings.default_namespace
    if not (NAME.fullmatch(script) and NAME.fullmatch(namespace)):
        return None
    return namespace, script


def wanted(origin: str, settings: Settings, pointer: str) -> Target:
    """The worker that is to be an origin.

    Raises:
        Refused: it is no worker's name.
    """
    found = target_of(origin, settings)
    if found is None:
        raise Refused(
            ORIGIN_INVALID,
            f"{origin[:64]!r} is no Worker's name: WORKER.{settings.domain} or "
            f"WORKER.NAMESPACE.{settings.domain}.",
            pointer=pointer,
        )
    return found


def origin_of(namespace: str, script: str, settings: Settings) -> str:
    """A worker's name, as short as may be."""
    own = settings.domain.lower().strip(".")
    if namespace == settings.default_namespace:
        return f"{script}.{own}"
    return f"{script}.{namespace}.{own}"
