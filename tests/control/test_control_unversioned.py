"""Settings that are a Worker's and not a version's, and the newest version changed into the next:
what ``wrangler versions deploy`` and ``wrangler versions secret`` ask for."""

from typing import Any

import httpx
import msgspec
import pytest

GATE = "/workers/scripts/gate"
LATEST = "/workers/workers/gate/versions/latest"
WRANGLER = {"User-Agent": "wrangler/4.164.0"}


def form(**metadata: Any) -> dict[str, Any]:
    said = {"main_module": "worker.py", **metadata}
    return {
        "metadata": (None, msgspec.json.encode(said), "application/json"),
        "worker.py": ("worker.py", b"from workers import WorkerEntrypoint\n", "text/x-python"),
    }


def result(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def code(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["errors"][0]["code"]


@pytest.fixture
def gate(api: httpx.Client, executor: object) -> httpx.Client:
    """A client, and a plain Worker with two versions that are both live."""
    result(api.put(GATE, files=form(logpush=True, tail_consumers=[]), headers=WRANGLER))
    result(api.post(f"{GATE}/versions", files=form(logpush=False)))
    ids = [item["id"] for item in result(api.get(f"{GATE}/versions"))["items"]]
    halves = [{"version_id": id_, "percentage": 50} for id_ in ids]
    result(api.post(f"{GATE}/deployments", json={"strategy": "percentage", "versions": halves}))
    return api


def live(api: httpx.Client) -> list[str]:
    (newest, *_) = result(api.get(f"{GATE}/deployments"))["deployments"]
    return sorted(item["version_id"] for item in newest["versions"])


def test_settings_of_no_version(gate: httpx.Client) -> None:
    """They are those of the last upload or change, whichever versions are live, and a change of
    them makes no version and leaves live what is."""
    before = live(gate)
    assert result(gate.get(f"{GATE}/script-settings"))["logpush"] is True
    said = {"observability": {"enabled": True}, "tags": ["a"]}
    changed = result(gate.patch(f"{GATE}/script-settings", json=said))
    assert (changed["logpush"], changed["tags"]) == (True, ["a"])
    assert result(gate.get(f"{GATE}/settings"))["observability"] == {"enabled": True}
    assert live(gate) == before
    assert len(result(gate.get(f"{GATE}/versions"))["items"]) == 2
    result(gate.put(GATE, files=form()))
    assert result(gate.get(f"{GATE}/script-settings"))["logpush"] is False


def test_the_newest_version_with_other_bindings(gate: httpx.Client) -> None:
    """A merge patch: null takes away, others stay; the version is not live, and says what it is."""
    before = live(gate)
    env = {"KEY": {"type": "secret_text", "text": "hush"}, "A": {"type": "plain_text", "text": "a"}}
    said = {"env": env, "annotations": {"workers/message": "two more", "workers/tag": "t"}}
    made = result(gate.patch(LATEST, json=said, headers=WRANGLER))
    assert made["annotations"] == said["annotations"]
    assert made["metadata"]["source"] == "wrangler"
    assert {"type": "secret_text", "name": "KEY"} in made["resources"]["bindings"]
    again = result(gate.patch(LATEST, json={"env": {"KEY": None}}))
    assert [item["name"] for item in again["resources"]["bindings"]] == ["A"]
    assert live(gate) == before
    (newest, *_) = result(gate.get(f"{GATE}/versions"))["items"]
    assert (newest["id"], newest["annotations"]) == (again["id"], {})
    assert newest["resources"]["bindings"] == again["resources"]["bindings"]


def test_what_the_newest_version_refuses(gate: httpx.Client) -> None:
    """What is no binding, leads nowhere or is no part of this; and no version comes of it."""
    nowhere = {"type": "service", "service": "nobody"}
    for said, expected in (
        ({"env": {"A": {"type": "nonsense"}}}, (400, 100153)),
        ({"env": {"A": nowhere}}, (400, 10143)),
        ({"env": {"A": "text"}}, (400, 10004)),
        ({"limits": {"cpu_ms": 5}}, (400, 10026)),
        ({"annotations": {"workers/tag": "x" * 101}}, (400, 10021)),
    ):
        assert code(gate.patch(LATEST, json=said)) == expected, said
    assert len(result(gate.get(f"{GATE}/versions"))["items"]) == 2
    missing = gate.patch("/workers/workers/nobody/versions/latest", json={})
    assert code(missing) == (404, 10007)


def test_who_uploaded_it(gate: httpx.Client) -> None:
    """wrangler finds that itself did, and so need not warn; others do as the API."""
    for headers, source in ((WRANGLER, "wrangler"), ({}, "api")):
        result(gate.put(GATE, files=form(), headers=headers))
        service = result(gate.get("/workers/services/gate"))
        assert service["default_environment"]["script"]["last_deployed_from"] == source


def test_what_observability_may_say(gate: httpx.Client) -> None:
    """A rate is one, and what is on or off is so; fields that mean nothing here are kept."""
    path = f"{GATE}/script-settings"
    for wrong in ({"head_sampling_rate": 1.5}, {"enabled": "yes"}, {"logs": {"enabled": 1}}):
        assert code(gate.patch(path, json={"observability": wrong})) == (400, 10021), wrong
    said = {"enabled": True, "head_sampling_rate": 0.5, "traces": {"enabled": True}}
    changed = result(gate.patch(path, json={"observability": said}))
    assert changed["observability"] == said
