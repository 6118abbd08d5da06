"""Which custom hostnames a listing is to have."""

from typing import Any

import msgspec
from sqlalchemy import false, or_

from cloister.registry.models import Hostname, Namespace


class HostnameFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions, all of which are to be met; None is none. ``target`` is the namespace and the
    script that they lead to by themselves."""

    exact: str | None = None
    contain: str | None = None
    prefix: str | None = None
    hostname_id: str | None = None
    statuses: tuple[str, ...] | None = None
    wildcard: bool | None = None
    certificate_authority: str | None = None
    target: tuple[str, str] | None = None

    def conditions(self, domain: str) -> list[Any]:
        """The same for the database; hostnames are joined with their namespaces there."""
        meets: list[Any] = []
        if self.exact is not None:
            meets.append(Hostname.hostname == self.exact)
        if self.contain is not None:
            meets.append(Hostname.hostname.contains(self.contain, autoescape=True))
        if self.prefix is not None:
            meets.append(Hostname.hostname.startswith(self.prefix, autoescape=True))
        if self.hostname_id is not None:
            meets.append(Hostname.id == self.hostname_id)
        if self.statuses is not None:
            meets.append(_of_status(self.statuses, domain))
        if self.wildcard is not None:
            meets.append(Hostname.wildcard == self.wildcard)
        if self.certificate_authority is not None:
            asked = Hostname.ssl["certificate_authority"].as_string()
            meets.append(asked == self.certificate_authority)
        if self.target is not None:
            namespace, script = self.target
            meets += [Namespace.name == namespace, Hostname.script == script]
        return meets


def _of_status(statuses: tuple[str, ...], domain: str) -> Any:
    """ "Blocked" is not written down: it is what is of the platform's domain by now."""
    own = domain.lower().strip(".")
    ours = or_(Hostname.hostname == own, Hostname.hostname.endswith(f".{own}", autoescape=True))
    asked = Hostname.status.in_(statuses) & ~ours
    return or_(asked, ours if "blocked" in statuses else false())
