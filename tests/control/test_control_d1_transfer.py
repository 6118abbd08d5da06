"""A database as a file of SQL: addresses that are signed, and what is refused at them."""

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from control_d1 import FakeDatabases

from cloister.blobs import Blobs
from cloister.databases import Imported, Meta, Task, export_key, import_key
from cloister.registry import Registry
from cloister.settings import Settings
from control import d1_transfer

ACCOUNT = "a" * 32
FILE = b"CREATE TABLE t (a);\n"
ETAG = hashlib.md5(FILE, usedforsecurity=False).hexdigest()


@pytest.fixture
def fake(executor: Any) -> FakeDatabases:
    return executor.databases


@pytest.fixture
def blobs(settings: Settings) -> Blobs:
    return Blobs.open(settings)


@pytest.fixture
def id_(registry: Registry, fake: FakeDatabases) -> str:
    return registry.databases.create(ACCOUNT, "shop").id


@pytest.fixture
def anybody() -> Iterator[httpx.Client]:
    """A client without a token."""
    with httpx.Client(trust_env=False) as client:
        yield client


def asked(api: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(f"/d1/database/{path}", json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def code(answer: httpx.Response) -> tuple[int, int]:
    return answer.status_code, answer.json()["errors"][0]["code"]


def test_an_export_is_downloaded(
    api: httpx.Client, anybody: httpx.Client, blobs: Blobs, id_: str
) -> None:
    """Whoever has the address needs no token; another database's address is good for nothing."""
    blobs.put(export_key(id_), FILE)
    done = asked(api, f"{id_}/export", {"output_format": "polling"})
    assert (done["success"], done["status"], done["type"]) == (True, "complete", "export")
    address = done["result"]["signed_url"]
    got = anybody.get(address)
    assert (got.status_code, got.content) == (200, FILE)
    assert got.headers["content-length"] == str(len(FILE))
    assert code(anybody.get(address[:-4] + "AAAA")) == (404, 7404)
    assert code(anybody.get(address.replace(id_, id_[::-1]))) == (404, 7404)
    assert code(anybody.put(address.replace("/export/", "/import/"), content=FILE)) == (404, 7404)
    assert anybody.put(address, content=FILE).status_code == 405


def test_addresses_expire(
    api: httpx.Client,
    anybody: httpx.Client,
    blobs: Blobs,
    id_: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After an hour, or when the database is deleted."""
    blobs.put(export_key(id_), FILE)
    address = asked(api, f"{id_}/export", {"output_format": "polling"})["result"]["signed_url"]
    with monkeypatch.context() as patch:
        patch.setattr(d1_transfer, "time", type("", (), {"time": lambda: time.time() + 3601}))
        assert code(anybody.get(address)) == (404, 7404)
    assert anybody.get(address).status_code == 200
    api.delete(f"/d1/database/{id_}").raise_for_status()
    assert code(anybody.get(address)) == (404, 7404)


def test_an_import_is_uploaded_whole_or_not(
    api: httpx.Client, anybody: httpx.Client, blobs: Blobs, fake: FakeDatabases, id_: str
) -> None:
    """What is sent has to be what was announced by its MD5, else nothing of it is kept."""
    begun = asked(api, f"{id_}/import", {"action": "init", "etag": ETAG})
    assert begun["filename"] == f"{id_}.{ETAG}.sql"
    wrong = anybody.put(begun["upload_url"], content=FILE + b"DROP TABLE t;")
    assert code(wrong) == (400, 7400)
    assert blobs.get(import_key(id_)) is None
    sent = anybody.put(begun["upload_url"], content=FILE)
    assert (sent.status_code, sent.headers["etag"]) == (200, f'"{ETAG}"')
    assert blobs.get(import_key(id_)) == FILE
    fake.scripted = Task(id="f" * 32)
    ingest = {"action": "ingest", "etag": ETAG, "filename": begun["filename"]}
    going = asked(api, f"{id_}/import", ingest)
    assert (going["status"], going["at_bookmark"], going["messages"]) == ("active", "f" * 32, [])
    meta = Meta(
        duration_ms=1.5,
        changes=0,
        last_row_id=0,
        changed_db=True,
        size_bytes=8192,
        rows_read=0,
        rows_written=0,
    )
    fake.scripted = Task(id="f" * 32, outcome=Imported(queries=1, meta=meta, bookmark="b"))
    done = asked(api, f"{id_}/import", {"action": "poll", "current_bookmark": "f" * 32})
    assert (done["status"], done["result"]["num_queries"]) == ("complete", 1)
    assert done["result"]["meta"]["duration"] == 1.5


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("export", {}, (400, 10003)),
        ("export", {"output_format": "file"}, (400, 10004)),
        (
            "export",
            {"output_format": "polling", "dump_options": {"compatibility": "sqlite3_cli_only"}},
            (400, 10004),
        ),
        ("export", {"output_format": "polling", "current_bookmark": "nope"}, (404, 7404)),
        ("import", {"action": "init"}, (400, 7400)),
        ("import", {"action": "init", "etag": "../x"}, (400, 10004)),
        ("import", {"action": "other"}, (400, 10004)),
        ("import", {"action": "poll"}, (404, 7404)),
        ("import", {"action": "ingest", "etag": ETAG}, (404, 7404)),
    ],
)
def test_what_is_refused(
    api: httpx.Client, id_: str, path: str, body: dict[str, Any], expected: tuple[int, int]
) -> None:
    """Each with its code."""
    assert code(api.post(f"/d1/database/{id_}/{path}", json=body)) == expected


def test_fields(api: httpx.Client, id_: str) -> None:
    """Only what is asked for; what is no field is refused."""
    assert api.get(f"/d1/database/{id_}?fields=uuid,name").json()["result"] == {
        "uuid": id_,
        "name": "shop",
    }
    assert api.get(f"/d1/database/{id_}?fields=num_tables").json()["result"] == {"num_tables": 0}
    assert code(api.get(f"/d1/database/{id_}?fields=uuid,secret")) == (400, 10004)


def test_the_question_of_wrangler_in_graphql(api: httpx.Client) -> None:
    """Answered with nothing for the token's own account; any other question is refused."""

    def ask(name: str, account: str) -> httpx.Response:
        body = {"query": "q", "operationName": name, "variables": {"accountTag": account}}
        return api.post(f"{str(api.base_url).partition('/accounts')[0]}/graphql", json=body)

    found = ask("getD1MetricsOverviewQuery", ACCOUNT).json()
    assert found["data"]["viewer"]["accounts"] == [{"d1AnalyticsAdaptiveGroups": []}]
    assert code(ask("getD1MetricsOverviewQuery", "b" * 32)) == (403, 10000)
    assert code(ask("other", ACCOUNT)) == (400, 10004)
