"""Bindings to what is nowhere made, secrets stores and datasets over REST, and types that need the
vendor's cloud."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from cloudflare import Cloudflare, NotFoundError

from cloister.registry import Registry
from cloister.registry.points import Point
from cloister.registry.secret_stores import NewSecret
from control.errors import Refused
from control.rules import bindings

ACCOUNT, OTHER_ACCOUNT = "a" * 32, "b" * 32

CLOUD = (
    *("ai", "ai_search", "ai_search_namespace", "artifacts", "browser", "browser_rendering"),
    *("data_blob", "flagship", "hyperdrive", "images", "k2", "media", "messaging"),
    *("mtls_certificate", "pipelines", "send_email", "text_blob", "vectorize", "vpc_network"),
    *("vpc_service", "wasm_module"),
)


@pytest.mark.parametrize("kind", CLOUD)
def test_types_that_need_the_cloud(kind: str) -> None:
    """Each is refused when it is uploaded, by name: nothing of the kind is here."""
    with pytest.raises(
        Refused, match=f"'X': bindings of type '{kind}' are not available"
    ) as caught:
        bindings.bindings([{"type": kind, "name": "X"}])
    assert caught.value.faults[0].code == 100153


def ratelimit(**changes: Any) -> dict[str, Any]:
    simple = {"limit": 100, "period": 60, **changes.pop("simple", {})}
    return {"type": "ratelimit", "name": "X", "namespace_id": "1001", "simple": simple} | changes


@pytest.mark.parametrize(
    "item",
    [
        ratelimit(),
        ratelimit(simple={"period": 10, "mitigation_timeout": 10}),
        ratelimit(simple={"mitigation_timeout": 86_400}),
        ratelimit(simple={"mitigation_timeout": 60}),
        {"type": "analytics_engine", "name": "X", "dataset": "my_dataset"},
        {"type": "version_metadata", "name": "X"},
        {"type": "secrets_store_secret", "name": "X", "store_id": "s", "secret_name": "n"},
    ],
)
def test_bindings_let_through(item: dict[str, Any]) -> None:
    """Good ones keep their fields, and nothing that is not theirs."""
    assert bindings.bindings([{**item, "extra": 1}]) == [item]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"type": "ratelimit", "name": "X"}, 10021),
        (ratelimit(namespace_id="x"), 10021),
        (ratelimit(namespace_id="0"), 10021),
        (ratelimit(namespace_id=None), 10021),
        (ratelimit(simple={"period": 30}), 10021),
        (ratelimit(simple={"limit": 0}), 10021),
        (ratelimit(simple={"limit": "many"}), 10021),
        (ratelimit(simple={"mitigation_timeout": 10}), 10021),
        (ratelimit(simple={"mitigation_timeout": 90}), 10021),
        (ratelimit(simple={"mitigation_timeout": 86_460}), 10021),
        ({"type": "analytics_engine", "name": "X"}, 100144),
        ({"type": "analytics_engine", "name": "X", "dataset": ""}, 100144),
        ({"type": "analytics_engine", "name": "X", "dataset": "a b"}, 100144),
        ({"type": "secrets_store_secret", "name": "X", "store_id": "s"}, 10021),
        ({"type": "secrets_store_secret", "name": "X", "secret_name": "n"}, 10021),
    ],
)
def test_bindings_refused(item: dict[str, Any], code: int) -> None:
    """A wrong one is refused with the binding's name, and what is wrong."""
    with pytest.raises(Refused, match="'X'") as caught:
        bindings.bindings([item])
    assert caught.value.faults[0].code == code


def test_the_sdk_keeps_secrets(sdk: Cloudflare, registry: Registry) -> None:
    """The life of a store and its secrets with the official client. No answer has a value."""
    stores: Any = sdk.secrets_store.stores
    made = stores.create(account_id=ACCOUNT, name="first")
    of = {"account_id": ACCOUNT, "store_id": made.id}
    assert stores.get(**of).name == "first"
    assert [each.id for each in stores.list(account_id=ACCOUNT)] == [made.id]
    body = [
        {"name": "KEY", "value": "very secret", "scopes": ["workers"], "comment": "of the shop"},
        {"name": "OTHER", "value": "another", "scopes": ["workers", "access"]},
    ]
    key, other = stores.secrets.create(**of, body=body)
    assert (key.name, key.status, key.comment) == ("KEY", "active", "of the shop")
    assert registry.secret_stores.value(ACCOUNT, made.id, "KEY") == "very secret"
    changed = stores.secrets.edit(key.id, **of, value="changed", scopes=["workers"])
    assert changed.comment == "of the shop"
    copy = stores.secrets.duplicate(key.id, **of, name="COPY", scopes=["workers"])
    assert registry.secret_stores.value(ACCOUNT, made.id, "COPY") == "changed"
    assert [each.name for each in stores.secrets.list(**of)] == ["COPY", "KEY", "OTHER"]
    assert [each.name for each in stores.secrets.list(**of, search="SHOP".lower())] == ["KEY"]
    assert sdk.secrets_store.quota.get(account_id=ACCOUNT).secrets.usage == 3
    assert stores.secrets.get(other.id, **of).scopes == ["access", "workers"]
    stores.secrets.delete(copy.id, **of)
    with pytest.raises(NotFoundError):
        stores.secrets.get(copy.id, **of)
    stores.delete(made.id, account_id=ACCOUNT)
    with pytest.raises(NotFoundError):
        stores.get(**of)


