"""Events through a real Celery worker: published, handled, answered, recorded."""

import asyncio
import time
import uuid
from typing import Any

from executor_house import House, worker

from cloister.broker import async_redis
from cloister.events import SCHEDULED, Scheduled
from cloister.limits import Limits
from cloister.mailbox import Mailbox
from cloister.messages import Failure, Invocation, Outbound, Returned, dispatch_queue
from cloister.outcomes import Outcome
from cloister.publishing import ask, event_invocation, messages, publish

EVENT = Scheduled(cron="*/5 * * * *", scheduled_time=1_767_225_600_000)


def on_scheduled(body: str, top: str = "") -> str:
    lines = "\n".join(f"        {line}" for line in body.strip("\n").split("\n"))
    return (
        f"from workers import WorkerEntrypoint, fetch\nimport asyncio\n{top}\n"
        f"class Default(WorkerEntrypoint):\n"
        f"    async def scheduled(self, controller, env, ctx):\n{lines}\n"
    )


def event(house: House, namespace: str, script: str, **fields: Any) -> Invocation:
    route = house.registry.resolve(namespace, script)
    assert route is not None
    return event_invocation(house.settings, route, SCHEDULED, EVENT, **fields)


def asked(house: House, namespace: str, script: str, **fields: Any) -> Returned | Failure:
    """Publish an event and wait for what comes of it."""

    async def work() -> Returned | Failure:
        client = async_redis(house.settings)
        async with Mailbox(client, uuid.uuid4().hex) as mailbox:
            sent = event(house, namespace, script, reply_to=mailbox.reply_to, **fields)
            answer = await ask(client, mailbox, sent, bound=100)
        await client.aclose()
        return answer

    return asyncio.run(work())


def test_an_event_is_handled_and_recorded(shared: House, namespace: str) -> None:
    """Published, run in an isolate, answered; the record says which cron and for when."""
    shared.deploy(namespace, "w", on_scheduled("print(controller.cron)"))
    answer = asked(shared, namespace, "w")
    assert isinstance(answer, Returned)
    assert answer.value == b"\xc0"
    trace = shared.traces(namespace, "w")[0]
    assert trace.event == {"cron": EVENT.cron, "scheduledTime": EVENT.scheduled_time}
    assert (trace.outcome, trace.logs[0].message) == (Outcome.OK, [EVENT.cron])


def test_nobody_need_wait(shared: House, namespace: str) -> None:
    """An event that names no reply list runs as well, and leaves no list behind."""
    shared.deploy(namespace, "w", on_scheduled("print('ran')"))
    before = {key for key in shared.redis.scan_iter() if key.startswith(b"reply:")}
    shared.publish(event(shared, namespace, "w"))
    assert shared.traces(namespace, "w")[0].outcome is Outcome.OK
    assert not shared.redis.exists("")
    assert {key for key in shared.redis.scan_iter() if key.startswith(b"reply:")} <= before


def test_failures_are_told_apart(shared: House, namespace: str) -> None:
    """A handler that raises, one that is missing, one that computes for too long."""
    shared.deploy(namespace, "raises", on_scheduled("raise ValueError('no')"))
    shared.deploy(namespace, "lacks", worker("return Response('fetch only')"))
    shared.deploy(namespace, "spins", on_scheduled("while True: pass"), limits=Limits(cpu_ms=50))
    for script, outcome in (
        ("raises", Outcome.EXCEPTION),
        ("lacks", Outcome.EXCEPTION),
        ("spins", Outcome.EXCEEDED_CPU),
    ):
        answer = asked(shared, namespace, script)
        assert isinstance(answer, Failure)
        assert answer.outcome is outcome
        trace = shared.traces(namespace, script)[0]
        assert trace.outcome is outcome
        assert trace.event["cron"] == EVENT.cron
    assert asked(shared, namespace, "raises").message == "ValueError: no"  # type: ignore[union-attr]
    assert shared.call(namespace, "lacks").body == b"fetch only"


