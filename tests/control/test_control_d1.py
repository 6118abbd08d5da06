"""D1 over REST, driven by the official SDK and by hand."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from cloudflare import BadRequestError, Cloudflare, NotFoundError
from control_d1 import FakeDatabases

from cloister.databases import Failed, Kind
from cloister.registry import Registry
from control import databases as databases_module

ACCOUNT = "a" * 32
D1 = "/d1/database"


@pytest.fixture
def fake(executor: Any) -> FakeDatabases:
    return executor.databases


@pytest.fixture
def database(registry: Registry, fake: FakeDatabases) -> str:
    return f"{D1}/{registry.databases.create(ACCOUNT, 'shop').id}"


def error(answer: httpx.Response) -> tuple[int, int, str]:
    assert answer.json()["result"] is None
    (found,) = answer.json()["errors"]
    return answer.status_code, found["code"], found["message"]


def test_the_sdk_makes_asks_and_deletes(sdk: Cloudflare) -> None:
    """The whole life of a database with the official client."""
    made = sdk.d1.database.create(account_id=ACCOUNT, name="shop")
    assert (made.name, made.version, made.num_tables) == ("shop", "production", 0)
    assert made.uuid is not None
    assert made.created_at is not None
    of: dict[str, Any] = {"database_id": made.uuid, "account_id": ACCOUNT}
    statements = "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'); SELECT * FROM t"
    created, inserted, found = sdk.d1.database.query(**of, sql=statements).result
    assert found.results == [{"a": 1, "b": "x"}]
    assert (created.success, created.meta.changed_db, inserted.meta.changes) == (True, True, 1)
    assert inserted.meta.timings.sql_duration_ms >= 0
    (raw,) = sdk.d1.database.raw(**of, sql="SELECT b FROM t WHERE a = ?", params=[1]).result  # type: ignore[list-item]
    assert (raw.results.columns, raw.results.rows) == (["b"], [["x"]])
    got = sdk.d1.database.get(**of)
    assert (got.file_size, got.num_tables) == (8192, 1)
    assert [one.uuid for one in sdk.d1.database.list(account_id=ACCOUNT)] == [made.uuid]
    assert not list(sdk.d1.database.list(account_id=ACCOUNT, name="other"))
    same = sdk.d1.database.edit(**of, read_replication={"mode": "disabled"})
    assert same.read_replication is not None
    assert same.read_replication.mode == "disabled"
    sdk.d1.database.delete(**of)
    with pytest.raises(NotFoundError):
        sdk.d1.database.get(**of)


def test_an_error_of_sql(sdk: Cloudflare, database: str) -> None:
    """Code 7500, with SQLite's words and the place."""
    with pytest.raises(BadRequestError) as refused:
        sdk.d1.database.query(
            database_id=database.rpartition("/")[2], account_id=ACCOUNT, sql="SELEC 1"
        )
    (found,) = refused.value.errors
    assert found.code == 7500
    assert found.message == 'near "SELEC": syntax error at offset 0: SQLITE_ERROR'


def test_a_batch_is_all_or_nothing(api: httpx.Client, database: str) -> None:
    """With parameters of each statement's own, in one transaction."""
    api.post(f"{database}/query", json={"sql": "CREATE TABLE t (a UNIQUE)"}).raise_for_status()
    insert = {"sql": "INSERT INTO t VALUES (?)", "params": [1]}
    twice = api.post(f"{database}/query", json={"batch": [insert, insert]})
    assert error(twice)[:2] == (400, 7500)
    count = {"sql": "SELECT count(*) AS n FROM t"}
    batch = api.post(f"{database}/query", json={"batch": [insert, count]})
    assert batch.json()["result"][1]["results"] == [{"n": 1}]