def test_no_value_comes_out(api: httpx.Client, registry: Registry) -> None:
    """Neither by the API nor from the database as it lies there."""
    store = registry.secret_stores.create(ACCOUNT, "s").id
    secret = {"name": "KEY", "value": "very secret", "scopes": ["workers"]}
    made = api.post(f"/secrets_store/stores/{store}/secrets", json=[secret])
    one = f"/secrets_store/stores/{store}/secrets/{made.json()['result'][0]['id']}"
    answers = [made, api.get(one), api.get(one.rpartition("/")[0]), api.patch(one, json={})]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert not any("very secret" in answer.text for answer in answers)
    with registry.kv._database.engine.connect() as connection:
        (row,) = connection.exec_driver_sql("SELECT * FROM stored_secrets").all()
    assert b"very secret" not in repr(row).encode()


@pytest.mark.parametrize(
    ("secret", "status"),
    [
        ({"name": "KEY", "value": "x", "scopes": ["workers"]}, 409),
        ({"name": "a b", "value": "x", "scopes": ["workers"]}, 400),
        ({"name": "N", "value": "", "scopes": ["workers"]}, 400),
        ({"name": "N", "value": "x" * 65_537, "scopes": ["workers"]}, 400),
        ({"name": "N", "value": "x", "scopes": ["everything"]}, 400),
        ({"name": "N", "value": "x", "scopes": []}, 400),
        ({"name": "N", "scopes": ["workers"]}, 400),
    ],
)
def test_secrets_refused(
    api: httpx.Client, registry: Registry, secret: dict[str, Any], status: int
) -> None:
    """A wrong one is refused, and a good one that came with it is not written."""
    store = registry.secret_stores.create(ACCOUNT, "s").id
    good = {"name": "KEY", "value": "x", "scopes": ["workers"]}
    assert api.post(f"/secrets_store/stores/{store}/secrets", json=[good]).status_code == 200
    body = [{**good, "name": "GOOD"}, secret]
    answer = api.post(f"/secrets_store/stores/{store}/secrets", json=body)
    assert answer.status_code == status, answer.text
    assert registry.secret_stores.count(ACCOUNT) == 1


def test_stores_of_another_account(api: httpx.Client, registry: Registry) -> None:
    """They are as if they were not, and so are their secrets."""
    store = registry.secret_stores.create(OTHER_ACCOUNT, "s").id
    new = NewSecret(name="KEY", value="theirs", scopes=["workers"])
    (secret,) = registry.secret_stores.add(OTHER_ACCOUNT, store, [new])
    base = f"/secrets_store/stores/{store}"
    one = f"{base}/secrets/{secret.id}"
    copy = {"name": "COPY", "scopes": ["workers"]}
    asked = [
        api.get(base),
        api.get(f"{base}/secrets"),
        api.post(f"{base}/secrets", json=[{**copy, "value": "x"}]),
        api.get(one),
        api.patch(one, json={"value": "mine"}),
        api.post(f"{one}/duplicate", json=copy),
        api.delete(one),
        api.delete(base),
    ]
    assert [answer.status_code for answer in asked] == [404] * len(asked)
    mine = registry.secret_stores.create(ACCOUNT, "s").id
    moved = f"/secrets_store/stores/{mine}/secrets/{secret.id}"
    assert api.get(moved).status_code == 404
    assert api.post(f"{moved}/duplicate", json=copy).status_code == 404
    assert registry.secret_stores.value(OTHER_ACCOUNT, store, "KEY") == "theirs"


def test_a_binding_to_a_secret(upload: Callable[..., httpx.Response], registry: Registry) -> None:
    """One that the account has, for Workers, is taken; any other is 10021, and nothing is made."""
    store = registry.secret_stores.create(ACCOUNT, "s").id
    theirs = registry.secret_stores.create(OTHER_ACCOUNT, "s").id
    for account, place in ((ACCOUNT, store), (OTHER_ACCOUNT, theirs)):
        new = NewSecret(name="KEY", value="x", scopes=["workers"])
        registry.secret_stores.add(account, place, [new])
    not_for_workers = NewSecret(name="ACCESS", value="x", scopes=["access"])
    registry.secret_stores.add(ACCOUNT, store, [not_for_workers])

    def bound(store_id: str, name: str) -> httpx.Response:
        item = {"type": "secrets_store_secret", "name": "S"}
        return upload("w", bindings=[{**item, "store_id": store_id, "secret_name": name}])

    for refused in (bound(theirs, "KEY"), bound(store, "NONE"), bound(store, "ACCESS")):
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["code"] == 10021
    assert bound(store, "KEY").status_code == 200


def test_datasets_are_read(api: httpx.Client, registry: Registry) -> None:
    """Which there are, and their points in a range of time as lines of JSON; those of another
    account are not among them."""
    now = int(time.time() * 1000)

    def point(at: int, text: str) -> Point:
        return Point(
            timestamp=at, namespace="n", script="s", index=None, blobs=[text], doubles=[1.5]
        )

    registry.points.write(
        [
            (ACCOUNT, "d", [point(now - 5000, "old"), point(now - 1000, "new")]),
            (OTHER_ACCOUNT, "d", [point(now, "theirs")]),
            ("f" * 32, "d", [point(now, "of nobody")]),
        ]
    )
    (found,) = api.get("/analytics_engine/datasets").json()["result"]
    assert (found["name"], found["points"]) == ("d", 2)

    def blobs(**query: Any) -> list[str]:
        answer = api.get("/analytics_engine/datasets/d/points", params=query)
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        return [json.loads(line)["blobs"][0] for line in answer.text.splitlines()]

    def moment(at: int) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at / 1000))

    assert blobs() == ["old", "new"]
    assert blobs(limit=1) == ["old"]
    assert blobs(since=moment(now - 3000)) == ["new"]
    assert blobs(until=moment(now - 3000)) == ["old"]
    assert api.get("/analytics_engine/datasets/none/points").text == ""
    assert api.get("/analytics_engine/datasets/d/points?since=x").status_code == 400
