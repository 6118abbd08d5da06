"""Queues over the API, by the official SDK and by hand."""

import base64
from collections.abc import Callable
from typing import Any

import cloudflare
import httpx
import pytest
from cloudflare import Cloudflare

from cloister.messages import CompileAnswer
from cloister.queues import QUEUES_CHANNEL
from cloister.registry import Registry, queues
from cloister.registry.queue_views import QueueSettings

ACCOUNT = "a" * 32
OTHER_ACCOUNT = "b" * 32
NAMESPACE = "production"
Q = "/queues"
NOWHERE = "0" * 32

Upload = Callable[..., httpx.Response]


def fault(response: httpx.Response) -> tuple[int, int]:
    body = response.json()
    assert (body["success"], body["result"]) == (False, None)
    return response.status_code, body["errors"][0]["code"]


@pytest.fixture
def queue(api: httpx.Client) -> str:
    """Path of a queue."""
    made = api.post(Q, json={"queue_name": "jobs"})
    assert made.is_success
    return f"{Q}/{made.json()['result']['queue_id']}"


@pytest.fixture
def pulled(api: httpx.Client, queue: str) -> str:
    """The same, to be pulled."""
    assert api.post(f"{queue}/consumers", json={"type": "http_pull"}).is_success
    return queue


@pytest.fixture
def worker(executor: Any, upload: Upload) -> str:
    """A user worker with a queue handler."""
    executor.answer = CompileAnswer(id="", handlers=["fetch", "queue"])
    assert upload("worker").is_success
    return "worker"


def test_queues_by_the_sdk(sdk: Cloudflare) -> None:
    """Made, listed, changed in part and in whole, deleted."""
    made = sdk.queues.create(account_id=ACCOUNT, queue_name="jobs")
    assert made is not None
    assert made.queue_id is not None
    assert (made.queue_name, made.producers, made.consumers) == ("jobs", [], [])
    assert made.settings is not None
    assert made.settings.message_retention_period == 345_600
    sdk.queues.create(account_id=ACCOUNT, queue_name="a")
    assert [each.queue_name for each in sdk.queues.list(account_id=ACCOUNT)] == ["a", "jobs"]
    settings = {"delivery_delay": 5, "delivery_paused": True}
    some = sdk.queues.edit(made.queue_id, account_id=ACCOUNT, settings=settings)  # type: ignore[arg-type]
    assert some is not None
    assert some.settings is not None
    assert (some.queue_name, some.settings.delivery_delay) == ("jobs", 5)
    whole = sdk.queues.update(made.queue_id, account_id=ACCOUNT, queue_name="renamed")
    assert whole is not None
    assert whole.settings is not None
    assert (whole.queue_name, whole.settings.delivery_paused) == ("renamed", False)
    metrics = sdk.queues.get_metrics(made.queue_id, account_id=ACCOUNT)
    assert metrics is not None
    assert (metrics.backlog_count, metrics.oldest_message_timestamp_ms) == (0, 0)
    with pytest.raises(cloudflare.ConflictError):
        sdk.queues.create(account_id=ACCOUNT, queue_name="a")
    sdk.queues.delete(made.queue_id, account_id=ACCOUNT)
    with pytest.raises(cloudflare.NotFoundError):
        sdk.queues.get(made.queue_id, account_id=ACCOUNT)


