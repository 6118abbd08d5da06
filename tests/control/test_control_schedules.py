"""Cron triggers over the API, of plain Workers and user workers."""

from typing import Any

import httpx
import msgspec
import pytest
from cloudflare import Cloudflare

ACCOUNT = "a" * 32
HELLO = b"from workers import WorkerEntrypoint\n"
PLAIN = "/workers/scripts/gate"
USER = "/workers/dispatch/namespaces/production/scripts/tenant"


def upload(api: httpx.Client, path: str) -> None:
    metadata = msgspec.json.encode({"main_module": "worker.py"})
    answer = api.put(
        path,
        files={
            "metadata": (None, metadata, "application/json"),
            "worker.py": ("worker.py", HELLO, "text/x-python"),
        },
    )
    assert answer.status_code == 200, answer.text


@pytest.fixture(params=[PLAIN, USER], ids=["plain", "user"])
def script(request: pytest.FixtureRequest, api: httpx.Client, executor: object) -> str:
    """A Worker; where it is."""
    upload(api, request.param)
    return str(request.param)


def put(api: httpx.Client, script: str, *crons: str) -> httpx.Response:
    return api.put(f"{script}/schedules", json=[{"cron": cron} for cron in crons])


def listed(api: httpx.Client, script: str) -> list[str]:
    result = api.get(f"{script}/schedules").json()["result"]
    return [each["cron"] for each in result["schedules"]]


def fault(answer: httpx.Response) -> dict[str, Any]:
    (found,) = answer.json()["errors"]
    return {"status": answer.status_code, **found}


def test_triggers_are_replaced_all_at_once(api: httpx.Client, script: str) -> None:
    """What is put is what is there, as it was written; an empty list removes all."""
    assert listed(api, script) == []
    made = put(api, script, "*/5 * * * *", "0 0 * * sun").json()["result"]["schedules"]
    assert [each["cron"] for each in made] == ["*/5 * * * *", "0 0 * * sun"]
    assert set(made[0]) == {"cron", "created_on", "modified_on"}
    assert put(api, script, "0 0 * * sun").json()["result"]["schedules"] == made[1:]
    assert listed(api, script) == ["0 0 * * sun"]
    assert put(api, script).json()["result"] == {"schedules": []}
    assert listed(api, script) == []


def test_bad_triggers_change_nothing(api: httpx.Client, script: str) -> None:
    """The first that is wrong is named, with the reason; too many are a code of their own."""
    put(api, script, "* * * * *")
    found = fault(put(api, script, "0 0 * * 1", "0 0 * * 0"))
    assert (found["status"], found["code"]) == (400, 10004)
    assert found["message"] == "The day of the week is from 1 to 7, not 0."
    assert found["source"] == {"pointer": "/1/cron"}
    many = [f"{minute} {hour} * * *" for minute in range(26) for hour in range(10)]
    assert put(api, script, *many[:250]).status_code == 200
    found = fault(put(api, script, *many[:251]))
    assert (found["status"], found["code"]) == (400, 10072)
    for body in ({"cron": "* * * * *"}, [{"cron": 5}], [{}], ["* * * * *"], None):
        assert api.put(f"{script}/schedules", json=body).status_code == 400
    assert len(listed(api, script)) == 250


def test_there_are_none_without_a_worker(api: httpx.Client, script: str) -> None:
    """404 where there is no such Worker, and for one of another kind."""
    for path in (f"{script}-not", USER.replace("tenant", "gate"), PLAIN.replace("gate", "tenant")):
        assert api.get(f"{path}/schedules").status_code == 404
        assert put(api, path, "* * * * *").status_code == 404


def test_the_sdk_puts_and_gets_them(api: httpx.Client, executor: object, sdk: Cloudflare) -> None:
    """The official client's own types fit."""
    upload(api, PLAIN)
    schedules = sdk.workers.scripts.schedules
    made = schedules.update("gate", account_id=ACCOUNT, body=[{"cron": "0 12 * * MON"}])
    assert made is not None
    found = schedules.get("gate", account_id=ACCOUNT)
    assert found is not None
    assert [each.cron for each in found.schedules] == ["0 12 * * MON"]
    assert found.schedules[0].created_on
