"""Tail consumers are named at upload or later, if they are there and the token's to name."""

from typing import Any

import httpx
import msgspec
import pytest

from cloister.registry import Registry

ACCOUNT = "a" * 32
NAMESPACE = "production"
SCRIPTS = f"/workers/dispatch/namespaces/{NAMESPACE}/scripts"
HERE = {"service": "watcher", "namespace": NAMESPACE}


def put(api: httpx.Client, path: str, headers: Any = None, **metadata: Any) -> httpx.Response:
    said = {"main_module": "worker.py", **metadata}
    files = {
        "metadata": (None, msgspec.json.encode(said), "application/json"),
        "worker.py": ("worker.py", b"from workers import WorkerEntrypoint\n", "text/x-python"),
    }
    return api.put(path, files=files, headers=headers)


def code(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["errors"][0]["code"]


@pytest.fixture
def shop(api: httpx.Client, executor: object) -> httpx.Client:
    """A client, and workers: a plain one and one of a namespace to consume, and one more."""
    for path in ("/workers/scripts/watcher", f"{SCRIPTS}/watcher", f"{SCRIPTS}/shop"):
        assert put(api, path).status_code == 200
    return api


def consumers(api: httpx.Client) -> Any:
    return api.get(f"{SCRIPTS}/shop/settings").json()["result"]["tail_consumers"]


def test_consumers(shop: httpx.Client, registry: Registry) -> None:
    """A plain Worker, one of a namespace; both are shown, are known to who runs the worker, and are
    gone with the next upload that names none."""
    said = [{"service": "watcher", "environment": "production"}, HERE]
    assert put(shop, f"{SCRIPTS}/shop", tail_consumers=said).status_code == 200
    assert consumers(shop) == [{"service": "watcher"}, HERE]
    (user,) = shop.get("/workers/tails/by-consumer/watcher").json()["result"]
    assert user["producer"] == {
        "service": "shop",
        "environment": "production",
        "namespace": NAMESPACE,
    }
    route = registry.resolve(NAMESPACE, "shop")
    assert route is not None
    bundle = registry.bundle(route.version)
    assert bundle is not None
    assert bundle.tails == [(f"_{ACCOUNT}", "watcher"), (NAMESPACE, "watcher")]
    shop.patch(f"{SCRIPTS}/shop/settings", json={"tail_consumers": []})
    bundle = registry.bundle(route.version)
    assert bundle is not None
    assert bundle.tails == []
    assert put(shop, f"{SCRIPTS}/shop").status_code == 200
    assert consumers(shop) == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([{"service": "nobody"}], (400, 10105)),
        ([{"service": "watcher", "namespace": "elsewhere"}], (400, 10105)),
        ([{"service": "shop", "namespace": NAMESPACE}], (400, 10108)),
        ([{"service": "watcher", "environment": "staging"}], (400, 10021)),
        ([{"name": "watcher"}], (400, 10021)),
        ([{"service": "watcher"}] * 11, (400, 10021)),
    ],
    ids=["missing", "elsewhere", "itself", "an environment", "no service", "too many"],
)
def test_what_is_refused(shop: httpx.Client, said: Any, expected: tuple[int, int]) -> None:
    """At an upload and at a change alike, and nothing is changed."""
    assert code(put(shop, f"{SCRIPTS}/shop", tail_consumers=said)) == expected
    answer = shop.patch(f"{SCRIPTS}/shop/settings", json={"tail_consumers": said})
    assert code(answer) == expected
    assert consumers(shop) == []


def test_streaming_consumers(shop: httpx.Client) -> None:
    """They are refused by their name; to want none is fine."""
    said = {"streaming_tail_consumers": [{"service": "watcher"}]}
    answer = put(shop, f"{SCRIPTS}/shop", **said)
    assert code(answer) == (400, 10021)
    assert "streaming_tail_consumers" in answer.json()["errors"][0]["message"]
    assert put(shop, f"{SCRIPTS}/shop", streaming_tail_consumers=[]).status_code == 200


def test_a_token_of_a_namespace(shop: httpx.Client, registry: Registry) -> None:
    """It names workers of its own namespace only; what others have named may stay."""
    made = registry.tokens.create(ACCOUNT, "narrow", namespace=NAMESPACE)
    narrow = {"Authorization": f"Bearer {made.text}"}
    plain = [{"service": "watcher"}]
    assert code(put(shop, f"{SCRIPTS}/shop", narrow, tail_consumers=plain)) == (400, 10105)
    assert put(shop, f"{SCRIPTS}/shop", narrow, tail_consumers=[HERE]).status_code == 200
    assert put(shop, f"{SCRIPTS}/shop", tail_consumers=plain).status_code == 200
    assert put(shop, f"{SCRIPTS}/shop", narrow, tail_consumers=plain).status_code == 200
