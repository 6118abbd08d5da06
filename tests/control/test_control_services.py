"""Service bindings: whom they mean, and who still uses a Worker."""

from typing import Any

import httpx
import msgspec
import pytest

from cloister.registry import Registry

ACCOUNT = "a" * 32
NAMESPACE = "production"
SCRIPTS = f"/workers/dispatch/namespaces/{NAMESPACE}/scripts"
PLAIN = "/workers/scripts"


def put(api: httpx.Client, path: str, *bindings: Any, headers: Any = None) -> httpx.Response:
    said = {"main_module": "worker.py", "bindings": list(bindings)}
    files = {
        "metadata": (None, msgspec.json.encode(said), "application/json"),
        "worker.py": ("worker.py", b"from workers import WorkerEntrypoint\n", "text/x-python"),
    }
    return api.put(path, files=files, headers=headers)


def code(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["errors"][0]["code"]


def service(script: str, **more: Any) -> dict[str, Any]:
    return {"type": "service", "name": "SVC", "service": script, **more}


def bound(api: httpx.Client) -> Any:
    (item,) = api.get(f"{SCRIPTS}/shop/bindings").json()["result"]
    return item


@pytest.fixture
def shop(api: httpx.Client, executor: Any) -> httpx.Client:
    """A client, a plain Worker, one of the namespace, and one of that name in both."""
    for path in (f"{PLAIN}/billing", f"{SCRIPTS}/prices", f"{PLAIN}/both", f"{SCRIPTS}/both"):
        assert put(api, path).status_code == 200, path
    return api


def test_whom_a_binding_means(shop: httpx.Client) -> None:
    """The platform's own Worker, before one of the namespace; and what is kept says which. What an
    upload says of that itself is not read."""
    assert put(shop, f"{SCRIPTS}/shop", service("billing", props={"a": 1})).status_code == 200
    assert bound(shop) == service("billing", props={"a": 1}, plain=True)
    assert put(shop, f"{SCRIPTS}/shop", service("both")).status_code == 200
    assert bound(shop) == service("both", plain=True)
    assert put(shop, f"{SCRIPTS}/shop", service("prices", plain=True)).status_code == 200
    assert bound(shop) == service("prices")
    assert put(shop, f"{SCRIPTS}/shop", service("shop")).status_code == 200
    assert bound(shop) == service("shop")


def test_a_token_of_a_namespace(shop: httpx.Client, registry: Registry) -> None:
    """It means Workers of its namespace only; a binding that the platform made stays, but is not
    for it to make, be it with other props."""
    made = registry.tokens.create(ACCOUNT, "narrow", namespace=NAMESPACE)
    narrow = {"Authorization": f"Bearer {made.text}"}
    assert code(put(shop, f"{SCRIPTS}/shop", service("billing"), headers=narrow)) == (400, 10143)
    assert put(shop, f"{SCRIPTS}/shop", service("both"), headers=narrow).status_code == 200
    assert bound(shop) == service("both")
    assert put(shop, f"{SCRIPTS}/shop", service("billing", props={"a": 1})).status_code == 200
    inherit = {"type": "inherit", "name": "SVC"}
    assert put(shop, f"{SCRIPTS}/shop", inherit, headers=narrow).status_code == 200
    assert bound(shop) == service("billing", props={"a": 1}, plain=True)


def test_what_is_refused(shop: httpx.Client, executor: Any) -> None:
    """Each by its own code: no such Worker, environment, entrypoint, interface."""
    for item, expected in (
        (service("nobody"), (400, 10143)),
        (service("billing", environment="staging"), (400, 10144)),
        (service("billing", entrypoint="Nothing"), (400, 10145)),
        (service("billing", binding_interface="d1"), (400, 10021)),
    ):
        assert code(put(shop, f"{SCRIPTS}/shop", item)) == expected
    fine = service("billing", environment="production", entrypoint="Default")
    assert put(shop, f"{SCRIPTS}/shop", fine).status_code == 200


def test_who_uses_a_plain_worker(shop: httpx.Client) -> None:
    """Workers of namespaces do, too: it is told, and it stays until they let go or are forced."""
    assert put(shop, f"{SCRIPTS}/shop", service("billing")).status_code == 200
    assert put(shop, f"{SCRIPTS}/other", service("prices")).status_code == 200
    uses = shop.get(f"{PLAIN}/billing/references").json()["result"]["services"]["incoming"]
    assert [item["service"] for item in uses] == ["shop"]
    assert code(shop.delete(f"{PLAIN}/billing")) == (400, 10142)
    assert put(shop, f"{SCRIPTS}/shop", service("both")).status_code == 200
    assert shop.delete(f"{PLAIN}/billing").status_code == 200
    assert shop.delete(f"{SCRIPTS}/both?force=false").status_code == 200  # that was the plain one
    assert code(shop.delete(f"{SCRIPTS}/prices?force=false")) == (400, 10142)


def test_an_outbound_entrypoint(shop: httpx.Client) -> None:
    """A dispatch binding may name an entrypoint of its outbound worker, if it has that."""

    def dispatch(entrypoint: str) -> dict[str, Any]:
        worker = {"service": "billing", "entrypoint": entrypoint}
        return {
            "type": "dispatch_namespace",
            "name": "D",
            "namespace": NAMESPACE,
            "outbound": {"worker": worker, "params": []},
        }

    assert code(put(shop, f"{PLAIN}/dispatcher", dispatch("Nothing"))) == (400, 10145)
    assert put(shop, f"{PLAIN}/dispatcher", dispatch("Default")).status_code == 200
    (kept,) = shop.get(f"{PLAIN}/dispatcher/settings").json()["result"]["bindings"]
    assert kept["outbound"]["worker"]["entrypoint"] == "Default"