def test_messages_by_the_sdk(sdk: Cloudflare) -> None:
    """Sent one by one and many at once, pulled, acknowledged, wanted again, looked at, purged."""
    queue = sdk.queues.create(account_id=ACCOUNT, queue_name="jobs")
    assert queue is not None
    assert queue.queue_id is not None
    consumer = sdk.queues.consumers.create(
        queue.queue_id, account_id=ACCOUNT, type="http_pull", settings={"batch_size": 2}
    )
    assert consumer is not None
    assert consumer.type == "http_pull"
    messages = sdk.queues.messages
    pushed = messages.push(queue.queue_id, account_id=ACCOUNT, body={"a": 1}, content_type="json")
    assert pushed is not None
    assert pushed.metadata is not None
    assert pushed.metadata.metrics is not None
    assert pushed.metadata.metrics.backlog_count == 1
    messages.bulk_push(
        queue.queue_id,
        account_id=ACCOUNT,
        messages=[
            {"body": "hé", "content_type": "text"},
            {"body": "later", "content_type": "text", "delay_seconds": 60},
        ],
    )
    taken = messages.pull(queue.queue_id, account_id=ACCOUNT, visibility_timeout_ms=60_000)
    assert taken is not None
    assert taken.messages is not None
    assert taken.message_backlog_count == 3
    first, second = taken.messages
    assert first.body is not None
    assert (base64.b64decode(first.body), second.body) == (b'{"a":1}', "hé")
    assert (first.metadata, first.attempts) == ({"CF-Content-Type": "json"}, 1)
    answered = messages.ack(
        queue.queue_id,
        account_id=ACCOUNT,
        acks=[{"lease_id": str(first.lease_id)}, {"lease_id": "1.x"}],
        retries=[{"lease_id": str(second.lease_id), "delay_seconds": 0}],
    )
    assert answered is not None
    assert (answered.ack_count, answered.retry_count) == (1, 1)
    assert list(answered.warnings or {}) == ["1.x"]
    again = messages.pull(queue.queue_id, account_id=ACCOUNT, batch_size=10)
    assert again is not None
    assert [(each.body, each.attempts) for each in again.messages or []] == [("hé", 2)]
    seen = messages.peek(queue.queue_id, account_id=ACCOUNT)
    assert seen is not None
    assert seen.messages is not None
    assert [each.body for each in seen.messages] == ["hé", "later"]
    removed = messages.purge(
        queue.queue_id, account_id=ACCOUNT, refs=[{"ref": str(seen.messages[0].ref)}, {"ref": "x"}]
    )
    assert removed is not None
    assert (removed.errors, list(removed.warnings or {})) == ([], ["x"])
    sdk.queues.purge.start(queue.queue_id, account_id=ACCOUNT, delete_messages_permanently=True)
    status = sdk.queues.purge.status(queue.queue_id, account_id=ACCOUNT)
    assert status is not None
    assert status.completed == "true"
    metrics = sdk.queues.get_metrics(queue.queue_id, account_id=ACCOUNT)
    assert metrics is not None
    assert metrics.backlog_count == 0


