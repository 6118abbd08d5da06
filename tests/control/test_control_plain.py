"""Workers in no namespace: the same views as for user workers, and nothing else leads to them."""

from typing import Any

import httpx
import msgspec
import pytest

from cloister.registry import Registry
from cloister.registry.names import plain_namespace

ACCOUNT = "a" * 32
TOKEN = "test-token-0123456789abcdef"
NAMESPACE = "production"
HELLO = b"from workers import WorkerEntrypoint\n"
HIDDEN = plain_namespace(ACCOUNT)
N = "/workers/dispatch/namespaces"


def put(api: httpx.Client, name: str, path: str = "/workers/scripts", **metadata: Any) -> Any:
    said = {"main_module": "worker.py", **metadata}
    answer = api.put(
        f"{path}/{name}?excludeScript=true&bindings_inherit=strict",
        files={
            "metadata": (None, msgspec.json.encode(said), "application/json"),
            "worker.py": ("worker.py", HELLO, "text/x-python"),
        },
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def code(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["errors"][0]["code"]


@pytest.fixture
def plain(api: httpx.Client, executor: object) -> httpx.Client:
    """A client, and a plain Worker named gate."""
    put(api, "gate", bindings=[{"type": "plain_text", "name": "A", "text": "a"}])
    return api


def test_an_upload_is_a_worker(plain: httpx.Client) -> None:
    """It is listed, downloaded, described as a service with one environment, and deleted."""
    (listed,) = plain.get("/workers/scripts").json()["result"]
    assert (listed["id"], listed["dispatch_namespace"]) == ("gate", None)
    assert plain.get("/workers/scripts/gate").content == HELLO
    assert plain.get("/workers/scripts/gate/content/v2").headers["cf-entrypoint"] == "worker.py"
    service = plain.get("/workers/services/gate").json()["result"]
    assert service["default_environment"]["script"]["tag"] == listed["tag"]
    worker = plain.get("/workers/workers/gate").json()["result"]
    assert worker["subdomain"] == {"enabled": False, "previews_enabled": False}
    (deployment,) = plain.get("/workers/scripts/gate/deployments").json()["result"]["deployments"]
    assert deployment["versions"][0]["percentage"] == 100
    assert plain.delete("/workers/services/gate?force=false").status_code == 200
    for path in ("services/gate", "workers/gate", "scripts/gate", "scripts/gate/settings"):
        assert code(plain.get(f"/workers/{path}")) == (404, 10007), path
    assert code(plain.delete("/workers/scripts/gate")) == (404, 10007)


def test_configuration(plain: httpx.Client) -> None:
    """Settings, secrets and their like are changed as those of user workers."""
    path = "/workers/scripts/gate"
    said = {"logpush": True, "tags": ["x"], "tail_consumers": None}
    changed = plain.patch(f"{path}/script-settings", json=said).json()["result"]
    assert (changed["logpush"], changed["tags"]) == (True, ["x"])
    secret = {"name": "S", "text": "s", "type": "secret_text"}
    assert plain.put(f"{path}/secrets", json=secret).status_code == 200
    assert plain.patch(f"{path}/secrets-bulk", json={"secrets": {"T": secret | {"name": "T"}}})
    names = [item["name"] for item in plain.get(f"{path}/secrets").json()["result"]]
    assert names == ["S", "T"]
    assert plain.delete(f"{path}/secrets/S").status_code == 200
    shown = plain.get(f"{path}/settings").json()["result"]["bindings"]
    assert [item["name"] for item in shown] == ["A", "T"]
    assert plain.get(f"{path}/logs").json()["result"] == []


def test_no_namespace_is_seen(plain: httpx.Client) -> None:
    """Where plain Workers are kept is no dispatch namespace: not listed, and none by its name."""
    names = [item["namespace_name"] for item in plain.get(N).json()["result"]]
    assert names == [NAMESPACE]
    hidden = f"{N}/{HIDDEN}"
    put(plain, "gate", f"{N}/{NAMESPACE}/scripts")  # the allowed twin
    for answer in (
        plain.get(hidden),
        plain.put(hidden, json={"name": "mine"}),
        plain.delete(hidden),
        plain.get(f"{hidden}/scripts"),
        plain.get(f"{hidden}/scripts/gate"),
        plain.delete(f"{hidden}/scripts/gate"),
        plain.get(f"{hidden}/scripts/gate/logs"),
    ):
        assert code(answer) == (404, 100119), answer.request
    hostname = {"namespace": HIDDEN, "script": "gate"}
    assert plain.put("/workers/dispatch/hostnames/a.example", json=hostname).status_code == 404
    token = {"name": "t", "namespace": HIDDEN}
    assert plain.post("/tokens", json=token).status_code == 404
    assert plain.get("/workers/scripts/gate/settings").status_code == 200


def test_a_token_of_a_namespace_does_not_reach_them(
    plain: httpx.Client, registry: Registry
) -> None:
    """Whoever manages one namespace's workers manages not the platform's own."""
    made = registry.tokens.create(ACCOUNT, "narrow", namespace=NAMESPACE)
    narrow = {"Authorization": f"Bearer {made.text}"}
    for path in ("scripts", "scripts/gate", "scripts/gate/secrets", "services/gate"):
        assert code(plain.get(f"/workers/{path}", headers=narrow)) == (403, 10000), path
    assert plain.get(f"{N}/{NAMESPACE}/scripts", headers=narrow).status_code == 200
    whole = {"Authorization": f"Bearer {TOKEN}"}
    assert plain.get("/workers/scripts", headers=whole).status_code == 200


def test_an_outbound_worker_may_be_a_plain_one(plain: httpx.Client, registry: Registry) -> None:
    """A rule that names no namespace finds the plain Worker; who asks is told who uses it."""
    rule = {"service": "gate", "parameters": ["customer"]}
    shown = plain.put(f"{N}/{NAMESPACE}", json={"outbound": rule}).json()["result"]["outbound"]
    assert shown == {**rule, "namespace": None}
    kept = registry.namespaces.find(ACCOUNT, NAMESPACE).outbound
    assert kept is not None
    assert kept.namespace == HIDDEN
    uses = plain.get("/workers/scripts/gate/references").json()["result"]
    assert [item["namespace"] for item in uses["dispatch_outbounds"]] == [NAMESPACE]
    assert plain.put(f"{N}/{NAMESPACE}", json={"outbound": {"service": "other"}}).json()["result"][
        "outbound"
    ] == {"service": "other", "namespace": NAMESPACE, "parameters": []}


def test_who_uses_it(plain: httpx.Client) -> None:
    """Service bindings among plain Workers, and workers that name it as their tail."""
    service = {"type": "service", "name": "GATE", "service": "gate"}
    put(plain, "user", bindings=[service])
    put(plain, "shop", f"{N}/{NAMESPACE}/scripts", tail_consumers=[{"service": "gate"}])
    uses = plain.get("/workers/scripts/gate/references").json()["result"]
    assert [item["service"] for item in uses["services"]["incoming"]] == ["user"]
    (tailed,) = plain.get("/workers/tails/by-consumer/gate").json()["result"]
    assert tailed["producer"]["service"] == "shop"
    assert code(plain.delete("/workers/scripts/gate")) == (400, 10142)
    assert plain.delete("/workers/scripts/gate?force=true").status_code == 200


def test_what_a_plain_worker_has_not(plain: httpx.Client) -> None:
    """An address is refused in words; to want none is fine."""
    path = "/workers/scripts/gate"
    assert code(plain.post(f"{path}/subdomain", json={"enabled": True})) == (403, 10015)
    assert plain.post(f"{path}/subdomain", json={"enabled": False}).status_code == 200
    assert plain.put(f"{path}/schedules", json=[]).json()["result"] == {"schedules": []}
    assert code(plain.get("/workers/subdomain")) == (403, 10015)