def test_values_in_json(api: httpx.Client, database: str) -> None:
    """Bytes are their numbers both ways; what JSON has no word for is null."""
    body = {"sql": "SELECT ?, ?, ?, ?, ?, 9e999", "params": [[0, 255], None, True, 1.5, "ü"]}
    answer = api.post(f"{database}/raw", json=body)
    assert answer.json()["result"][0]["results"]["rows"] == [[[0, 255], None, 1, 1.5, "ü", None]]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 7400),
        ({"sql": "SELECT 1", "batch": []}, 7400),
        ({"batch": []}, 7400),
        ({"sql": 1}, 10004),
        ({"batch": [{"params": []}]}, 10003),
        ({"sql": "SELECT ?"}, 7400),
        ({"sql": "SELECT ?; SELECT 1", "params": [1]}, 7400),
        ({"sql": "SELECT ?", "params": [{}]}, 7400),
        ({"sql": ""}, 7500),
        ({"sql": "ATTACH 'x' AS y"}, 7500),
        ({"sql": "SELECT load_extension('x')"}, 7500),
        ([], 10026),
    ],
)
def test_bad_queries(api: httpx.Client, database: str, body: Any, code: int) -> None:
    """A clear refusal, and the database goes on."""
    assert error(api.post(f"{database}/query", json=body))[:2] == (400, code)
    good = api.post(f"{database}/query", json={"sql": "SELECT 1 AS one"})
    assert good.json()["result"][0]["results"] == [{"one": 1}]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 10003),
        ({"name": ""}, 10004),
        ({"name": "a b"}, 10004),
        ({"name": "a" * 65}, 10004),
        ({"name": "x", "jurisdiction": "eu"}, 10004),
        ({"name": "x", "read_replication": {"mode": "auto"}}, 10004),
        ({"name": "shop"}, 7502),
    ],
)
def test_what_cannot_be_made(
    api: httpx.Client, database: str, registry: Registry, body: Any, code: int
) -> None:
    """Nothing is half made; wrangler knows 7502 as a name that is taken."""
    assert error(api.post(D1, json=body))[:2] == (400, code)
    assert registry.databases.list(ACCOUNT).total == 1


@pytest.mark.parametrize("id_", ["0" * 32, "shop", "01234567-0123-0123-0123-0123456789ab"])
def test_what_is_not_there(api: httpx.Client, fake: FakeDatabases, id_: str) -> None:
    """404 with 7404 for each operation, also for what is no id."""
    calls: list[Callable[[], httpx.Response]] = [
        lambda: api.get(f"{D1}/{id_}"),
        lambda: api.delete(f"{D1}/{id_}"),
        lambda: api.patch(f"{D1}/{id_}", json={"read_replication": {"mode": "disabled"}}),
        lambda: api.post(f"{D1}/{id_}/query", json={"sql": "SELECT 1"}),
        lambda: api.post(f"{D1}/{id_}/raw", json={"sql": "SELECT 1"}),
    ]
    for call in calls:
        assert error(call()) == (404, 7404, f"The database {id_} could not be found")


def test_another_accounts_database(
    api: httpx.Client, registry: Registry, fake: FakeDatabases
) -> None:
    """It is not there, whoever knows its id."""
    other = registry.databases.create("b" * 32, "theirs").id
    assert error(api.get(f"{D1}/{other}"))[:2] == (404, 7404)
    assert error(api.delete(f"{D1}/{other}"))[:2] == (404, 7404)
    assert registry.databases.exists(other)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("overloaded", 429, 7429), ("timeout", 400, 7500), ("lost", 503, 10013)],
)
def test_what_the_executor_says(
    api: httpx.Client, database: str, fake: FakeDatabases, kind: Kind, status: int, code: int
) -> None:
    """Each kind of failure has its answer in the envelope."""
    fake.scripted = Failed(kind=kind, message="Words.")
    answer = api.post(f"{database}/query", json={"sql": "SELECT 1"})
    assert error(answer) == (status, code, "Words.")


def test_nobody_answers(
    api: httpx.Client, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an executor a query is 503, and left to nobody; the database is shown without size,
    and is not deleted."""
    monkeypatch.setattr(databases_module, "BEGIN_S", 0.1)
    id_ = registry.databases.create(ACCOUNT, "shop").id
    assert error(api.post(f"{D1}/{id_}/query", json={"sql": "SELECT 1"}))[:2] == (503, 10013)
    shown = api.get(f"{D1}/{id_}").json()["result"]
    assert (shown["uuid"], "file_size" in shown) == (id_, False)
    assert error(api.delete(f"{D1}/{id_}"))[:2] == (503, 10013)
    assert registry.databases.exists(id_)


def test_pages(api: httpx.Client, registry: Registry) -> None:
    """As wrangler asks for them."""
    for number in range(3):
        registry.databases.create(ACCOUNT, f"db-{number}")
    answer = api.get(D1, params={"per_page": 2, "page": 2}).json()
    assert len(answer["result"]) == 1
    assert answer["result_info"] == {
        "page": 2,
        "per_page": 2,
        "count": 1,
        "total_count": 3,
        "total_pages": 2,
    }
