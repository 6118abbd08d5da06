"""`cloister check`: what an upload would say, from a real sandbox, with nothing running."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloister.cli import complaints
from cloister.cli.exits import EXIT_FAILED, EXIT_OK, EXIT_UNHEALTHY
from cloister.messages import Complaint

ROOT = Path(__file__).parents[2]
HELLO = "from workers import WorkerEntrypoint, Response\n"
GOOD = f"{HELLO}class Default(WorkerEntrypoint):\n    def fetch(self, request):\n        pass\n"


def cloister(*arguments: str, cwd: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a directory, with no setting but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLOISTER_")}
    command = [sys.executable, "-c", "from cloister.cli import main; main()", *arguments]
    return subprocess.run(
        [*command[:1], "-P", *command[1:]],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def write(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def test_every_refusal_and_warning_is_shown_with_its_line_and_caret(tmp_path: Path) -> None:
    """All modules of a project directory at once; the exit code says that it would be refused."""
    write(
        tmp_path,
        {
            "shop/wrangler.toml": 'name = "shop"\nmain = "src/entry.py"\n',
            "shop/src/entry.py": "import frobnicate\né = 'è'; y = eval(é)\n",
            "shop/src/part.py": "def f(a):\n\treturn a.gi_frame\nx = (\n",
            "shop/src/lib.wasm": "\0asm",
            "shop/src/page.html": "<p>data is not compiled</p>",
        },
    )
    done = cloister("check", "shop", cwd=tmp_path)
    assert done.stdout == (
        "shop/src/lib.wasm: error: WebAssembly does not run here; upload Python source"
        " (application/wasm)\n"
        'shop/src/entry.py:2:14: error: "eval" is not available: code cannot be made at run time;'
        " ast.literal_eval() reads literals\n"
        "    é = 'è'; y = eval(é)\n"
        "                 ^\n"
        "shop/src/part.py:3:5: error: SyntaxError: '(' was never closed\n"
        "    x = (\n"
        "        ^\n"
        'shop/src/entry.py:1:8: warning: module "frobnicate" is not available: its import'
        " fails when it runs; if it is pure Python, put its source beside yours\n"
        "    import frobnicate\n"
        "           ^\n"
        "shop: would be refused: 3 errors, 1 warning\n"
    )
    assert (done.returncode, done.stderr) == (EXIT_FAILED, "")


def test_a_tool_gets_json_for_several_workers(tmp_path: Path) -> None:
    """Good, without handlers, failing at the top, and endless: each is its own answer."""
    write(
        tmp_path,
        {
            "good.py": GOOD,
            "empty.py": "x = 1\n",
            "fails.py": GOOD + "\n1 / 0\n",
            "endless.py": "while True: pass\n",
        },
    )
    names = ["good.py", "empty.py", "fails.py", "endless.py"]
    done = cloister("check", "--json", *names, cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"]) == (EXIT_FAILED, False)
    good, *bad = answer["workers"]
    assert good["errors"] == []
    assert (good["path"], good["handlers"]) == ("good.py", {"Default": ["fetch"]})
    texts = [each["errors"][0]["message"] for each in bad]
    assert "no handlers" in texts[0]
    assert "ZeroDivisionError" in texts[1]
    assert 'File "fails.py", line 6' in texts[1]
    assert "startup exceeded CPU limit" in texts[2]


def test_top_level_code_finds_the_projects_bindings(tmp_path: Path) -> None:
    """Variables of the project and of --var, KV and services; without --var, the same fails."""
    write(
        tmp_path,
        {
            "wrangler.toml": (
                '[vars]\nNAME = "a"\n[[kv_namespaces]]\nbinding = "STORE"\n'
                '[[services]]\nbinding = "API"\nservice = "api"\n'
            ),
            "worker.py": GOOD
            + "from workers import env\nassert env.NAME + env.KEY == 'ab' and env.STORE and env.API"
            "\n",
        },
    )
    done = cloister("check", "--var", "KEY=b", cwd=tmp_path)
    assert done.returncode == EXIT_OK, done.stdout
    assert done.stdout.startswith(".: would be accepted; starts in ")
    refused = cloister("check", cwd=tmp_path)
    assert refused.returncode == EXIT_FAILED
    assert "KEY" in refused.stdout


def test_the_namespaces_language_decides(tmp_path: Path) -> None:
    """What the restricted language refuses, the full one may take; and neither what is broken."""
    write(tmp_path, {"worker.py": GOOD + "x = [eval('1')]\n", "broken.py": "x = (\n"})
    full = cloister("check", "--language", "full", "worker.py", "broken.py", cwd=tmp_path)
    assert "worker.py: would be accepted" in full.stdout, full.stdout + full.stderr
    assert "broken.py:1:5: error: SyntaxError: '(' was never closed\n    x = (" in full.stdout
    assert '"eval" is not available' in cloister("check", "worker.py", cwd=tmp_path).stdout


@pytest.mark.parametrize("command", ["check", "doctor"])
def test_files_beside_a_worker_are_not_imported_by_the_command(
    tmp_path: Path, command: str
) -> None:
    """A directory full of modules that are named like ours and Python's: none runs outside."""
    trap = f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
    names = ("executor/__init__.py", "asyncio.py", "msgspec.py", "types.py", "cloister.py")
    write(tmp_path, {"worker.py": GOOD, **dict.fromkeys(names, trap)})
    done = cloister(command, *(["worker.py"] if command == "check" else []), cwd=tmp_path)
    assert done.returncode == EXIT_OK, done.stdout + done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_machine_without_the_sandbox_is_one_clear_line(tmp_path: Path) -> None:
    """Nothing is compiled where the sandbox cannot be built, and the exit code is the doctor's."""
    write(tmp_path, {"worker.py": GOOD})
    done = cloister("check", "worker.py", cwd=tmp_path, CLOISTER_SANDBOX_ACCEPT="magic")
    assert (done.returncode, done.stdout) == (EXIT_UNHEALTHY, "")
    assert done.stderr == "cloister: CLOISTER_SANDBOX_ACCEPT: no facility magic.\n"
    missing = (
        "import sys; from executor import check, doctor\n"
        "from executor.sandbox.probe import Finding\n"
        "nothing = Finding(name='user', found=False, required=True, bounds='files')\n"
        "doctor.probe = lambda _ids: [nothing]\n"
        "sys.exit(check.main())"
    )
    run = subprocess.run(
        [sys.executable, "-P", "-c", missing],
        input=b"\x90",
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stdout == b""
    assert run.stderr.startswith(b"cloister: This kernel does not offer: ")
    assert run.stderr.count(b"\n") == 1


def test_what_is_no_worker_is_one_line(tmp_path: Path) -> None:
    """As for a deploy."""
    done = cloister("check", "nothing", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "cloister: nothing does not exist.\n")


EXCERPTS: dict[str, tuple[bytes, int, int, list[str]]] = {
    "tabs": (b"\tx = y", 1, 6, ["    \tx = y", "    \t    ^"]),
    "wide characters": ("日本 = y".encode(), 1, 6, ["    日本 = y", "           ^"]),
    "combining characters": ("e\u0301 = y".encode(), 1, 6, ["    e\u0301 = y", "        ^"]),
    "carriage returns": (b"a\r\nb\rc = 1", 3, 1, ["    c = 1", "    ^"]),
    "a form feed": (b"a\x0cb\nc", 2, 1, ["    c", "    ^"]),
    "a byte order mark": (b"\xef\xbb\xbfx = 1", 1, 1, ["    x = 1", "    ^"]),
    "no column": (b"x = 1", 1, 0, ["    x = 1"]),
    "no line": (b"x = 1", 0, 0, []),
    "a line beyond the end": (b"x = 1", 7, 1, []),
    "not UTF-8": (b"x = '\xff'", 1, 6, ["    x = '\ufffd'", "         ^"]),
}


@pytest.mark.parametrize("name", EXCERPTS)
def test_the_caret_stands_under_the_character(name: str) -> None:
    """Whatever the line is made of."""
    source, line, column, expected = EXCERPTS[name]
    complaint = Complaint(message="why", module="a.py", line=line, column=column)
    assert complaints.text("error", "a.py", complaint, source).split("\n")[1:] == expected


def test_a_long_line_is_cut_around_the_caret() -> None:
    """A minified module does not fill the terminal."""
    source = b"x" * 5_000 + b"!" + b"y" * 5_000
    complaint = Complaint(message="why", module="a.py", line=1, column=5_001)
    head, line, caret = complaints.text("error", "a.py", complaint, source).split("\n")
    assert head == "a.py:1:5001: error: why"
    assert len(line) < 120
    assert line[caret.index("^")] == "!"


def test_a_strangers_text_cannot_steer_the_terminal() -> None:
    """Escape sequences in source, messages and names are written out; the rest is as it was."""
    complaint = Complaint(message="\x1b]0;owned\x07 ü\nTraceback\t\x9b2J", module="", line=1)
    shown = complaints.text("error", "a\x1b[2J.py", complaint, b"x = '\x1b[2J' # \xe2\x80\xae")
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "\u202e" not in shown
    assert shown.split("\n") == [
        "a\\x1b[2J.py:1: error: \\x1b]0;owned\\x07 ü",
        "Traceback\t\\x9b2J",
        "    x = '\\x1b[2J' # \\u202e",
    ]


def test_help_names_the_exit_code(tmp_path: Path) -> None:
    """What a script needs to know is in --help."""
    shown: Any = cloister("check", "--help", cwd=tmp_path).stdout
    assert "Exits with 1" in shown
    assert "--json" in shown
