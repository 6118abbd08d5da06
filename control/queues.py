"""Queues over REST, and who consumes them."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import redis
from flask import Blueprint, Response, request
from msgspec import UNSET, Meta, UnsetType

from cloister.errors import Conflict, NotFound
from cloister.queues import QUEUES_CHANNEL
from cloister.registry.names import is_plain
from cloister.registry.queue_views import (
    DEFAULT_RETENTION_S,
    DELAY_S,
    QUEUE_NAME,
    RETENTION_S,
    SHORTEST_RETENTION_S,
    ConsumerSettings,
    ConsumerView,
    NewConsumer,
    QueueSettings,
    QueueView,
)
from cloister.registry.queues import TooManyQueues
from control import bodies, envelope, fields
from control.errors import (
    CONSUMER_INVALID,
    CONSUMER_NOT_FOUND,
    CONSUMER_WITHOUT_HANDLER,
    MALFORMED_PARAMETER,
    MISSING_PARAMETER,
    QUEUE_EXISTS,
    QUEUE_HAS_CONSUMER,
    QUEUE_IN_USE,
    QUEUE_INVALID,
    QUEUE_LIMIT,
    QUEUE_NAME_INVALID,
    QUEUE_NOT_FOUND,
    Problem,
    Refused,
    translated,
)
from control.house import house
from control.operation import operation
from control.paths import ACCOUNT, PLAIN, script_of

blueprint = Blueprint("queues", __name__)

BASE = f"{ACCOUNT}/queues"
ONE = f"{BASE}/<id:queue_id>"
CONSUMERS = f"{ONE}/consumers"
CONSUMER = f"{CONSUMERS}/<id:consumer_id>"

HANDLERS = frozenset({"queue", "on_queue"})

Kind = TypeVar("Kind")
Name = Annotated[str, Meta(extra_json_schema={"pattern": f"^{QUEUE_NAME.pattern}$"})]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a queue treats its messages; seconds."""

    delivery_delay: Annotated[int, Meta(ge=0, le=DELAY_S)] = 0
    delivery_paused: bool = False
    message_retention_period: Annotated[int, Meta(ge=SHORTEST_RETENTION_S, le=RETENTION_S)] = (
        DEFAULT_RETENTION_S
    )


class SettingsChange(msgspec.Struct, frozen=True, kw_only=True):
    """The same, where what is not said stays as it is."""

    delivery_delay: int | None = None
    delivery_paused: bool | None = None
    message_retention_period: int | None = None


class NewQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue to be made, or all of one that is there."""

    queue_name: Name
    jurisdiction: str | None = None
    settings: SettingsChange | None = None


class QueueChange(msgspec.Struct, frozen=True, kw_only=True):
    """Some of a queue."""

    queue_name: Name | None = None
    jurisdiction: str | None = None
    settings: SettingsChange | None = None


class Producer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A Worker that is bound to a queue; ``namespace`` is ours."""

    type: Literal["worker"]
    script: str
    service: str
    environment: str
    namespace: str | UnsetType = UNSET


