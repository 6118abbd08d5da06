"""What queues are told of the objects of a bucket, on each database."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from cloister.errors import Invalid, NotFound
from cloister.registry import Registry, queue_sending
from cloister.registry.queue_views import QueueSettings
from cloister.registry.r2_errors import R2Error
from cloister.registry.r2_notifications import Rule
from cloister.registry.r2_uploads import NamedPart
from cloister.registry.r2_views import Blob, Said

ACCOUNT = "a" * 32
OTHER_ACCOUNT = "b" * 32
SAID = Said(http_metadata={}, custom_metadata={}, storage_class="Standard")
EVERYTHING = Rule(
    actions=["PutObject", "CompleteMultipartUpload", "DeleteObject", "LifecycleDeletion"]
)


class Place:
    """A bucket, and queues that may be told of it."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        registry.accounts.ensure(ACCOUNT, "first")
        registry.accounts.ensure(OTHER_ACCOUNT, "second")
        made = registry.r2.create(ACCOUNT, "files", location="weur", storage_class="Standard")
        self.bucket = made.id

    def queue(self, name: str, *rules: Rule) -> str:
        """Make a queue that is told so."""
        queue = self.registry.queues.create(ACCOUNT, name, QueueSettings()).id
        self.registry.r2.notifications.add(ACCOUNT, "files", queue, rules)
        return queue

    def blob(self) -> Blob:
        version = self.registry.r2.objects.begin()
        return Blob(version=version, size=3, checksums={"md5": "0" * 32})

    def put(self, key: str) -> None:
        self.registry.r2.objects.put(self.bucket, key, SAID, self.blob())

    def told(self, queue: str) -> list[dict[str, Any]]:
        """What is in a queue."""
        found = self.registry.queues.messages.peek(queue, 2_000)
        assert {each.content_type for each in found} <= {"json"}
        return [msgspec.json.decode(each.body) for each in found]

    def short(self, queue: str) -> list[tuple[str, str]]:
        return [(each["action"], each["object"]["key"]) for each in self.told(queue)]


@pytest.fixture
def place(registry: Registry) -> Place:
    return Place(registry)


def test_what_is_told(place: Place) -> None:
    """An object put and put again, an upload completed, objects deleted, by somebody or by a rule:
    a message each, of the product's shape. What was not there is not deleted, and an upload that is
    given up was none."""
    queue = place.queue("all", EVERYTHING)
    objects, uploads = place.registry.r2.objects, place.registry.r2.uploads
    place.put("a")
    place.put("a")
    upload = uploads.create(place.bucket, "big", SAID)
    blob = place.blob()
    uploads.put_part(place.bucket, "big", upload, 1, blob)
    uploads.complete(place.bucket, "big", upload, [NamedPart(1, blob.md5)])
    uploads.abort(place.bucket, "c", uploads.create(place.bucket, "c", SAID))
    objects.remove(place.bucket, "a", "missing")
    place.registry.r2.set_rules(
        ACCOUNT,
        "files",
        "lifecycle",
        [
            {"id": "x", "enabled": True, "conditions": {"prefix": ""}}
            | {"deleteObjectsTransition": {"condition": {"type": "Age", "maxAge": 0}}}
        ],
    )
    assert place.registry.r2.sweep() == 1
    told = place.told(queue)
    assert all(each.pop("eventTime").endswith("Z") for each in told)
    common = {"account": ACCOUNT, "bucket": "files"}
    put = {"key": "a", "size": 3, "eTag": "0" * 32}
    assert told[:2] == [{**common, "action": "PutObject", "object": put}] * 2
    assert told[2]["action"] == "CompleteMultipartUpload"
    assert told[2]["object"]["size"] == 3
    assert told[2]["object"]["eTag"].endswith("-1")
    assert told[3:] == [
        {**common, "action": "DeleteObject", "object": {"key": "a"}},
        {**common, "action": "LifecycleDeletion", "object": {"key": "big"}},
    ]


