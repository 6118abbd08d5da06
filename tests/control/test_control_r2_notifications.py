"""Event notifications of R2 over the API, by the official SDK and by hand."""

import base64
import json
from typing import Any

import httpx
import pytest
from cloudflare import Cloudflare

from cloister.registry import Registry

ACCOUNT = "a" * 32
B = "/r2/buckets"
E = "/event_notifications/r2"
NOWHERE = "0" * 32


@pytest.fixture
def queue(api: httpx.Client) -> str:
    """A queue that is pulled from; its id. And a bucket."""
    assert api.post(B, json={"name": "files"}).is_success
    made = api.post("/queues", json={"queue_name": "changes"}).json()["result"]["queue_id"]
    assert api.post(f"/queues/{made}/consumers", json={"type": "http_pull"}).is_success
    return str(made)


def pulled(api: httpx.Client, queue: str) -> list[dict[str, Any]]:
    answer = api.post(f"/queues/{queue}/messages/pull", json={"batch_size": 100}).json()
    return [json.loads(base64.b64decode(each["body"])) for each in answer["result"]["messages"]]


def test_rules_by_the_sdk(sdk: Cloudflare, queue: str) -> None:
    """Added, and more of them; listed with all, and alone; deleted."""
    notifications = sdk.r2.buckets.event_notifications
    both: Any = ["PutObject", "DeleteObject"]
    for rule in (
        {"actions": both, "prefix": "img/", "suffix": ".png", "description": "new images"},
        {"actions": ["CopyObject"]},
    ):
        notifications.update(queue, account_id=ACCOUNT, bucket_name="files", rules=[rule])  # type: ignore[list-item]
    listed = notifications.list("files", account_id=ACCOUNT)
    assert listed.bucket_name == "files"
    (one,) = listed.queues or []
    assert (one.queue_id, one.queue_name) == (queue, "changes")
    first, second = one.rules or []
    assert (first.actions, first.prefix, first.suffix) == (both, "img/", ".png")
    assert (first.description, second.actions) == ("new images", ["CopyObject"])
    assert first.rule_id
    assert first.created_at
    alone = notifications.get(queue, account_id=ACCOUNT, bucket_name="files")
    assert (alone.queue_name, len(alone.rules or [])) == ("changes", 2)
    notifications.delete(queue, account_id=ACCOUNT, bucket_name="files")
    assert notifications.list("files", account_id=ACCOUNT).queues == []


def test_objects_over_the_api(api: httpx.Client, queue: str) -> None:
    """Who puts and deletes over the API is told of; one rule of two deleted is heard no more."""
    place = f"{E}/files/configuration/queues/{queue}"
    put, gone = {"actions": ["PutObject"]}, {"actions": ["DeleteObject"]}
    assert api.put(place, json={"rules": [put, gone]}).json()["result"] == {}
    stored = api.put(f"{B}/files/objects/a%20b", content=b"hello").json()["result"]
    api.delete(f"{B}/files/objects/a%20b")
    first, second = pulled(api, queue)
    assert first.pop("eventTime") <= second.pop("eventTime")
    common = {"account": ACCOUNT, "bucket": "files"}
    said = {"key": "a b", "size": 5, "eTag": stored["etag"]}
    assert first == {**common, "action": "PutObject", "object": said}
    assert second == {**common, "action": "DeleteObject", "object": {"key": "a b"}}
    rules = {
        each["actions"][0]: each["ruleId"] for each in api.get(place).json()["result"]["rules"]
    }
    named = {"ruleIds": [rules["PutObject"]]}
    assert api.request("DELETE", place, json=named).is_success
    api.put(f"{B}/files/objects/c", content=b"x")
    api.delete(f"{B}/files/objects/c")
    assert [each["action"] for each in pulled(api, queue)] == ["DeleteObject"]


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        ([{"actions": []}], 400),
        ([{"actions": ["PutObject", "GetObject"]}], 400),
        ([{"prefix": "a"}], 400),
        ([{"actions": ["PutObject"], "prefix": "x" * 1025}], 400),
        ([{"actions": ["PutObject"]}] * 101, 400),
        ([{"actions": ["PutObject"]}] * 100, 200),
    ],
)
def test_rules_that_are_refused(api: httpx.Client, queue: str, rules: Any, status: int) -> None:
    """All or none are there: without actions, with unknown ones, too long or too many."""
    place = f"{E}/files/configuration/queues/{queue}"
    assert api.put(place, json={"rules": rules}).status_code == status
    kept = api.get(place).json()["result"]["rules"]
    assert len(kept) == (len(rules) if status == 200 else 0)


def test_what_is_not_there(api: httpx.Client, queue: str, registry: Registry) -> None:
    """A bucket or queue that is not the account's is none; a body that is no JSON is refused."""
    other = registry.accounts.create("Other").id
    registry.r2.create(other, "theirs", location="weur", storage_class="Standard")
    body = {"rules": [{"actions": ["PutObject"]}]}
    for bucket, queue_id, code in (
        ("theirs", queue, 10006),
        ("missing", queue, 10006),
        ("files", NOWHERE, 11000),
    ):
        place = f"{E}/{bucket}/configuration/queues/{queue_id}"
        for method in ("PUT", "GET", "DELETE"):
            answer = api.request(method, place, json=body if method == "PUT" else {})
            found = (answer.status_code, answer.json()["errors"][0]["code"])
            assert found == (404, code), (method, place)
    assert api.get(f"{E}/theirs/configuration").status_code == 404
    place = f"{E}/files/configuration/queues/{queue}"
    assert api.put(place, json=body).is_success
    for sent in (b"{", b'{"ruleIds": 1}'):
        assert api.request("DELETE", place, content=sent).status_code == 400
    elsewhere = api.request("DELETE", place, headers={"cf-r2-jurisdiction": "eu"})
    assert elsewhere.json()["errors"][0]["code"] == 10004
    assert len(api.get(place).json()["result"]["rules"]) == 1
