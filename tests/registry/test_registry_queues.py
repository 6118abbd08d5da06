"""Queues in the registry: nothing is lost, taken twice while it is leased, or kept too long."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cloister.errors import Conflict, Invalid, NotFound
from cloister.registry import (
    NewVersion,
    Registry,
    queue_leases,
    queue_messages,
    queue_sending,
    queues,
)
from cloister.registry.queue_messages import by_id, by_name
from cloister.registry.queue_sending import BacklogFull
from cloister.registry.queue_views import (
    ConsumerSettings,
    NewConsumer,
    NewMessage,
    QueueSettings,
    QueueView,
    Retry,
)

AT_ONCE = {"max_wait_ms": 0}


class Clock:
    """The registry's clock, which a test sets forward."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (queues, queue_messages, queue_leases, queue_sending):
        monkeypatch.setattr(module, "now_ms", clock)
    return clock


@pytest.fixture
def queue(registry: Registry, account: str, clock: Clock) -> QueueView:
    return registry.queues.create(account, "jobs", QueueSettings())


Consume = Callable[..., None]


@pytest.fixture
def consume(registry: Registry, namespace: str, queue: QueueView, version: NewVersion) -> Consume:
    """Have a worker consume the queue."""
    script = registry.scripts.put_version(namespace, "worker", version)

    def add(dead_letter_queue: str | None = None, **settings: Any) -> None:
        for each in registry.queues.consumers([queue.id]):
            registry.queues.remove_consumer(queue, each.id)
        registry.queues.add_consumer(
            queue,
            NewConsumer(
                script_id=script.id,
                dead_letter_queue=dead_letter_queue,
                settings=ConsumerSettings(**settings),
            ),
        )

    return add


def texts(*bodies: str, **more: Any) -> list[NewMessage]:
    return [NewMessage(body=body.encode(), content_type="text", **more) for body in bodies]


def send(registry: Registry, queue: QueueView, *bodies: str, **more: Any) -> None:
    registry.queues.messages.send(queue.account_id, by_id(queue.id), texts(*bodies, **more))


def bodies(messages: list[Any]) -> list[str]:
    return [each.body.decode() for each in messages]


def test_pulled_and_settled(registry: Registry, queue: QueueView, clock: Clock) -> None:
    """What is pulled is nobody else's until it is given back, acknowledged, or its time is up; an
    answer for what somebody else has taken since counts for nothing."""
    messages = registry.queues.messages
    sent = messages.send(queue.account_id, by_name("jobs"), texts("a", "b", "c"))
    assert (sent.queue_id, sent.metrics.count, sent.metrics.size_bytes) == (queue.id, 3, 3)
    first, second = messages.pull(queue.id, 2, 10_000)
    assert bodies([first, second]) == ["a", "b"]
    assert bodies(messages.pull(queue.id, 5, 60_000)) == ["c"]
    assert messages.pull(queue.id, 5, 10_000) == []
    settled = messages.settle(queue.id, [first.lease, "no", "1.x"], {second.lease: Retry(2)})
    assert (settled.acked, settled.retried, settled.stale) == (1, 1, ["no", "1.x"])
    assert messages.pull(queue.id, 5, 1_000) == []
    clock.now_ms += 2_000
    (again,) = messages.pull(queue.id, 5, 1_000)
    assert (again.id, again.attempts) == (second.id, 2)
    clock.now_ms += 1_000
    (taken,) = messages.pull(queue.id, 5, 1_000)
    assert messages.settle(queue.id, [again.lease], {}).stale == [again.lease]
    assert messages.settle(queue.id, [taken.lease], {}).acked == 1
    metrics = messages.metrics(queue.id)
    assert (metrics.count, metrics.size_bytes) == (1, 1)


