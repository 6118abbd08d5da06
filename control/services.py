"""What wrangler asks of a plain Worker beside its upload: what there is, who uses it, its address.

A plain Worker has no address of its own: it is reached by the bindings and rules that name it.
"""

from typing import Any, Literal

import msgspec
from flask import Blueprint, Response

from cloister.registry.names import is_plain
from control import bodies, envelope, scripts
from control.errors import NO_ADDRESS, Refused
from control.house import house
from control.operation import operation
from control.paths import ACCOUNT, PLAIN, PLAIN_SCRIPT, SERVICE, namespace_of, script_of

blueprint = Blueprint("services", __name__)


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The one that each Worker has."""

    environment: Literal["production"] = "production"
    created_on: envelope.Time
    modified_on: envelope.Time
    script: scripts.Script


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A Worker, as those see it who know environments."""

    id: str
    default_environment: Environment
    environments: list[Environment]


class Subdomain(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a Worker and its previews have addresses of their own."""

    enabled: bool = False
    previews_enabled: bool = False


class SubdomainChange(msgspec.Struct, frozen=True, kw_only=True):
    """The same, as it is asked for."""

    enabled: bool | None = None
    previews_enabled: bool | None = None


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A Worker, as the newest of the product's paths shows it."""

    id: str
    name: str
    created_on: envelope.Time
    updated_on: envelope.Time
    tags: list[str]
    logpush: bool
    observability: dict[str, Any]
    tail_consumers: list[Any]
    subdomain: Subdomain = Subdomain()


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A Worker with a service binding to this one."""

    service: str
    environment: Literal["production"] = "production"
    name: str


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """Service bindings to and from a Worker; only those to it are looked for."""

    incoming: list[Incoming] = []
    outgoing: list[Incoming] = []
    pages_function: bool = False


class Outbound(msgspec.Struct, frozen=True, kw_only=True):
    """A namespace whose fetch() calls go through a Worker."""

    name: str
    namespace: str
    namespace_id: str
    service: str
    environment: Literal["production"] = "production"


class References(msgspec.Struct, frozen=True, kw_only=True):
    """Who uses a Worker."""

    services: Services = Services()
    dispatch_outbounds: list[Outbound] = []
    durable_objects: list[Any] = []


class Producer(msgspec.Struct, frozen=True, kw_only=True):
    """A Worker."""

    service: str
    environment: Literal["production"] = "production"
    namespace: str | None


class TailProducer(msgspec.Struct, frozen=True, kw_only=True):
    """A Worker that names another as its tail consumer."""

    producer: Producer


@blueprint.get(SERVICE)
@operation(Service)
def get(account_id: str, script: str) -> Response:
    """One plain Worker."""
    view = script_of(account_id, PLAIN, script)
    only = Environment(
        created_on=envelope.timestamp(view.created_at),
        modified_on=envelope.timestamp(view.modified_at),
        script=scripts.shape(view),
    )
    return envelope.success(Service(id=view.name, default_environment=only, environments=[only]))


@blueprint.get(f"{ACCOUNT}/workers/workers/<script>")
@operation(Worker)
def get_worker(account_id: str, script: str) -> Response:
    """The same."""
    view = script_of(account_id, PLAIN, script)
    shown = scripts.shape(view)
    return envelope.success(
        Worker(
            id=view.id,
            name=view.name,
            created_on=shown.created_on,
            updated_on=shown.modified_on,
            tags=view.tags,
            logpush=shown.logpush,
            observability=shown.observability or {"enabled": False},
            tail_consumers=shown.tail_consumers,
        )
    )


@blueprint.get(f"{PLAIN_SCRIPT}/references")
@operation(References)
def references(account_id: str, script: str) -> Response:
    """Who uses a plain Worker: what wrangler tells before it deletes one."""
    script_of(account_id, PLAIN, script)
    plain = namespace_of(account_id, PLAIN)
    users = house().registry.scripts.users(plain.id, script)
    through = [
        Outbound(name=each.name, namespace=each.name, namespace_id=each.id, service=script)
        for each in house().registry.namespaces.list(account_id)
        if each.outbound and (each.outbound.namespace, each.outbound.script) == (plain.name, script)
    ]
    incoming = [Incoming(service=user, name=user) for user in users]
    return envelope.success(
        References(services=Services(incoming=incoming), dispatch_outbounds=through)
    )


@blueprint.get(f"{ACCOUNT}/workers/tails/by-consumer/<script>")
@operation(list[TailProducer])
def producers(account_id: str, script: str) -> Response:
    """Workers that name a plain Worker as their tail consumer."""
    script_of(account_id, PLAIN, script)
    found = house().registry.scripts.producers(account_id, script)
    return envelope.success(
        [
            TailProducer(
                producer=Producer(service=name, namespace=None if is_plain(place) else place)
            )
            for place, name in found
        ]
    )


@blueprint.route(f"{PLAIN_SCRIPT}/subdomain", methods=["GET", "DELETE"])
@operation(Subdomain)
def get_subdomain(account_id: str, script: str) -> Response:
    """A plain Worker has none."""
    script_of(account_id, PLAIN, script)
    return envelope.success(Subdomain())


@blueprint.post(f"{PLAIN_SCRIPT}/subdomain")
@operation(Subdomain, body=bodies.Json(SubdomainChange))
def set_subdomain(account_id: str, script: str, body: bodies.Body[SubdomainChange]) -> Response:
    """Only to say that it shall have none."""
    script_of(account_id, PLAIN, script)
    said = body()
    if said.enabled or said.previews_enabled:
        raise Refused(NO_ADDRESS, pointer="/enabled")
    return envelope.success(Subdomain())


@blueprint.get(f"{ACCOUNT}/workers/subdomain")
@operation(Subdomain)
def account_subdomain(account_id: str) -> Response:  # noqa: ARG001 - auth compares it
    """An account has none: refused, with what to write into the configuration instead."""
    raise Refused(NO_ADDRESS)
