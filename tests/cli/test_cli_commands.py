"""The commands against a small control API that says what it was asked."""

import email
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloister.cli import COMMANDS, cli, main
from cloister.credentials import Credentials, save

RECORD = {
    "id": "1",
    "eventTimestamp": 1_760_000_000_000,
    "event": {"request": {"method": "GET", "url": "http://shop/"}, "response": {"status": 500}},
    "outcome": "exception",
    "cpuMs": 1.25,
    "wallMs": 3.5,
    "subrequestCount": 2,
    "logs": [{"level": "warn", "message": ["look", {"a": 1}], "timestamp": 1}],
    "exceptions": [{"name": "KeyError", "message": "'x'", "stack": "Traceback:\nKeyError: 'x'"}],
}


class Api(http.server.ThreadingHTTPServer):
    """Answers what ``answers`` has for a method and path, and keeps every request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, str, bytes, Message]] = []

    def body(self, method: str) -> bytes:
        """The body of the last request of this method."""
        return [body for asked, _, body, _ in self.asked if asked == method][-1]

    def paths(self) -> list[str]:
        """Method and path of every request, without what all paths begin with."""
        prefix = "/client/v4/accounts/account"
        return [f"{method} {path.removeprefix(prefix)}" for method, path, _, _ in self.asked]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Api

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append((self.command, self.path, body, self.headers))
        path = self.path.removeprefix("/client/v4/accounts/account").partition("?")[0]
        answer = self.server.answers.get(f"{self.command} {path}", {"success": True, "result": {}})
        if isinstance(answer, bytes):
            self._send(200, "text/event-stream", answer)
        else:
            self._send(answer.pop("status", 200), "application/json", json.dumps(answer).encode())

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = _answer

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A control API, and a data directory whose credentials point at it."""
    server = Api()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    data = tmp_path / "data"
    data.mkdir()
    save(
        data,
        Credentials(
            account_id="account",
            api_token="sesame",
            control_url=f"http://127.0.0.1:{server.server_address[1]}",
            dispatch_url="http://front",
            namespace="production",
        ),
    )
    monkeypatch.setenv("CLOISTER_DATA", str(data))
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(*arguments: str) -> Result:
    """Run a command; its exceptions are ours."""
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def uploaded(api: Api) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Metadata and modules of the last upload."""
    _, _, body, headers = next(entry for entry in reversed(api.asked) if entry[0] == "PUT")
    whole = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body
    parts = email.message_from_bytes(whole).get_payload()
    metadata, *modules = parts
    return (
        json.loads(metadata.get_payload(decode=True)),
        {part.get_filename(): part.get_payload(decode=True) for part in modules},
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    """And says in its first line what it does."""
    result = run(name, "--help")
    assert result.exit_code == 0
    assert re.search(r"^  [A-Z].*\.", result.output, re.MULTILINE)


def test_deploy_sends_everything(api: Api, tmp_path: Path) -> None:
    """Modules, bindings of all kinds, limits and tags; secrets of before stay."""
    api.answers["GET /storage/kv/namespaces"] = {"success": True, "result": []}
    api.answers["POST /storage/kv/namespaces"] = {"success": True, "result": {"id": "made"}}
    project = tmp_path / "shop"
    (project / "src").mkdir(parents=True)
    (project / "src" / "entry.py").write_text("import prices\n")
    (project / "src" / "prices.py").write_text("A = 1\n")
    (project / "wrangler.toml").write_text("""
        name = "shop"
        main = "src/entry.py"
        kv_namespaces = [{binding = "GIVEN", id = "known"}]
        services = [{binding = "CART", service = "cart", entrypoint = "Items"}]
        [vars]
        GREETING = "hi"
        PRICES = {tea = 2}
        [limits]
        cpu_ms = 20
    """)
    options = ["--var", "A=b=c", "--secret", "KEY=s", "--kv", "NEW", "--tag", "customer-1"]
    result = run("deploy", str(project), *options, "--subrequests", "5")
    assert result.output == "http://front/production/shop/\n"
    metadata, modules = uploaded(api)
    assert modules == {"entry.py": b"import prices\n", "prices.py": b"A = 1\n"}
    assert metadata["main_module"] == "entry.py"
    assert metadata["limits"] == {"cpu_ms": 20, "subrequests": 5}
    assert metadata["tags"] == ["customer-1"]
    assert metadata["keep_bindings"] == ["secret_text", "secret_key"]
    assert metadata["bindings"] == [
        {"type": "plain_text", "name": "GREETING", "text": "hi"},
        {"type": "json", "name": "PRICES", "json": {"tea": 2}},
        {"type": "plain_text", "name": "A", "text": "b=c"},
        {"type": "secret_text", "name": "KEY", "text": "s"},
        {"type": "kv_namespace", "name": "GIVEN", "namespace_id": "known"},
        {"type": "kv_namespace", "name": "NEW", "namespace_id": "made"},
        {"type": "service", "name": "CART", "service": "cart", "entrypoint": "Items"},
    ]
    assert all(headers["Authorization"] == "Bearer sesame" for *_, headers in api.asked)


def test_deploy_finds_the_store_it_made_before(api: Api, tmp_path: Path) -> None:
    """A KV binding without an id means the same namespace at each deploy."""
    api.answers["GET /storage/kv/namespaces"] = {
        "success": True,
        "result": [{"id": "other", "title": "x"}, {"id": "mine", "title": "shop-STORE"}],
    }
    (tmp_path / "shop.py").write_text("")
    run("deploy", str(tmp_path / "shop.py"), "--kv", "STORE")
    assert uploaded(api)[0]["bindings"][0]["namespace_id"] == "mine"


def test_init_makes_what_deploy_takes(api: Api, tmp_path: Path) -> None:
    """And overwrites nothing."""
    project = tmp_path / "My Shop"
    assert run("init", str(project)).exit_code == 0
    assert run("deploy", str(project)).output == "http://front/production/my-shop/\n"
    with pytest.raises(Exception, match="exists already"):
        run("init", str(project))


def _fail(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit code of the command as the shell gets it."""
    monkeypatch.setattr("sys.argv", ["cloister", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 1), (401, 1), (404, 3), (500, 1)],
)
def test_a_refusal_is_its_message_and_an_exit_code(
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
    code: int,
) -> None:
    """What the API says goes to standard error; not found has a code of its own."""
    api.answers["DELETE /workers/dispatch/namespaces/a/scripts/b"] = {
        "status": status,
        "success": False,
        "errors": [{"code": 10007, "message": "No such luck."}],
    }
    assert _fail(monkeypatch, "workers", "delete", "a", "b") == code
    assert capsys.readouterr().err == "cloister: No such luck.\n"


