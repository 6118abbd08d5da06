"""wrangler with SQL databases."""

import json

from clients_installation import Wrangler


def test_a_database_from_wrangler(wrangler: Wrangler) -> None:
    """Created, listed, filled, read and deleted; a name that is taken, and SQL that is wrong, are
    told in the words that people know."""
    assert "shop" in wrangler("d1", "create", "shop").stdout
    code, again = wrangler.attempt("d1", "create", "shop")
    assert code != 0
    assert "A database with that name already exists" in again.stdout + again.stderr
    listed = json.loads(wrangler("d1", "list", "--json").stdout)
    assert [one["name"] for one in listed] == ["shop"]

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
    assert json.loads(wrangler("d1", "list", "--json").stdout) == []