def test_delays(registry: Registry, account: str, queue: QueueView, clock: Clock) -> None:
    """A message's own delay, 0 too, counts more than the queue's."""
    registry.queues.change(account, queue.id, "jobs", QueueSettings(delay_s=5))
    messages = registry.queues.messages
    send(registry, queue, "later")
    send(registry, queue, "now", delay_s=0)
    assert bodies(messages.pull(queue.id, 9, 60_000)) == ["now"]
    clock.now_ms += 5_000
    assert bodies(messages.pull(queue.id, 9, 60_000)) == ["later"]


def test_batches_wait_to_be_full(
    registry: Registry, queue: QueueView, consume: Consume, clock: Clock
) -> None:
    """A batch is given as soon as it is full, or its first message has waited; never an empty one;
    and the queue knows each time when to be looked at."""
    messages = registry.queues.messages
    consume(batch_size=3, max_wait_ms=4_000)
    assert messages.due(9) == [queue.id]
    assert messages.take(queue.id) is None
    assert messages.next_due() is None
    send(registry, queue, "a", "b")
    assert messages.due(9) == [queue.id]
    assert messages.take(queue.id) is None
    assert messages.next_due() == clock.now_ms + 4_000
    send(registry, queue, "c", "d")
    full = messages.take(queue.id)
    assert full is not None
    assert (full.namespace, full.script, full.queue_name) == ("production", "worker", "jobs")
    assert bodies(full.messages) == ["a", "b", "c"]
    assert messages.take(queue.id) is None
    clock.now_ms += 4_000
    rest = messages.take(queue.id)
    assert rest is not None
    assert bodies(rest.messages) == ["d"]
    for each in (full, rest):
        settled = messages.conclude(each, [one.lease for one in each.messages], {})
        assert settled is not None
        assert settled.stale == []
    assert messages.metrics(queue.id).count == 0
    assert messages.next_due() is None


def test_a_batch_of_large_messages_is_smaller(
    registry: Registry, queue: QueueView, consume: Consume
) -> None:
    """A batch has 256 KB at most, and then waits for no more."""
    consume(batch_size=100, max_wait_ms=60_000)
    for _ in range(3):
        send(registry, queue, "x" * 100_000)
    taken = registry.queues.messages.take(queue.id)
    assert taken is not None
    assert len(taken.messages) == 2


def test_a_lost_delivery_comes_again(
    registry: Registry, queue: QueueView, consume: Consume, clock: Clock
) -> None:
    """A delivery that nobody looks after ends after a while; one that is looked after does not.
    That it was lost, or failed by the platform, is no attempt."""
    messages = registry.queues.messages
    consume(**AT_ONCE)
    send(registry, queue, "a")
    first = messages.take(queue.id)
    assert first is not None
    for _ in range(3):
        clock.now_ms += queue_messages.LEASE_MS - 1
        assert messages.take(queue.id) is None
        messages.keep([first])
    clock.now_ms += queue_messages.LEASE_MS
    assert messages.due(9) == [queue.id]
    second = messages.take(queue.id)
    assert second is not None
    assert (second.messages[0].id, second.messages[0].attempts) == (first.messages[0].id, 1)
    late = messages.conclude(first, [first.messages[0].lease], {})
    assert late is not None
    assert late.acked == 0
    messages.give_back(second, 1_000)
    assert messages.take(queue.id) is None
    clock.now_ms += 1_000
    third = messages.take(queue.id)
    assert third is not None
    assert third.messages[0].attempts == 1
    done = messages.conclude(third, [third.messages[0].lease], {})
    assert done is not None
    assert done.acked == 1