def test_consumers_by_the_sdk(
    sdk: Cloudflare, api: httpx.Client, worker: str, executor: Any
) -> None:
    """A plain Worker as the product names it, a user worker by its namespace; changed, listed,
    removed; with a dead letter queue that comes to be."""
    queue = sdk.queues.create(account_id=ACCOUNT, queue_name="jobs")
    assert queue is not None
    assert queue.queue_id is not None
    files = {
        "metadata": (None, b'{"main_module": "worker.py"}', "application/json"),
        "worker.py": ("worker.py", b"x = 1", "text/x-python"),
    }
    assert api.put("/workers/scripts/plain", files=files).is_success
    made = sdk.queues.consumers.create(
        queue.queue_id,
        account_id=ACCOUNT,
        type="worker",
        script_name="plain",
        dead_letter_queue="dead",
        settings={"batch_size": 50, "max_wait_time_ms": 1000},
    )
    assert made is not None
    assert made.type == "worker"
    assert (made.script_name, made.dead_letter_queue) == ("plain", "dead")
    assert made.settings is not None
    assert (made.settings.batch_size, made.settings.max_retries) == (50, 3)
    place = f"{Q}/{queue.queue_id}/consumers/{made.consumer_id}"
    changed = api.put(
        place, json={"type": "worker", "script_name": worker, "namespace": NAMESPACE}
    ).json()["result"]
    assert (changed["script"], changed["namespace"]) == (worker, NAMESPACE)
    assert changed["settings"]["max_concurrency"] is None
    assert api.get(place).json()["result"] == changed
    listed = list(sdk.queues.consumers.list(queue.queue_id, account_id=ACCOUNT))
    assert [each.consumer_id for each in listed] == [made.consumer_id]
    (shown,) = api.get(Q, params={"name": "jobs"}).json()["result"]
    assert shown["consumers"] == [changed]
    assert api.get(Q, params={"name": ["dead", "jobs", "x"]}).json()["result_info"]["count"] == 2
    sdk.queues.consumers.delete(str(made.consumer_id), account_id=ACCOUNT, queue_id=queue.queue_id)
    assert list(sdk.queues.consumers.list(queue.queue_id, account_id=ACCOUNT)) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "refusal"),
    [
        ("POST", "", {}, (400, 10003)),
        ("POST", "", {"queue_name": "A b"}, (400, 11003)),
        ("POST", "", {"queue_name": "a" * 64}, (400, 11003)),
        ("POST", "", {"queue_name": "new", "jurisdiction": "eu"}, (400, 10004)),
        ("POST", "", {"queue_name": "new", "settings": {"delivery_delay": -1}}, (400, 100128)),
        ("POST", "", {"queue_name": "jobs"}, (409, 11009)),
        ("GET", f"/{NOWHERE}", None, (404, 11000)),
        ("PUT", f"/{NOWHERE}", {"queue_name": "x"}, (404, 11000)),
        ("DELETE", f"/{NOWHERE}", None, (404, 11000)),
        ("GET", f"/{NOWHERE}/metrics", None, (404, 11000)),
        ("GET", f"/{NOWHERE}/consumers", None, (404, 11000)),
        ("GET", f"/{NOWHERE}/purge", None, (404, 11000)),
        ("POST", f"/{NOWHERE}/messages", {"body": 1}, (404, 11000)),
        ("PATCH", "/ID", {"settings": {"message_retention_period": 59}}, (400, 100128)),
        ("PATCH", "/ID", {"settings": {"message_retention_period": 1_209_601}}, (400, 100128)),
        ("POST", "/ID/consumers", {}, (400, 10003)),
        ("POST", "/ID/consumers", {"type": "r2_bucket"}, (400, 10004)),
        ("POST", "/ID/consumers", {"type": "worker"}, (400, 10003)),
        ("POST", "/ID/consumers", {"type": "worker", "script_name": "none"}, (404, 10007)),
        (
            "POST",
            "/ID/consumers",
            {"type": "http_pull", "settings": {"batch_size": 101}},
            (400, 100127),
        ),
        ("POST", "/ID/consumers", {"type": "http_pull", "dead_letter_queue": "jobs"}, (400, 10004)),
        ("POST", "/ID/consumers", {"type": "http_pull", "dead_letter_queue": "_"}, (400, 11003)),
        ("PUT", f"/ID/consumers/{NOWHERE}", {"type": "http_pull"}, (404, 11000)),
        ("DELETE", f"/ID/consumers/{NOWHERE}", None, (404, 11000)),
        ("POST", "/ID/messages", {}, (400, 10003)),
        ("POST", "/ID/messages", {"body": 1, "content_type": "text"}, (400, 10004)),
        ("POST", "/ID/messages", {"body": 1, "content_type": "v8"}, (400, 10004)),
        ("POST", "/ID/messages", {"body": "x" * 128_001, "content_type": "text"}, (400, 10004)),
        ("POST", "/ID/messages", {"body": 1, "delay_seconds": 86_401}, (400, 10004)),
        ("POST", "/ID/messages/batch", {"messages": []}, (400, 10004)),
        ("POST", "/ID/messages/batch", {"messages": [{"body": 1}] * 101}, (400, 10004)),
        ("POST", "/ID/messages/pull", {}, (400, 100127)),
        ("POST", "/ID/messages/peek", {"batch_size": 101}, (400, 10004)),
        ("POST", "/ID/purge", {}, (400, 10004)),
    ],
)
def test_refusals(
    api: httpx.Client,
    queue: str,
    method: str,
    path: str,
    body: Any,
    refusal: tuple[int, int],
) -> None:
    """Each with its code; nothing is made or changed."""
    before = api.get(Q).json()["result"]
    where = path.replace("ID", queue.rpartition("/")[2])
    assert fault(api.request(method, f"{Q}{where}", json=body)) == refusal
    assert api.get(Q).json()["result"] == before
    assert api.get(f"{queue}/metrics").json()["result"]["backlog_count"] == 0


def test_a_consumer_needs_a_handler(api: httpx.Client, queue: str, upload: Upload) -> None:
    """A worker without queue() consumes nothing; a second consumer is refused; what is in use
    stays."""
    assert upload("deaf").is_success
    said = {"type": "worker", "script_name": "deaf", "namespace": NAMESPACE}
    assert fault(api.post(f"{queue}/consumers", json=said)) == (400, 11001)
    dead = {"type": "http_pull", "dead_letter_queue": "dead"}
    assert api.post(f"{queue}/consumers", json=dead).is_success
    assert fault(api.post(f"{queue}/consumers", json=dead)) == (409, 11004)
    assert fault(api.delete(queue)) == (409, 11005)
    (found,) = api.get(Q, params={"name": "dead"}).json()["result"]
    assert fault(api.delete(f"{Q}/{found['queue_id']}")) == (409, 11005)


