"""Versions, deployments and previews over the API."""

from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from cloister.messages import Complaint
from cloister.previews import unseal
from cloister.registry import Registry
from cloister.secrets import open_cipher
from cloister.settings import Settings

NAMESPACE = "production"
SCRIPT = f"/workers/dispatch/namespaces/{NAMESPACE}/scripts/hello"
NOBODY = f"/workers/dispatch/namespaces/{NAMESPACE}/scripts/nobody"
SECRET = {"type": "secret_text", "name": "KEY"}
UNKNOWN = "00000000-0000-4000-8000-000000000000"

Add = Callable[..., httpx.Response]
Result = dict[str, Any]


@pytest.fixture
def add(api: httpx.Client, executor: Any) -> Add:
    """Upload a version without deploying it."""

    def send(path: str = SCRIPT, query: str = "", code: str = "x = 1\n", **said: Any) -> Any:
        metadata = msgspec.json.encode({"main_module": "worker.py", **said})
        return api.post(
            f"{path}/versions{query}",
            files={
                "metadata": (None, metadata, "application/json"),
                "worker.py": ("worker.py", code.encode(), "text/x-python"),
            },
        )

    return send


@pytest.fixture
def first(api: httpx.Client, upload: Add) -> str:
    """Id of the version of a deployed worker."""
    assert upload("hello", bindings=[{**SECRET, "text": "first"}]).status_code == 200
    (version,) = result(api.get(f"{SCRIPT}/versions"))["items"]
    return str(version["id"])