def test_who_is_told(place: Place) -> None:
    """Each queue what its rules say, once however many of them do; nobody what is refused, and
    nobody any more once the rules are gone."""
    both: Any = ["PutObject", "DeleteObject"]
    images = place.queue(
        "images",
        Rule(actions=["PutObject"], prefix="img/", suffix=".png"),
        Rule(actions=["PutObject"], prefix="img/a"),
    )
    gone = place.queue("gone", Rule(actions=["DeleteObject"]), Rule(actions=both, prefix="x"))
    for key in ("img/a.png", "img/b.png", "img/b.gif", "b.png"):
        place.put(key)
    lock = {"id": "l", "enabled": True, "prefix": "b", "condition": {"type": "Indefinite"}}
    place.registry.r2.set_rules(ACCOUNT, "files", "lock", [lock])
    with pytest.raises(R2Error, match="locked"):
        place.registry.r2.objects.remove(place.bucket, "img/a.png", "b.png")
    place.registry.r2.objects.remove(place.bucket, "img/a.png")
    assert place.short(images) == [("PutObject", "img/a.png"), ("PutObject", "img/b.png")]
    assert place.short(gone) == [("DeleteObject", "img/a.png")]
    rules = place.registry.r2.notifications
    deletes, xs = rules.list(ACCOUNT, "files", gone)
    rules.remove(ACCOUNT, "files", gone, [deletes.id, "0" * 32])
    assert rules.list(ACCOUNT, "files", gone) == [xs]
    rules.remove(ACCOUNT, "files", images)
    assert rules.list(ACCOUNT, "files") == [xs]
    place.put("img/a.png")
    place.put("x")
    assert len(place.short(images)) == 2
    assert place.short(gone)[1:] == [("PutObject", "x")]


def test_a_full_queue_fails_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into a queue is not told; the object is there, and another queue knows."""
    full = place.queue("full", EVERYTHING)
    place.put("a")
    held = place.registry.queues.messages.metrics(full)
    monkeypatch.setattr(queue_sending, "BACKLOG_BYTES", held.size_bytes + 1)
    free = place.queue("free", EVERYTHING)
    place.put("b")
    assert place.registry.r2.objects.find(place.bucket, "b") is not None
    place.registry.r2.objects.remove(place.bucket, "a", "b")
    assert place.registry.r2.objects.list(place.bucket).objects == []
    assert place.short(full) == [("PutObject", "a")]
    assert place.short(free) == [("PutObject", "b")]
    assert place.registry.queues.messages.metrics(full) == held


def test_many_at_once(place: Place) -> None:
    """Objects deleted together are a message each, of however many parts they are sent in."""
    queue = place.queue("all", Rule(actions=["DeleteObject"]))
    keys = [f"{number:03}" for number in range(120)]
    for key in keys:
        place.put(key)
    place.registry.r2.objects.remove(place.bucket, *keys)
    assert sorted(key for _, key in place.short(queue)) == keys


def test_writers_and_whoever_deletes_the_queue(place: Place) -> None:
    """Objects that are put while their queue is deleted are put."""
    queue = place.queue("all", EVERYTHING)

    def delete() -> None:
        place.registry.queues.delete(ACCOUNT, queue)

    keys = [f"k{number}" for number in range(20)]
    with ThreadPoolExecutor(4) as pool:
        puts = [pool.submit(place.put, key) for key in keys[:10]]
        deleted = pool.submit(delete)
        puts += [pool.submit(place.put, key) for key in keys[10:]]
        for each in (*puts, deleted):
            each.result(30)
    assert len(place.registry.r2.objects.list(place.bucket).objects) == 20
    assert place.registry.r2.notifications.list(ACCOUNT, "files") == []


def test_bounds_and_whose_it_is(place: Place) -> None:
    """A bucket has so many rules and no more, all or none of those that come together; queue and
    bucket are the account's own; with the bucket its rules go."""
    queue = place.queue("all", *[EVERYTHING] * 99)
    rules = place.registry.r2.notifications
    with pytest.raises(Invalid, match="at most 100 rules"):
        rules.add(ACCOUNT, "files", queue, [EVERYTHING] * 2)
    rules.add(ACCOUNT, "files", queue, [EVERYTHING])
    assert len(rules.list(ACCOUNT, "files")) == 100
    place.put("a")
    assert len(place.told(queue)) == 1
    rules.remove(ACCOUNT, "files", queue, [each.id for each in rules.list(ACCOUNT, "files")[:10]])
    for number in range(9):
        place.queue(f"queue-{number}", EVERYTHING)
    with pytest.raises(Invalid, match="at most 10 queues"):
        place.queue("queue-9", EVERYTHING)
    theirs = place.registry.queues.create(OTHER_ACCOUNT, "theirs", QueueSettings()).id
    place.registry.r2.create(ACCOUNT, "other", location="weur", storage_class="Standard")
    with pytest.raises(NotFound):
        rules.add(ACCOUNT, "other", theirs, [EVERYTHING])
    for call in (rules.list, rules.remove):
        with pytest.raises(NotFound):
            call(OTHER_ACCOUNT, "files", queue)
    with pytest.raises(NotFound):
        rules.add(OTHER_ACCOUNT, "files", theirs, [EVERYTHING])
    place.registry.r2.objects.remove(place.bucket, "a")
    place.registry.r2.delete(ACCOUNT, "files")
    assert len(place.told(queue)) == 2
    place.registry.queues.delete(ACCOUNT, queue)
