"""Event notifications of R2 over REST: which queues are told what happens to a bucket's objects."""

from typing import Annotated

import msgspec
from flask import Blueprint, Response

from cloister.registry.queue_views import QueueView
from cloister.registry.r2_notifications import MOST_RULES, Action, KeptRule
from cloister.registry.r2_notifications import Rule as NewRule
from control import bodies, envelope
from control.errors import QUEUE_NOT_FOUND, R2_BUCKET_NOT_FOUND, translated
from control.house import house
from control.operation import JSON, operation
from control.paths import ACCOUNT
from control.queues import mine
from control.r2 import one_jurisdiction

blueprint = Blueprint("r2_notifications", __name__)
blueprint.before_request(one_jurisdiction)

ALL = f"{ACCOUNT}/event_notifications/r2/<bucket>/configuration"
ONE = f"{ALL}/queues/<queue_id>"


class NewRules(msgspec.Struct, frozen=True, kw_only=True):
    """Rules to add."""

    rules: Annotated[list[NewRule], msgspec.Meta(max_length=MOST_RULES)] = []


class Named(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Rules, by id."""

    rule_ids: Annotated[list[str], msgspec.Meta(max_length=MOST_RULES)] | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A rule."""

    rule_id: str
    actions: list[Action]
    prefix: str
    suffix: str
    description: str
    created_at: envelope.Time


class Told(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a queue is told."""

    queue_id: str
    queue_name: str
    rules: list[Rule]


class Configuration(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What all queues are told of a bucket."""

    bucket_name: str
    queues: list[Told]


class Empty(msgspec.Struct, frozen=True):
    """Nothing to say: ``{}``."""


@blueprint.get(ALL)
@operation(Configuration)
def configuration(account_id: str, bucket: str) -> Response:
    """The queues that are told of a bucket, and what."""
    by_queue: dict[tuple[str, str], list[Rule]] = {}
    with translated(R2_BUCKET_NOT_FOUND):
        kept = house().registry.r2.notifications.list(account_id, bucket)
    for rule in kept:
        by_queue.setdefault((rule.queue_id, rule.queue_name), []).append(_rule(rule))
    queues = [Told(queue_id=id_, queue_name=name, rules=r) for (id_, name), r in by_queue.items()]
    return envelope.success(Configuration(bucket_name=bucket, queues=queues))


@blueprint.get(ONE)
@operation(Told)
def told(account_id: str, bucket: str, queue_id: str) -> Response:
    """What a queue is told of a bucket."""
    queue = _place(account_id, bucket, queue_id)
    kept = house().registry.r2.notifications.list(account_id, bucket, queue.id)
    rules = [_rule(rule) for rule in kept]
    return envelope.success(Told(queue_id=queue.id, queue_name=queue.name, rules=rules))


@blueprint.put(ONE)
@operation(Empty, body=bodies.Json(NewRules))
def add(account_id: str, bucket: str, queue_id: str, body: bodies.Body[NewRules]) -> Response:
    """Add rules; those that are there stay."""
    queue = _place(account_id, bucket, queue_id)
    rules = body().rules
    with translated(QUEUE_NOT_FOUND):
        house().registry.r2.notifications.add(account_id, bucket, queue.id, rules)
    return envelope.success(Empty())


@blueprint.delete(ONE)
@operation(Empty, takes={JSON: Named})
def remove(account_id: str, bucket: str, queue_id: str) -> Response:
    """Delete the rules with these ids, which need not be there; without a body, all."""
    sent = bodies.whole(bodies.JSON_BYTES)
    named = bodies.converted(bodies.decode_json(sent), Named) if sent else Named()
    queue = _place(account_id, bucket, queue_id)
    with translated(R2_BUCKET_NOT_FOUND):
        house().registry.r2.notifications.remove(account_id, bucket, queue.id, named.rule_ids)
    return envelope.success(Empty())


def _place(account_id: str, bucket: str, queue_id: str) -> QueueView:
    """The queue. Raises Refused if the account has none, or no such bucket."""
    with translated(R2_BUCKET_NOT_FOUND):
        house().registry.r2.get(account_id, bucket)
    return mine(account_id, queue_id)


def _rule(kept: KeptRule) -> Rule:
    return Rule(
        rule_id=kept.id,
        actions=kept.actions,
        prefix=kept.prefix,
        suffix=kept.suffix,
        description=kept.description,
        created_at=envelope.timestamp(kept.created_at),
    )