def result(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def refused(answer: httpx.Response) -> tuple[int, int]:
    body = answer.json()
    assert not body["success"]
    return answer.status_code, body["errors"][0]["code"]


def live(api: httpx.Client) -> dict[str, float]:
    newest = result(api.get(f"{SCRIPT}/deployments"))["deployments"][0]
    return {part["version_id"]: part["percentage"] for part in newest["versions"]}


def deploy(api: httpx.Client, shares: dict[str, float], query: str = "", **said: Any) -> Any:
    versions = [{"version_id": id_, "percentage": share} for id_, share in shares.items()]
    body = {"strategy": "percentage", "versions": versions, **said}
    return api.post(f"{SCRIPT}/deployments{query}", json=body)


def test_an_uploaded_version_waits(api: httpx.Client, first: str, add: Add) -> None:
    """It inherits of the newest version, is described whole, and nothing of it is live."""
    said = {
        "annotations": {"workers/message": "try", "workers/tag": "v2", "workers/alias": None},
        "keep_bindings": ["secret_text"],
        "limits": {"cpu_ms": 40},
        "compatibility_date": "2026-01-01",
    }
    made = result(add(**said))
    assert made["number"] == 2
    assert made["annotations"] == {"workers/message": "try", "workers/tag": "v2"}
    assert made["metadata"]["has_preview"] is True
    assert made["resources"]["bindings"] == [{"type": "secret_text", "name": "KEY"}]
    assert made["resources"]["script"]["handlers"] == ["fetch"]
    runtime = made["resources"]["script_runtime"]
    assert (runtime["limits"], runtime["compatibility_date"]) == ({"cpu_ms": 40}, "2026-01-01")
    assert made["startup_time_ms"] == 3
    assert result(api.get(f"{SCRIPT}/versions/{made['id']}")) == made
    assert live(api) == {first: 100}
    assert b"x = 1" not in api.get(f"{SCRIPT}/content").content
    for path in (f"/versions/{made['id']}/content", f"/content?version={made['id']}"):
        content = api.get(f"{SCRIPT}{path}")
        assert (content.content, content.headers["etag"]) == (
            b"x = 1\n",
            f'"{made["resources"]["script"]["etag"]}"',
        )
    assert api.get(f"{SCRIPT}/content?version={first}").content != b"x = 1\n"


def test_versions_by_page(api: httpx.Client, first: str, add: Add) -> None:
    """The newest first; those that can be deployed come at once."""
    ids = [first, *(result(add())["id"] for _ in range(4))]
    answer = api.get(f"{SCRIPT}/versions", params={"page": 2, "per_page": 2}).json()
    assert [item["id"] for item in answer["result"]["items"]] == ids[::-1][2:4]
    assert answer["result_info"] == {
        "page": 2,
        "per_page": 2,
        "count": 2,
        "total_count": 5,
        "total_pages": 3,
    }
    everything = result(api.get(f"{SCRIPT}/versions?deployable=true&page=9"))
    assert [item["id"] for item in everything["items"]] == ids[::-1]


def test_deployments(api: httpx.Client, first: str, add: Add) -> None:
    """Two versions share; the history says when, what and why; only the past can be forgotten."""
    second = result(add())["id"]
    made = result(deploy(api, {first: 90, second: 10}, annotations={"workers/message": "é" * 600}))
    assert made["annotations"] == {
        "workers/message": "é" * 500,
        "workers/triggered_by": "deployment",
    }
    assert (made["strategy"], made["source"]) == ("percentage", "api")
    assert made["versions"][0] == {"version_id": second, "percentage": 10}
    assert live(api) == {first: 90, second: 10}
    assert result(api.get(f"{SCRIPT}/deployments/{made['id']}")) == made
    active, past = result(api.get(f"{SCRIPT}/deployments"))["deployments"]
    assert (active, past["annotations"]) == (made, {"workers/triggered_by": "upload"})
    for query, ids in (
        ("page=2&per_page=1", [past["id"]]),
        ("since=2100-01-01T00:00:00Z", []),
        (f"until={past['created_on']}&since=1999-01-01", [past["id"]]),
    ):
        found = result(api.get(f"{SCRIPT}/deployments?{query}"))["deployments"]
        assert [item["id"] for item in found] == ids
    assert refused(api.delete(f"{SCRIPT}/deployments/{active['id']}")) == (400, 10338)
    assert result(api.delete(f"{SCRIPT}/deployments/{past['id']}")) is None
    assert refused(api.delete(f"{SCRIPT}/deployments/{past['id']}")) == (404, 10336)


def test_roll_back(api: httpx.Client, first: str, add: Add) -> None:
    """One call, with or without words; not without anything to go back to, and not to secrets that
    have changed, unless forced."""
    assert refused(api.post(f"{SCRIPT}/deployments/rollback")) == (400, 10222)
    second = result(add(bindings=[{**SECRET, "text": "second"}]))["id"]
    result(deploy(api, {second: 100}))
    answer = api.post(f"{SCRIPT}/deployments/rollback")
    assert refused(answer) == (400, 10220)
    assert answer.json()["errors"][0]["message"].endswith("secrets have changed: KEY")
    assert live(api) == {second: 100}
    said = {"annotations": {"workers/message": "back"}}
    back = result(api.post(f"{SCRIPT}/deployments/rollback?force=true", json=said))
    assert back["annotations"] == {"workers/message": "back", "workers/triggered_by": "rollback"}
    assert live(api) == {first: 100}


def test_what_a_deployment_refuses(api: httpx.Client, first: str, add: Add) -> None:
    """Each with its code and the field at fault, and nothing changes."""
    second = result(add())["id"]
    for shares, status in (
        ({first: 50}, (400, 10210)),
        ({first: 50, second: 51}, (400, 10210)),
        ({first: -1, second: 101}, (400, 10210)),
        ({}, (400, 10210)),
        ({UNKNOWN: 100}, (404, 10071)),
        ({"x" * 300: 100}, (404, 10071)),
    ):
        assert refused(deploy(api, shares)) == status
    one = [{"version_id": first, "percentage": 100}]
    good = {"strategy": "percentage", "versions": one}
    for body, status in (
        ({"versions": one}, (400, 10003)),
        ({**good, "strategy": "all"}, (400, 10004)),
        ({"strategy": "percentage"}, (400, 10003)),
        ({**good, "versions": [{"version_id": first}]}, (400, 10003)),
        ({**good, "versions": [{"version_id": first, "percentage": "100"}]}, (400, 10004)),
        ({**good, "annotations": {"workers/message": 1}}, (400, 10004)),
        ([], (400, 10026)),
    ):
        assert refused(api.post(f"{SCRIPT}/deployments", json=body)) == status
    assert refused(api.post(f"{SCRIPT}/deployments", content=b"{")) == (400, 10026)
    assert refused(api.post(f"{SCRIPT}/deployments/rollback", content=b"[]")) == (400, 10026)
    assert refused(api.get(f"{SCRIPT}/deployments?since=yesterday")) == (400, 10004)
    assert len(result(api.get(f"{SCRIPT}/deployments"))["deployments"]) == 1
    assert result(api.post(f"{SCRIPT}/deployments", json=good))["versions"] == one


def test_what_an_upload_of_a_version_refuses(
    api: httpx.Client, first: str, add: Add, executor: Any
) -> None:
    """A worker that is not there, annotations that do not fit, code that does not compile, what
    cannot be inherited; nothing is written."""
    assert refused(add(NOBODY)) == (404, 10007)
    for annotations in ({"workers/tag": "x" * 101}, {"workers/message": 5}, ["x"]):
        assert refused(add(annotations=annotations)) == (400, 10021)
    inherit = {"type": "inherit", "name": "NONE"}
    assert refused(add(query="?bindings_inherit=strict", bindings=[inherit])) == (400, 10056)
    assert refused(api.post(f"{SCRIPT}/versions", json={})) == (415, 10001)
    executor.refuse(Complaint(module="worker.py", line=1, message="no"))
    assert refused(add()) == (400, 10021)
    assert len(result(api.get(f"{SCRIPT}/versions"))["items"]) == 1


def test_what_is_not_there(api: httpx.Client, first: str) -> None:
    """Workers, versions and deployments that do not exist, each by its code."""
    for method, path, status in (
        ("GET", f"{NOBODY}/versions", (404, 10007)),
        ("GET", f"{NOBODY}/deployments", (404, 10007)),
        ("POST", f"{NOBODY}/deployments/rollback", (404, 10007)),
        ("POST", f"{NOBODY}/versions/{first}/preview", (404, 10007)),
        ("GET", f"{SCRIPT}/versions/{UNKNOWN}", (404, 10071)),
        ("GET", f"{SCRIPT}/versions/{UNKNOWN}/content", (404, 10071)),
        ("GET", f"{SCRIPT}/content?version={UNKNOWN}", (404, 10071)),
        ("POST", f"{SCRIPT}/versions/{UNKNOWN}/preview", (404, 10071)),
        ("GET", f"{SCRIPT}/deployments/{UNKNOWN}", (404, 10336)),
        ("DELETE", f"{SCRIPT}/deployments/{UNKNOWN}", (404, 10336)),
    ):
        assert refused(api.request(method, path)) == status, path


def test_changes_while_two_are_live(api: httpx.Client, first: str, add: Add) -> None:
    """Secrets, settings and content are of one version: with two live they are refused as wrangler
    knows it; an upload is not, and is then live alone."""
    second = result(add())["id"]
    result(deploy(api, {first: 50, second: 50}))
    secret = {**SECRET, "text": "new"}
    assert refused(api.put(f"{SCRIPT}/secrets", json=secret)) == (400, 10215)
    said = {"logpush": True, "usage_model": "standard"}
    assert refused(api.patch(f"{SCRIPT}/settings", json=said)) == (400, 10215)
    assert live(api) == {first: 50, second: 50}
    result(deploy(api, {second: 100}))
    result(api.put(f"{SCRIPT}/secrets", json=secret))
    assert 100 in live(api).values()


def test_a_preview_link(api: httpx.Client, first: str, add: Add, settings: Settings) -> None:
    """It names version and worker in its host; its token is for that host and that time."""
    made = result(api.post(f"{SCRIPT}/versions/{first}/preview"))
    assert made["host"] == f"{first[:8]}-hello.{NAMESPACE}.localhost"
    assert made["url"] == f"http://{made['host']}:8787/?cloister_preview={made['token']}"
    cipher = open_cipher(settings)
    grant = unseal(cipher, made["host"], made["token"])
    assert grant is not None
    assert grant.version_id == first
    assert unseal(cipher, f"x{made['host']}", made["token"]) is None
    longer = result(api.post(f"{SCRIPT}/versions/{first}/preview", json={"expires_in_s": 86400}))
    assert longer["expires_on"] > made["expires_on"]
    for wrong, code in (({"expires_in_s": 59}, 10004), ({"expires_in_s": "1"}, 10004), (1, 10026)):
        answer = api.post(f"{SCRIPT}/versions/{first}/preview", json=wrong)
        assert refused(answer) == (400, code)


def test_names_too_long_for_a_preview(api: httpx.Client, upload: Add) -> None:
    """Said in the version, and refused."""
    for name, has_preview in (("a" * 54, True), ("a" * 55, False)):
        assert upload(name).status_code == 200
        path = f"/workers/dispatch/namespaces/{NAMESPACE}/scripts/{name}/versions"
        (version,) = result(api.get(path))["items"]
        assert (
            version["metadata"]["has_preview"] is version["metadata"]["hasPreview"] is has_preview
        )
        answer = api.post(f"{path}/{version['id']}/preview")
        assert answer.status_code == (200 if has_preview else 400)


def test_a_token_for_reading_makes_no_links(
    api: httpx.Client, url: str, registry: Registry, first: str
) -> None:
    """Versions it sees; a link to one, or a deployment, is a change."""
    account = str(api.base_url).rstrip("/").rpartition("/")[2]
    reader = registry.tokens.create(account, "reader", read_only=True).text
    with httpx.Client(
        base_url=api.base_url, headers={"Authorization": f"Bearer {reader}"}, trust_env=False
    ) as reading:
        assert reading.get(f"{SCRIPT}/versions").status_code == 200
        for path in (f"/versions/{first}/preview", "/deployments/rollback", "/deployments"):
            assert reading.post(f"{SCRIPT}{path}").status_code == 403