def test_what_fails_too_often(
    registry: Registry, account: str, queue: QueueView, consume: Consume, clock: Clock
) -> None:
    """After ``max_retries`` a message goes to the dead letter queue, which is made for that;
    without one it is gone."""
    messages = registry.queues.messages
    consume("dead", max_retries=1, retry_delay_s=7, **AT_ONCE)
    dead = registry.queues.find(account, "dead")
    assert dead is not None
    send(registry, queue, "bad")
    for attempt in (1, 2):
        taken = messages.take(queue.id)
        assert taken is not None
        assert taken.messages[0].attempts == attempt
        messages.conclude(taken, [], {taken.messages[0].lease: Retry()})
        assert messages.take(queue.id) is None
        clock.now_ms += 7_000
    assert messages.take(queue.id) is None
    assert (messages.metrics(queue.id).count, messages.metrics(dead.id).count) == (0, 1)
    (buried,) = messages.pull(dead.id, 9, 1_000)
    assert (buried.body, buried.attempts) == (b"bad", 1)

    consume(max_retries=0, **AT_ONCE)
    send(registry, queue, "worse")
    last = messages.take(queue.id)
    assert last is not None
    messages.conclude(last, [], {last.messages[0].lease: Retry()})
    assert messages.metrics(queue.id).count == 0


def test_what_is_pulled_and_never_answered_for(
    registry: Registry, queue: QueueView, clock: Clock
) -> None:
    """That a lease ended is an attempt, where it was the consumer's own."""
    messages = registry.queues.messages
    settings = ConsumerSettings(max_retries=1)
    new = NewConsumer(script_id=None, dead_letter_queue=None, settings=settings)
    registry.queues.add_consumer(queue, new)
    send(registry, queue, "silent")
    for attempt in (1, 2):
        (taken,) = messages.pull(queue.id, 9, 1_000)
        assert taken.attempts == attempt
        clock.now_ms += 1_000
    assert messages.pull(queue.id, 9, 1_000) == []
    assert messages.metrics(queue.id).count == 0


def test_concurrency(registry: Registry, queue: QueueView, consume: Consume, clock: Clock) -> None:
    """No more batches are under way at once than the consumer takes."""
    messages = registry.queues.messages
    consume(batch_size=1, max_concurrency=2, **AT_ONCE)
    send(registry, queue, "a", "b", "c")
    first, second = messages.take(queue.id), messages.take(queue.id)
    assert first is not None
    assert second is not None
    assert messages.take(queue.id) is None
    assert messages.due(9) == []
    messages.conclude(first, [first.messages[0].lease], {})
    assert messages.due(9) == [queue.id]
    third = messages.take(queue.id)
    assert third is not None
    assert bodies(third.messages) == ["c"]


def test_paused_and_without_consumer(
    registry: Registry, account: str, queue: QueueView, consume: Consume
) -> None:
    """Nothing is given while delivery is paused or nobody is there; all of it afterwards."""
    messages = registry.queues.messages
    send(registry, queue, "a")
    assert messages.take(queue.id) is None
    consume(**AT_ONCE)
    registry.queues.change(account, queue.id, "jobs", QueueSettings(paused=True))
    assert messages.take(queue.id) is None
    assert messages.next_due() is None
    registry.queues.change(account, queue.id, "jobs", QueueSettings())
    assert messages.due(9) == [queue.id]
    assert messages.take(queue.id) is not None


def test_old_messages_go(registry: Registry, account: str, queue: QueueView, clock: Clock) -> None:
    """What is older than the queue keeps is neither given nor kept."""
    messages = registry.queues.messages
    registry.queues.change(account, queue.id, "jobs", QueueSettings(retention_s=60))
    send(registry, queue, "a", "b")
    clock.now_ms += 61_000
    send(registry, queue, "c")
    assert bodies(messages.pull(queue.id, 1, 60_000)) == ["c"]
    send(registry, queue, "d")
    clock.now_ms += 61_000
    assert messages.expire() == 1
    assert messages.expire() == 0
    metrics = messages.metrics(queue.id)
    assert (metrics.count, metrics.size_bytes, metrics.oldest_at) == (0, 0, 0)


