"""A token's policies in the product's shape, over what tokens can be here.

One policy, ``allow``, on the account or on one dispatch namespace in it, with the permission group
``workers.write`` or ``workers.read``. Anything else is refused: it must not grant
more than it says.
"""

from typing import Any

import msgspec

from cloister.registry import TokenView
from control.errors import MALFORMED_PARAMETER, Refused

WRITE = "workers.write"
READ = "workers.read"
GROUPS = {
    READ: ("Workers Scripts Read", "Read what is deployed and stored."),
    WRITE: ("Workers Scripts Write", "Read and change what is deployed and stored."),
}
"""Names and descriptions of the two."""
ACCOUNT = "com.cloudflare.api.account."
DISPATCH = ".dispatch."


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a token may do. ``namespace`` None is the whole account."""

    read_only: bool = False
    namespace: str | None = None


class PermissionGroup(msgspec.Struct, frozen=True):
    """``workers.write`` or ``workers.read``; the name is only shown."""

    id: str
    name: str | msgspec.UnsetType = msgspec.UNSET


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed, and on which resource: a name of it, and ``*``."""

    effect: str
    permission_groups: list[PermissionGroup]
    resources: dict[str, Any]
    id: str | msgspec.UnsetType = msgspec.UNSET


def grant(policies: list[Policy], account_id: str) -> Grant:
    """What ``policies`` grant. Raises :class:`Refused` if it cannot be kept to."""
    if len(policies) != 1 or policies[0].effect != "allow":
        raise _refused("A token here has exactly one policy, with the effect allow.")
    groups = {group.id for group in policies[0].permission_groups}
    if not groups or not groups <= {READ, WRITE}:
        raise _refused(f"The permission groups here are {READ} and {WRITE}.")
    if len(policies[0].resources) != 1:
        raise _refused("A policy here names exactly one resource.")
    ((resource, scope),) = policies[0].resources.items()
    whole = f"{ACCOUNT}{account_id}"
    account, within, namespace = resource.partition(DISPATCH)
    if scope != "*" or account != whole or (within and not namespace):
        raise _refused(f'The resource must be "{whole}" or "{whole}{DISPATCH}NAMESPACE": "*".')
    return Grant(read_only=WRITE not in groups, namespace=namespace or None)


def shape(token: TokenView) -> list[Policy]:
    """The policies of a token; :func:`grant` reads them back."""
    within = f"{DISPATCH}{token.namespace}" if token.namespace else ""
    group = READ if token.read_only else WRITE
    return [
        Policy(
            id=token.id,
            effect="allow",
            permission_groups=[PermissionGroup(group, GROUPS[group][0])],
            resources={f"{ACCOUNT}{token.account_id}{within}": "*"},
        )
    ]


def _refused(message: str) -> Refused:
    return Refused(MALFORMED_PARAMETER, message, pointer="/policies")