class ConsumerChoices(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How messages are taken: those of its type."""

    batch_size: int
    max_retries: int
    retry_delay: int
    max_wait_time_ms: int | UnsetType = UNSET
    max_concurrency: int | UnsetType | None = UNSET
    visibility_timeout_ms: int | UnsetType = UNSET


class Consumer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who takes from a queue. A Worker is named twice, as in the product; ``namespace`` is ours."""

    consumer_id: str
    type: Literal["worker", "http_pull"]
    queue_name: str
    created_on: envelope.Time
    settings: ConsumerChoices
    dead_letter_queue: str | UnsetType = UNSET
    script: str | UnsetType = UNSET
    script_name: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET


class SaidChoices(msgspec.Struct, frozen=True, kw_only=True):
    """How messages are to be taken."""

    batch_size: int | None = None
    max_retries: int | None = None
    retry_delay: int | None = None
    max_wait_time_ms: int | None = None
    max_concurrency: int | None = None
    visibility_timeout_ms: int | None = None


class SaidConsumer(msgspec.Struct, frozen=True, kw_only=True):
    """Who is to take from a queue. ``namespace`` is ours: of a user Worker."""

    type: Literal["worker", "http_pull"]
    script_name: str | None = None
    namespace: str | None = None
    dead_letter_queue: str | None = None
    settings: SaidChoices | None = None


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue."""

    queue_id: str
    queue_name: str
    created_on: envelope.Time
    modified_on: envelope.Time
    settings: Settings
    producers: list[Producer]
    producers_total_count: int
    consumers: list[Consumer]
    consumers_total_count: int


class Empty(msgspec.Struct, frozen=True):
    """Nothing to say: ``{}``."""


LIST: fields.Query = {
    "name": fields.Text(),
    "page": fields.Whole(1, 1, 1_000_000),
    "per_page": fields.Whole(1_000, 1, 1_000),
}


@blueprint.post(BASE)
@operation(Queue, body=bodies.Json(NewQueue))
def create(account_id: str, body: bodies.Body[NewQueue]) -> Response:
    """Make a queue."""
    said = body()
    _check(said)
    settings = _settings(said.settings, QueueSettings())
    try:
        with _within_limit():
            made = house().registry.queues.create(account_id, said.queue_name, settings)
    except Conflict as exc:
        raise Refused(QUEUE_EXISTS, str(exc), pointer="/queue_name") from exc
    return envelope.success(shown(made))


@blueprint.get(BASE)
@operation(list[Queue], info=envelope.PageInfo, query=LIST)
def list_all(account_id: str, name: str | None, page: int, per_page: int) -> Response:
    """Queues by name. ``name`` may be said more than once."""
    names = request.args.getlist("name") if name else []
    queues = house().registry.queues
    found = queues.list(account_id, names=names, page=page, per_page=per_page)
    info = envelope.page_info(page, per_page, len(found.items), found.total)
    return envelope.success(_shown(account_id, found.items), info=info)


@blueprint.get(ONE)
@operation(Queue)
def get(account_id: str, queue_id: str) -> Response:
    """One queue."""
    return envelope.success(shown(mine(account_id, queue_id)))


@blueprint.put(ONE)
@operation(Queue, body=bodies.Json(NewQueue))
def replace(account_id: str, queue_id: str, body: bodies.Body[NewQueue]) -> Response:
    """Set all of a queue: what is not said is as in a new one."""
    mine(account_id, queue_id)
    said = body()
    _check(said)
    return _change(account_id, queue_id, said.queue_name, _settings(said.settings, QueueSettings()))


@blueprint.patch(ONE)
@operation(Queue, body=bodies.Json(QueueChange))
def change(account_id: str, queue_id: str, body: bodies.Body[QueueChange]) -> Response:
    """Set some of a queue."""
    before = mine(account_id, queue_id)
    said = body()
    _check(said)
    settings = _settings(said.settings, before.settings)
    return _change(account_id, queue_id, said.queue_name or before.name, settings)


@blueprint.delete(ONE)
@operation(Empty)
def delete(account_id: str, queue_id: str) -> Response:
    """Delete a queue that nobody uses, with what is in it."""
    with translated(QUEUE_NOT_FOUND, QUEUE_IN_USE):
        house().registry.queues.delete(account_id, queue_id)
    return envelope.success(Empty())


@blueprint.get(CONSUMERS)
@operation(list[Consumer], info=envelope.CountInfo)
def list_consumers(account_id: str, queue_id: str) -> Response:
    """Who takes from a queue: one at most."""
    found = house().registry.queues.consumers([mine(account_id, queue_id).id])
    info = envelope.CountInfo(count=len(found))
    return envelope.success([_consumer(each) for each in found], info=info)


@blueprint.post(CONSUMERS)
@operation(Consumer, body=bodies.Json(SaidConsumer))
def add_consumer(account_id: str, queue_id: str, body: bodies.Body[SaidConsumer]) -> Response:
    """Have a Worker called with what is in a queue, or let it be pulled over HTTP."""
    queue = mine(account_id, queue_id)
    new = _new_consumer(account_id, body())
    with translated(QUEUE_NOT_FOUND, QUEUE_HAS_CONSUMER), _within_limit():
        made = house().registry.queues.add_consumer(queue, new)
    wake()
    return envelope.success(_consumer(made))


@blueprint.get(CONSUMER)
@operation(Consumer)
def get_consumer(account_id: str, queue_id: str, consumer_id: str) -> Response:
    """One who takes from a queue."""
    queue = mine(account_id, queue_id)
    return envelope.success(_consumer(_consumer_of(queue, consumer_id)))


@blueprint.put(CONSUMER)
@operation(Consumer, body=bodies.Json(SaidConsumer))
def change_consumer(
    account_id: str, queue_id: str, consumer_id: str, body: bodies.Body[SaidConsumer]
) -> Response:
    """Set all of a consumer: what is not said is as in a new one."""
    queue = mine(account_id, queue_id)
    _consumer_of(queue, consumer_id)
    new = _new_consumer(account_id, body())
    with translated(CONSUMER_NOT_FOUND, QUEUE_HAS_CONSUMER), _within_limit():
        made = house().registry.queues.change_consumer(queue, consumer_id, new)
    wake()
    return envelope.success(_consumer(made))


@blueprint.delete(CONSUMER)
@operation(Empty)
def delete_consumer(account_id: str, queue_id: str, consumer_id: str) -> Response:
    """Have it take no more. What is in the queue stays there."""
    queue = mine(account_id, queue_id)
    with translated(CONSUMER_NOT_FOUND):
        house().registry.queues.remove_consumer(queue, consumer_id)
    return envelope.success(Empty())


def mine(account_id: str, queue_id: str) -> QueueView:
    """The account's queue. Raises :class:`Refused` where there is none."""
    with translated(QUEUE_NOT_FOUND):
        return house().registry.queues.get(account_id, queue_id)


def shown(queue: QueueView) -> Queue:
    """As the product shows a queue."""
    return _shown(queue.account_id, [queue])[0]


def wake() -> None:
    """Have whoever delivers messages look now. If nobody hears it, that is done a little later."""
    with contextlib.suppress(redis.RedisError):
        house().redis.publish(QUEUES_CHANNEL, b"")


@contextlib.contextmanager
def _within_limit() -> Iterator[None]:
    try:
        yield
    except TooManyQueues as exc:
        raise Refused(QUEUE_LIMIT, str(exc)) from exc


def _change(account_id: str, queue_id: str, name: str, settings: QueueSettings) -> Response:
    try:
        changed = house().registry.queues.change(account_id, queue_id, name, settings)
    except NotFound as exc:
        raise Refused(QUEUE_NOT_FOUND, str(exc)) from exc
    except Conflict as exc:
        raise Refused(QUEUE_EXISTS, str(exc), pointer="/queue_name") from exc
    wake()
    return envelope.success(shown(changed))


def _check(said: NewQueue | QueueChange) -> None:
    if said.jurisdiction is not None:
        raise Refused(
            MALFORMED_PARAMETER, "There are no jurisdictions here.", pointer="/jurisdiction"
        )
    if said.queue_name is not None and not QUEUE_NAME.fullmatch(said.queue_name):
        raise Refused(QUEUE_NAME_INVALID, pointer="/queue_name")


def _settings(said: SettingsChange | None, before: QueueSettings) -> QueueSettings:
    if said is None:
        return before
    values = {
        "delay_s": said.delivery_delay,
        "paused": said.delivery_paused,
        "retention_s": said.message_retention_period,
    }
    return _valid(values, before, QUEUE_INVALID)


def _valid(values: dict[str, Any], before: Kind, problem: Problem) -> Kind:
    """The settings with what is said. Raises :class:`Refused` where that is out of bounds."""
    known = {name: value for name, value in values.items() if value is not None}
    try:
        return msgspec.convert({**msgspec.to_builtins(before), **known}, type(before))
    except msgspec.ValidationError as exc:
        raise Refused(
            problem, f"{problem.message.rstrip('.')}: {exc}.", pointer="/settings"
        ) from exc


def _new_consumer(account_id: str, said: SaidConsumer) -> NewConsumer:
    choices = said.settings or SaidChoices()
    values = {
        "batch_size": choices.batch_size,
        "max_wait_ms": choices.max_wait_time_ms,
        "max_retries": choices.max_retries,
        "max_concurrency": choices.max_concurrency,
        "retry_delay_s": choices.retry_delay,
        "visibility_ms": choices.visibility_timeout_ms,
    }
    settings = _valid(values, ConsumerSettings(), CONSUMER_INVALID)
    dead = said.dead_letter_queue or None
    if dead is not None and not QUEUE_NAME.fullmatch(dead):
        raise Refused(QUEUE_NAME_INVALID, pointer="/dead_letter_queue")
    script_id = _script_id(account_id, said) if said.type == "worker" else None
    return NewConsumer(script_id=script_id, dead_letter_queue=dead, settings=settings)


def _script_id(account_id: str, said: SaidConsumer) -> str:
    if not said.script_name:
        raise Refused(MISSING_PARAMETER, "script_name is required.", pointer="/script_name")
    script = script_of(account_id, said.namespace or PLAIN, said.script_name)
    handlers = script.version.handlers.get("Default", [])
    if not HANDLERS.intersection(handlers):
        raise Refused(CONSUMER_WITHOUT_HANDLER, pointer="/script_name")
    return script.id


def _consumer_of(queue: QueueView, consumer_id: str) -> ConsumerView:
    for each in house().registry.queues.consumers([queue.id]):
        if each.id == consumer_id:
            return each
    raise Refused(CONSUMER_NOT_FOUND)


def _shown(account_id: str, queues: Iterable[QueueView]) -> list[Queue]:
    found = list(queues)
    bound = house().registry.queues.producers(account_id) if found else {}
    taking: dict[str, list[Consumer]] = {}
    for each in house().registry.queues.consumers([queue.id for queue in found]):
        taking.setdefault(each.queue_id, []).append(_consumer(each))
    return [_queue(each, bound.get(each.name, []), taking.get(each.id, [])) for each in found]


def _queue(view: QueueView, bound: list[tuple[str, str]], consumers: list[Consumer]) -> Queue:
    return Queue(
        queue_id=view.id,
        queue_name=view.name,
        created_on=envelope.timestamp(view.created_at),
        modified_on=envelope.timestamp(view.modified_at),
        settings=Settings(
            delivery_delay=view.settings.delay_s,
            delivery_paused=view.settings.paused,
            message_retention_period=view.settings.retention_s,
        ),
        producers=[
            Producer(
                type="worker",
                script=script,
                service=script,
                environment="production",
                namespace=_place(namespace),
            )
            for namespace, script in bound
        ],
        producers_total_count=len(bound),
        consumers=consumers,
        consumers_total_count=len(consumers),
    )


def _consumer(view: ConsumerView) -> Consumer:
    said = view.settings
    pulls = view.script is None
    return Consumer(
        consumer_id=view.id,
        type="http_pull" if pulls else "worker",
        queue_name=view.queue_name,
        created_on=envelope.timestamp(view.created_at),
        settings=ConsumerChoices(
            batch_size=said.batch_size,
            max_retries=said.max_retries,
            retry_delay=said.retry_delay_s,
            max_wait_time_ms=UNSET if pulls else said.max_wait_ms,
            max_concurrency=UNSET if pulls else said.max_concurrency,
            visibility_timeout_ms=said.visibility_ms if pulls else UNSET,
        ),
        dead_letter_queue=view.dead_letter_queue or UNSET,
        script=view.script or UNSET,
        script_name=view.script or UNSET,
        namespace=_place(view.namespace),
    )


def _place(namespace: str | None) -> str | UnsetType:
    return UNSET if namespace is None or is_plain(namespace) else namespace