def test_no_control_api_is_one_line(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says where it looked and what to do."""
    assert _fail(monkeypatch, "workers", "list", "--url", "http://127.0.0.1:1") == 1
    assert "Nothing answers at 127.0.0.1:1. Is `cloister up` running?" in capsys.readouterr().err


def test_no_credentials_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says how to get some."""
    monkeypatch.setenv("CLOISTER_DATA", str(tmp_path))
    assert _fail(monkeypatch, "workers", "list") == 1
    assert "There is no API token." in capsys.readouterr().err


def test_wrong_options_are_code_2(monkeypatch: pytest.MonkeyPatch, api: Api) -> None:
    """Click's own."""
    assert _fail(monkeypatch, "deploy", "--var", "no-equals-sign") == 2
    assert _fail(monkeypatch, "no-such-command") == 2


def test_a_tenants_text_cannot_steer_the_terminal(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its log, its exceptions, a visitor's URL, what an upload is refused with: written out."""
    evil = "\x1b]0;owned\x07 \x9b2J ü"
    record = {
        **RECORD,
        "event": {"request": {"method": "GET", "url": f"http://shop/{evil}"}},
        "logs": [{"level": "log", "message": [evil], "timestamp": 1}],
        "exceptions": [{"name": "E", "message": evil, "stack": f"Traceback:\nE: {evil}"}],
    }
    path = "GET /workers/dispatch/namespaces/production/scripts/shop/tail"
    api.answers[path] = f"data: {json.dumps(record)}\n\n".encode()
    shown = run("tail", "production", "shop").output
    assert shown.count("\\x1b]0;owned\\x07 \\x9b2J ü") == 3
    api.answers["DELETE /workers/dispatch/namespaces/a/scripts/b"] = {
        "status": 400,
        "success": False,
        "errors": [{"code": 10021, "message": f"Uncaught E: {evil}\nTraceback"}],
    }
    _fail(monkeypatch, "workers", "delete", "a", "b")
    told = capsys.readouterr().err
    assert told == "cloister: Uncaught E: \\x1b]0;owned\\x07 \\x9b2J ü\nTraceback\n"
    assert not {"\x1b", "\x07", "\x9b"} & set(shown + told)


def test_tail_is_readable_or_json(api: Api) -> None:
    """For people: one line of summary, then what was printed and raised."""
    path = "GET /workers/dispatch/namespaces/production/scripts/shop/tail"
    api.answers[path] = f": hello\n\ndata: {json.dumps(RECORD)}\n\n".encode()
    lines = run("tail", "production", "shop").output.splitlines()
    assert "GET http://shop/ exception 500 cpu 1.2 ms, wall 3.5 ms, 2 subrequests" in lines[0]
    assert lines[1:] == ['  (warn) look {"a": 1}', "  Traceback:", "  KeyError: 'x'"]
    machine = run("tail", "production", "shop", "--format", "json")
    assert json.loads(machine.output) == RECORD


def test_workers_list_follows_the_cursor(api: Api) -> None:
    """Every page, with the filter."""
    path = "GET /workers/dispatch/namespaces/production/scripts"
    api.answers[path] = {"success": True, "result": [{"id": "a"}], "result_info": {"cursor": ""}}
    assert json.loads(run("workers", "list", "--json", "--tags", "x:yes").output) == [{"id": "a"}]
    assert "tags=x%3Ayes" in api.paths()[0]
    assert "a" in run("workers", "list").output


def test_namespaces_set_keeps_what_is_not_named(api: Api) -> None:
    """Limits are completed with those of before; nothing named is a usage error."""
    path = "/workers/dispatch/namespaces/production"
    api.answers[f"GET {path}"] = {"success": True, "result": {"limits": {"cpu_ms": 5}}}
    outbound = ["--outbound", "platform/gate", "--parameter", "customer"]
    bounds = ["--memory-mb", "64", "--trusted", "--deny", "x"]
    result = run("namespaces", "set", "production", *bounds, *outbound)
    assert result.exit_code == 0
    assert json.loads(api.body("PUT")) == {
        "trusted_workers": True,
        "limits": {"cpu_ms": 5, "memory_mb": 64},
        "outbound": {"namespace": "platform", "service": "gate", "parameters": ["customer"]},
        "egress": {"allow": [], "deny": ["x"]},
    }
    assert run("namespaces", "set", "production").exit_code == 2


def test_deleting_a_namespace_asks_first(api: Api) -> None:
    """Only `y` or --yes deletes."""
    assert CliRunner().invoke(cli, ["namespaces", "delete", "staging"], input="n\n").exit_code == 1
    assert api.paths() == []
    assert run("namespaces", "delete", "staging", "--yes").output == "deleted staging\n"
    assert api.paths() == ["DELETE /workers/dispatch/namespaces/staging"]


def test_hostnames(api: Api) -> None:
    """Listed over all pages, set, deleted; the name is one segment of the path."""
    path = "/workers/dispatch/hostnames"
    item = {"hostname": "shop.test", "namespace": "production", "script": "shop"}
    api.answers[f"GET {path}"] = {"success": True, "result": [item], "result_info": {"cursor": ""}}
    assert json.loads(run("hostnames", "list", "--json").output) == [item]
    assert "shop.test" in run("hostnames", "list").output
    api.answers[f"PUT {path}/Shop.test"] = {"success": True, "result": item}
    shown = run("hostnames", "set", "Shop.test", "production", "shop").output
    assert shown == "shop.test leads to production/shop\n"
    assert json.loads(api.body("PUT")) == {"namespace": "production", "script": "shop"}
    assert run("hostnames", "delete", "a/ü").output == "deleted a/ü\n"
    assert api.paths()[-1] == f"DELETE {path}/a%2F%C3%BC"


def test_a_token_is_printed_once(api: Api) -> None:
    """With the restrictions that were asked for."""
    api.answers["POST /tokens"] = {"success": True, "result": {"value": "secret-text"}}
    options = ["--read-only", "-n", "production", "--expires", "2030-01-01"]
    assert run("tokens", "create", "ci", *options).output == "secret-text\n"
    assert json.loads(api.body("POST")) == {
        "name": "ci",
        "read_only": True,
        "namespace": "production",
        "expires_on": "2030-01-01T00:00:00Z",
    }


def test_dev_deploys_again_when_a_file_changes(api: Api, tmp_path: Path) -> None:
    """What is wrong in between is said, and the next change tried; Ctrl-C ends it."""
    project = tmp_path / "shop"
    run("init", str(project))
    config = project / "wrangler.toml"
    dev = subprocess.Popen(
        [sys.executable, "-m", "cloister.cli", "dev", str(project)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert dev.stdout is not None
        assert dev.stdout.readline() == "deployed http://front/production/shop/\n"
        good = config.read_text()
        config.write_text("name =")
        assert "wrangler.toml" in dev.stdout.readline()
        config.write_text(good.replace("shop", "other"))
        assert dev.stdout.readline() == "deployed http://front/production/other/\n"
    finally:
        dev.send_signal(signal.SIGINT)
        assert dev.wait(10) == 0
        assert dev.stdout.read() == ""
        dev.stdout.close()
