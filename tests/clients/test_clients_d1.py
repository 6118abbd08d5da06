"""wrangler with SQL databases."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx
from clients_installation import Platform, Wrangler

Project = Callable[..., Path]
Visit = Callable[..., httpx.Response]

WORKER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("")
"""


def test_a_database_from_wrangler(wrangler: Wrangler) -> None:
    """Created, listed, filled, read and deleted; a name that is taken, and SQL that is wrong, are
    told in the words that people know."""
    assert "shop" in wrangler("d1", "create", "shop").stdout
    code, again = wrangler.attempt("d1", "create", "shop")
    assert code != 0
    assert "A database with that name already exists" in again.stdout + again.stderr
    listed = json.loads(wrangler("d1", "list", "--json").stdout)
    assert "shop" in [one["name"] for one in listed]

    def execute(sql: str) -> list[dict[str, object]]:
        said = wrangler("d1", "execute", "shop", "--remote", "--json", "--yes", "--command", sql)
        found: list[dict[str, object]] = json.loads(said.stdout)
        return found

    filled = execute("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    assert [one["success"] for one in filled] == [True, True]
    assert execute("SELECT b FROM t WHERE a = 2")[0]["results"] == [{"b": "y"}]
    code, wrong = wrangler.attempt("d1", "execute", "shop", "--remote", "--command", "SELEC 1")
    assert code != 0
    assert 'near "SELEC": syntax error at offset 0' in wrong.stdout + wrong.stderr

    wrangler("d1", "delete", "shop", "--skip-confirmation")
    listed = json.loads(wrangler("d1", "list", "--json").stdout)
    assert "shop" not in [one["name"] for one in listed]


def test_files_and_history(wrangler: Wrangler, tmp_path: Path) -> None:
    """A file of SQL is executed, and shows in what is said of the database; it is exported as it
    was imported; what was dropped is restored. An error in a file leaves nothing behind."""
    wrangler("d1", "create", "archive")
    sql, out = tmp_path / "in.sql", tmp_path / "out.sql"
    rows = "".join(f"INSERT INTO t VALUES ({number}, 'it''s;\n');\n" for number in range(2_000))
    sql.write_text(f"CREATE TABLE t (a INTEGER, b TEXT);\n{rows}")
    remote = ("archive", "--remote", "--yes")
    said = wrangler("d1", "execute", *remote, "--json", "--file", str(sql))
    (done,) = json.loads(said.stdout[said.stdout.index("[") :])
    assert done["results"][0]["Total queries executed"] == 2_001
    info = json.loads(wrangler("d1", "info", "archive", "--json").stdout)
    assert (info["name"], info["num_tables"]) == ("archive", 1)
    assert info["database_size"] > 8_192

    exported = wrangler(
        "d1", "export", "archive", "--remote", "--skip-confirmation", "--output", str(out)
    )
    assert "successfully" in exported.stdout
    with sqlite3.connect(":memory:") as read:
        read.executescript(out.read_text())
        assert read.execute("SELECT count(*), max(b) FROM t").fetchone() == (2_000, "it's;\n")
    read.close()

    sql.write_text("DROP TABLE t; SELEC 1;")
    code, failed = wrangler.attempt("d1", "execute", *remote, "--file", str(sql))
    assert code != 0
    assert "syntax error" in failed.stdout + failed.stderr
    wrangler("d1", "execute", *remote, "--command", "DROP TABLE t")
    travel = ("d1", "time-travel", "restore", "archive", "--json", "--bookmark")
    restored = json.loads(wrangler(*travel, done["finalBookmark"]).stdout)
    now = json.loads(wrangler("d1", "time-travel", "info", "archive", "--json").stdout)
    assert restored["previous_bookmark"] < now["bookmark"]
    count = ("--json", "--command", "SELECT count(*) AS n FROM t")
    (answer,) = json.loads(wrangler("d1", "execute", *remote, *count).stdout)
    assert answer["results"] == [{"n": 2_000}]


def test_the_example(wrangler: Wrangler, platform: Platform, visit: Visit, tmp_path: Path) -> None:
    """Deploying makes the database that its configuration names, migrations fill it, and the worker
    reads and writes it."""
    directory = tmp_path / "d1"
    shutil.copytree(Path(__file__).parents[2] / "examples/d1", directory)
    wrangler("dispatch-namespace", "create", "noted")
    deploy = wrangler("deploy", "--dispatch-namespace", "noted", "--x-provision", cwd=directory)
    assert "Uploaded notes" in deploy.stdout
    listed = wrangler("d1", "migrations", "list", "notes", "--remote", cwd=directory)
    assert "0001_notes.sql" in listed.stdout
    wrangler("d1", "migrations", "apply", "notes", "--remote", cwd=directory)
    again = wrangler("d1", "migrations", "list", "notes", "--remote", cwd=directory)
    assert "No migrations to apply" in again.stdout
    with httpx.Client(base_url=f"http://{platform.dispatch}", trust_env=False) as client:
        client.post("/noted/notes/", content="milk").raise_for_status()
    assert visit("/noted/notes/").json() == [{"id": 1, "text": "milk"}]


def test_a_database_that_is_not_there(wrangler: Wrangler, project: Project) -> None:
    """A binding to it is refused, in the words that people know."""
    missing = (
        '[[d1_databases]]\nbinding = "DB"\ndatabase_id = "0f7a3b1c-1234-4abc-9def-0123456789ab"'
    )
    directory = project("lonely", WORKER, f"workers_dev = false\npreview_urls = false\n{missing}")
    code, failed = wrangler.attempt("deploy", cwd=directory)
    assert code != 0
    said = failed.stdout + failed.stderr
    assert "binding DB of type d1 must have a database that already exists" in said