def test_peeked_removed_purged(
    registry: Registry, queue: QueueView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking takes nothing away; what was looked at can be removed; a purge leaves nothing."""
    messages = registry.queues.messages
    monkeypatch.setattr(queue_messages, "ROWS_AT_ONCE", 2)
    send(registry, queue, "a", "b", "c", "d", "e", "f")
    found = messages.peek(queue.id, 2)
    assert bodies(found) == ["a", "b"]
    number = found[1].reference.partition(".")[0]
    wrong = ["x", f"{number}.x"]
    assert sorted(messages.remove(queue.id, [found[0].reference, *wrong])) == sorted(wrong)
    assert bodies(messages.peek(queue.id, 9)) == ["b", "c", "d", "e", "f"]
    messages.purge(queue.account_id, queue.id)
    assert messages.peek(queue.id, 9) == []
    assert messages.metrics(queue.id).count == 0


def test_bounds(registry: Registry, queue: QueueView, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many, too large, or more than the queue holds: refused, and nothing of it is stored."""
    send(registry, queue, *["x" * 2_500] * 100)
    send(registry, queue, "x" * 128_000)
    for wrong in (["x"] * 101, ["x" * 128_001], ["x" * 100_000] * 3, []):
        with pytest.raises(Invalid):
            send(registry, queue, *wrong)
    monkeypatch.setattr(queue_sending, "BACKLOG_BYTES", 400_000)
    with pytest.raises(BacklogFull):
        send(registry, queue, "x" * 22_001)
    monkeypatch.setattr(queue_sending, "BACKLOG_MESSAGES", 103)
    with pytest.raises(BacklogFull):
        send(registry, queue, "", "", "")  # which take no bytes, and still rows
    assert registry.queues.messages.metrics(queue.id).count == 101
    send(registry, queue, "", "")
    for wanted in (by_name("none"), by_id("0" * 32)):
        with pytest.raises(NotFound):
            registry.queues.messages.send(queue.account_id, wanted, texts("x"))


def test_queues_of_an_account(registry: Registry, account: str, queue: QueueView) -> None:
    """Each name once in an account; other accounts have their own, and see none of these."""
    other = registry.accounts.create("Other").id
    with pytest.raises(Conflict):
        registry.queues.create(account, "jobs", QueueSettings())
    theirs = registry.queues.create(other, "jobs", QueueSettings())
    registry.queues.create(account, "a", QueueSettings())
    assert [each.name for each in registry.queues.list(account).items] == ["a", "jobs"]
    assert registry.queues.list(account, names=["jobs", "none"]).items == [queue]
    for wrong in (
        lambda: registry.queues.get(account, theirs.id),
        lambda: registry.queues.delete(account, theirs.id),
        lambda: registry.queues.messages.purge(account, theirs.id),
        lambda: registry.queues.change(account, theirs.id, "b", QueueSettings()),
    ):
        with pytest.raises(NotFound):
            wrong()
    for name in ("", "A", "-a", "a_b", "a" * 64):
        with pytest.raises(Invalid):
            registry.queues.create(account, name, QueueSettings())
    with pytest.raises(Conflict):
        registry.queues.change(account, queue.id, "a", QueueSettings())


def test_what_is_in_use_stays(
    registry: Registry,
    account: str,
    namespace: str,
    queue: QueueView,
    consume: Consume,
    version: NewVersion,
) -> None:
    """A queue with a producer, a consumer, or that collects dead letters is neither deleted nor
    renamed. With its script a consumer goes."""
    consume("dead")
    dead = registry.queues.find(account, "dead")
    assert dead is not None
    for each in (queue, dead):
        with pytest.raises(Conflict):
            registry.queues.delete(account, each.id)
        with pytest.raises(Conflict):
            registry.queues.change(account, each.id, "other", QueueSettings())
    registry.scripts.delete(namespace, "worker")
    assert registry.queues.consumers([queue.id]) == []
    binding = {"type": "queue", "name": "Q", "queue_name": "jobs"}
    bound = NewVersion(digest="0" * 64, main_module="main.py", bindings=[binding])
    registry.scripts.put_version(namespace, "sender", bound)
    assert registry.queues.producers(account) == {"jobs": [("production", "sender")]}
    with pytest.raises(Conflict):
        registry.queues.delete(account, queue.id)
    registry.scripts.delete(namespace, "sender")
    send(registry, queue, "a")
    registry.queues.delete(account, queue.id)
    registry.queues.delete(account, dead.id)
    assert registry.queues.list(account).items == []


def test_many_at_once(registry: Registry, queue: QueueView, consume: Consume) -> None:
    """Senders, takers and those who settle, all at once: each message is had once, and the counts
    are right."""
    messages = registry.queues.messages
    consume(batch_size=7, **AT_ONCE)
    got: list[str] = []

    def produce(number: int) -> None:
        for each in range(10):
            send(registry, queue, f"{number}.{each}")

    def work(_: int) -> None:
        for _attempt in range(10):
            taken = messages.take(queue.id)
            if taken is not None:
                got.extend(bodies(taken.messages))
                messages.conclude(taken, [each.lease for each in taken.messages], {})

    with ThreadPoolExecutor(6) as threads:
        jobs = [threads.submit(produce, number) for number in range(3)]
        jobs += [threads.submit(work, number) for number in range(3)]
        for job in jobs:
            job.result()
    while (taken := messages.take(queue.id)) is not None:
        got.extend(bodies(taken.messages))
        messages.conclude(taken, [each.lease for each in taken.messages], {})
    assert sorted(got) == sorted(f"{number}.{each}" for number in range(3) for each in range(10))
    assert messages.metrics(queue.id).count == 0


def test_sent_together(
    registry: Registry, account: str, queue: QueueView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What many threads send at once is all there, each of them told of its own; and what some of
    them cannot send is refused to them alone."""
    registry.queues.create(account, "other", QueueSettings())
    monkeypatch.setattr(queue_sending, "BACKLOG_BYTES", 100_000)
    messages = registry.queues.messages

    def one(number: int) -> str:
        name = ("jobs", "other", "none")[number % 3]
        body = "x" * 100_001 if number % 8 == 7 else str(number)
        try:
            return messages.send(account, by_name(name), texts(body)).queue_id
        except (NotFound, BacklogFull) as refused:
            return type(refused).__name__

    with ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(one, range(48)))
    other = registry.queues.find(account, "other")
    assert other is not None
    for number, outcome in enumerate(outcomes):
        expected = (queue.id, other.id, "NotFound")[number % 3]
        if number % 8 == 7 and expected != "NotFound":
            expected = "BacklogFull"
        assert outcome == expected
    for place, which in ((queue, 0), (other, 1)):
        sent = {str(n) for n in range(48) if n % 3 == which and n % 8 != 7}
        assert set(bodies(messages.peek(place.id, 100))) == sent
        assert messages.metrics(place.id).count == len(sent)


def test_consumers_added_at_once(registry: Registry, queue: QueueView) -> None:
    """One of several gets the queue, and the others are told so. A script that has gone meanwhile
    is none."""
    new = NewConsumer(script_id=None, dead_letter_queue="dead", settings=ConsumerSettings())
    gone = NewConsumer(script_id="0" * 32, dead_letter_queue=None, settings=ConsumerSettings())
    with pytest.raises(NotFound):
        registry.queues.add_consumer(queue, gone)
    assert registry.queues.consumers([queue.id]) == []

    def add(_: int) -> str:
        try:
            return registry.queues.add_consumer(queue, new).id
        except Conflict:
            return ""

    with ThreadPoolExecutor(8) as threads:
        (made,) = filter(None, threads.map(add, range(16)))
    with pytest.raises(NotFound):
        registry.queues.change_consumer(queue, made, gone)
    assert [each.id for each in registry.queues.consumers([queue.id])] == [made]