def test_whose_it_is(url: str, api: httpx.Client, registry: Registry, pulled: str) -> None:
    """Nobody reaches another account's queue; a token of a namespace reaches none, one for reading
    changes and takes nothing, though it may look."""
    theirs = registry.queues.create(OTHER_ACCOUNT, "jobs", QueueSettings())
    assert fault(api.get(f"{Q}/{theirs.id}")) == (404, 11000)
    assert fault(api.post(f"{Q}/{theirs.id}/messages", json={"body": 1})) == (404, 11000)
    assert fault(api.get(f"{url}/client/v4/accounts/{OTHER_ACCOUNT}{Q}")) == (403, 10000)
    for rights, reads in (({"read_only": True}, 200), ({"namespace": NAMESPACE}, 403)):
        token = registry.tokens.create(ACCOUNT, "t", **rights).text  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {token}"}
        for method, path in (("GET", ""), ("GET", "/metrics"), ("POST", "/messages/peek")):
            answer = api.request(method, f"{pulled}{path}", headers=headers, json={})
            assert answer.status_code == reads
        for path, body in (
            ("", {"body": 1}),
            ("/pull", {}),
            ("/ack", {}),
            ("/purge", {"refs": []}),
        ):
            answer = api.post(f"{pulled}/messages{path}", headers=headers, json=body)
            assert fault(answer) == (403, 10000)


def test_who_delivers_is_told(api: httpx.Client, queue: str, valkey: Any) -> None:
    """Whoever sends says so to those who deliver, once the message is stored."""
    with valkey.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(QUEUES_CHANNEL)
        listener.get_message(timeout=5)
        assert api.post(f"{queue}/messages", json={"body": 1}).is_success
        assert listener.get_message(timeout=5)["data"] == b""


def test_bindings_need_their_queue(api: httpx.Client, queue: str, upload: Upload) -> None:
    """A queue of the account, or the upload is refused and nothing changes. Who is bound is
    shown."""
    good = {"type": "queue", "name": "JOBS", "queue_name": "jobs", "delivery_delay": 5}
    for wrong, refusal in (
        ({"queue_name": "none"}, (404, 11000)),
        ({"queue_name": None}, (400, 10021)),
        ({"delivery_delay": 86_401}, (400, 10021)),
        ({"delivery_delay": "5"}, (400, 10021)),
    ):
        assert fault(upload("sender", bindings=[good | wrong])) == refusal
    assert api.get(queue).json()["result"]["producers"] == []
    assert upload("sender", bindings=[good]).is_success
    shown = api.get(queue).json()["result"]
    assert shown["producers_total_count"] == 1
    assert shown["producers"][0]["script"] == "sender"
    settings = f"/workers/dispatch/namespaces/{NAMESPACE}/scripts/sender/settings"
    assert api.get(settings).json()["result"]["bindings"] == [good]
    assert fault(api.delete(queue)) == (409, 11005)


def test_a_token_of_a_namespace_binds_what_is_bound_there(
    api: httpx.Client, queue: str, upload: Upload, registry: Registry
) -> None:
    """It guesses no queue of the account's; what the account's own token has bound there, it may
    bind to other workers, too."""
    binding = {"type": "queue", "name": "JOBS", "queue_name": "jobs"}
    token = registry.tokens.create(ACCOUNT, "t", namespace=NAMESPACE).text
    ours, theirs = api.headers["Authorization"], f"Bearer {token}"
    api.headers["Authorization"] = theirs
    assert fault(upload("mine", bindings=[binding])) == (404, 11000)
    api.headers["Authorization"] = ours
    assert upload("first", bindings=[binding]).is_success
    api.headers["Authorization"] = theirs
    assert upload("mine", bindings=[binding]).is_success


def test_dead_letter_queues_count_as_queues(
    api: httpx.Client, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer's dead letter queue is made within the account's bound only; one that is there
    will do. What is refused changes nothing."""
    monkeypatch.setattr(queues, "QUEUES", 2)
    consumer = {"type": "http_pull", "dead_letter_queue": "dead"}
    made = api.post(f"{queue}/consumers", json=consumer)
    assert made.is_success  # the second
    one = f"{queue}/consumers/{made.json()['result']['consumer_id']}"
    more = {**consumer, "dead_letter_queue": "third"}
    assert fault(api.put(one, json=more)) == fault(api.post(Q, json={"queue_name": "third"}))
    assert api.put(one, json=consumer).is_success
    assert [each["queue_name"] for each in api.get(Q).json()["result"]] == ["dead", "jobs"]