def test_failed_background_work_marks_the_run(shared: House, namespace: str) -> None:
    """The handler returned; waitUntil work that raises makes it a failed run in the record."""
    source = on_scheduled(
        "ctx.waitUntil(late())", "async def late():\n    raise ValueError('late')"
    )
    shared.deploy(namespace, "w", source)
    assert isinstance(asked(shared, namespace, "w"), Returned)
    assert shared.traces(namespace, "w")[0].outcome is Outcome.EXCEPTION


def test_a_call_by_fetch_is_as_it_was(shared: House, namespace: str) -> None:
    """The twin: a request to the same worker has its response and its record."""
    shared.deploy(namespace, "w", worker("return Response('hi')"))
    assert shared.call(namespace, "w").body == b"hi"
    trace = shared.traces(namespace, "w")[0]
    assert trace.event["response"] == {"status": 200}
    assert "cron" not in trace.event


def test_fetch_of_an_event_goes_through_the_outbound_worker(shared: House, namespace: str) -> None:
    """Whom a namespace's requests go through, its events do as well."""
    shared.deploy(namespace, "out", worker("return Response('through ' + request.url)"))
    source = on_scheduled("print(await (await fetch('http://example.com/')).text())")
    shared.deploy(namespace, "w", source)
    sent = event(shared, namespace, "w")
    assert sent.outbound is None
    outbound = Outbound(namespace=namespace, script="out")
    fields = {name: getattr(sent, name) for name in Invocation.__struct_fields__}
    shared.publish(Invocation(**{**fields, "outbound": outbound}))
    trace = shared.traces(namespace, "w")[0]
    assert trace.logs[0].message == ["through http://example.com/"]


def test_limits_of_an_event(shared: House, namespace: str) -> None:
    """Wall time is what anyone may have, unless the worker has less; CPU time is the worker's."""
    shared.deploy(namespace, "w", on_scheduled("pass"))
    limits = event(shared, namespace, "w").limits
    assert limits.wall_ms == shared.settings.max_wall_ms
    assert limits.cpu_ms == shared.settings.default_cpu_ms
    shared.deploy(namespace, "w", on_scheduled("pass"), limits=Limits(wall_ms=1_000, cpu_ms=7))
    limits = event(shared, namespace, "w").limits
    assert (limits.wall_ms, limits.cpu_ms) == (1_000, 7)
    limits = event(shared, namespace, "w", limits=Limits(cpu_ms=900_000)).limits
    assert limits.cpu_ms == 7


def test_a_full_queue_takes_no_more(shared: House, namespace: str) -> None:
    """Where as much waits as may, an event is not taken, and whoever sent it is told."""
    shared.deploy(namespace, "w", on_scheduled("pass"))
    sent = event(shared, namespace, "w")
    queue = dispatch_queue(f"{namespace}-nobody")
    fields = {name: getattr(sent, name) for name in Invocation.__struct_fields__}
    nowhere = [
        Invocation(**{**fields, "namespace": f"{namespace}-nobody", "id": str(number)})
        for number in range(70)
    ]

    async def work() -> list[Invocation]:
        client = async_redis(shared.settings)
        try:
            return await publish(client, nowhere, bound=2)
        finally:
            await client.aclose()

    refused = asyncio.run(work())
    assert [each.id for each in refused] == [str(number) for number in range(64, 70)]
    assert shared.redis.llen(queue) == 2
    shared.redis.delete(queue)
    assert [len(batch) for _, _, batch in messages(nowhere)] == [32, 32, 6]


def test_an_event_too_late_is_not_run(shared: House, namespace: str) -> None:
    """What was taken after its deadline is dropped, and said to have expired."""
    shared.deploy(namespace, "w", on_scheduled("print('ran')"))
    sent = event(shared, namespace, "w")
    fields = {name: getattr(sent, name) for name in Invocation.__struct_fields__}
    shared.publish(Invocation(**{**fields, "deadline": time.time() - 1}))
    trace = shared.traces(namespace, "w")[0]
    assert (trace.outcome, trace.logs) == (Outcome.EXPIRED, [])
