"""Files that set-up relies on: locks, the settings table, the data directory, worker projects."""

import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cloister import addresses, credentials, data_directory
from cloister.cli import project
from cloister.credentials import Credentials
from cloister.embedded import SOCKET_PATH_BYTES, valkey_socket, valkey_url
from cloister.errors import NotReady
from cloister.settings import Settings, variable

ROOT = Path(__file__).parents[2]


def _pins(name: str) -> dict[str, str]:
    pattern = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
    return {
        canonicalize_name(package): version
        for package, version in pattern.findall((ROOT / name).read_text())
    }


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", []), ("requirements-dev.lock", ["dev"])]
)
def test_a_lock_satisfies_what_we_declare(lock: str, extras: list[str]) -> None:
    """Whoever changes a range also runs `make lock`."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = declared["dependencies"] + [
        line for extra in extras for line in declared["optional-dependencies"][extra]
    ]
    pins = _pins(lock)
    for line in wanted:
        requirement = Requirement(line)
        version = pins.get(canonicalize_name(requirement.name), "missing")
        assert requirement.specifier.contains(version), f"{line} is {version} in {lock}"


def test_locks_have_hashes_and_no_host() -> None:
    """Every artefact is known by its hash; where it comes from is the machine's business."""
    for lock in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / lock).read_text()
        assert "://" not in text
        assert text.count("==") <= text.count("--hash=sha256:")


def test_both_locks_agree() -> None:
    """`make up` and `make test` run the same versions."""
    development = _pins("requirements-dev.lock")
    assert _pins("requirements.lock").items() <= development.items()


def test_every_setting_is_in_the_operators_guide() -> None:
    """The table has each variable once, with its own words, and nothing else."""
    table = (ROOT / "docs" / "operators.md").read_text().partition("## Settings")[2]
    rows = re.findall(r"^\| `(CLOISTER_\w+)` \| (.+?) \| (.+) \|$", table, re.MULTILINE)
    documented = {name: meaning for name, _default, meaning in rows}
    assert documented == {variable(item): item.metadata["doc"] for item in fields(Settings)}


def test_every_default_is_in_the_operators_guide() -> None:
    """As an operator would write it."""
    table = (ROOT / "docs" / "operators.md").read_text().partition("## Settings")[2]
    rows = re.findall(r"^\| `(CLOISTER_\w+)` \| (.+?) \| (.+) \|$", table, re.MULTILINE)
    shown = {name: default.strip("`") for name, default, _meaning in rows}
    for item in fields(Settings):
        text = "" if shown[variable(item)] == "empty" else shown[variable(item)]
        assert item.metadata["parse"](text) == item.default if text else not item.default


def test_the_procfile_names_what_up_runs() -> None:
    """The same commands, but for names and the interpreter."""
    from cloister.up import executors, fronts, scheduler

    procfile = dict(
        line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines() if line
    )
    services = [*executors(Settings(executor_processes=1), {}), *fronts({}), scheduler({})]
    commands = {
        service.name.removesuffix("-1"): " ".join(service.command[2:]) for service in services
    }
    commands["executor"] = re.sub(r" -n \S+", "", commands["executor"])
    assert commands == procfile


def test_a_data_directory_is_private_and_locked(tmp_path: Path) -> None:
    """Only we may enter it, and a second process finds it taken, by name."""
    directory = tmp_path / "data"
    data_directory.prepare(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    descriptor = data_directory.lock(directory)
    code = (
        "import sys; from pathlib import Path; from cloister import data_directory;"
        "data_directory.lock(Path(sys.argv[1]))"
    )
    second = subprocess.run(
        [sys.executable, "-c", code, str(directory)], capture_output=True, text=True, check=False
    )
    os.close(descriptor)
    assert f"already running on {directory} (process {os.getpid()})" in second.stderr
    os.close(data_directory.lock(directory))


def test_a_data_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """Here a file is in the way."""
    (tmp_path / "file").touch()
    with pytest.raises(NotReady, match="Cannot use the data directory"):
        data_directory.prepare(tmp_path / "file" / "data")


def test_a_long_path_gets_a_short_private_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two data directories never share one; somebody else's directory is refused."""
    with tempfile.TemporaryDirectory() as short:  # as no tmp_path is
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        _check_long_paths()


def _check_long_paths() -> None:
    deep = Path("/") / ("x" * 60) / ("y" * 60)
    socket_path = valkey_socket(deep)
    assert len(os.fsencode(socket_path)) <= SOCKET_PATH_BYTES
    assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700
    assert valkey_socket(deep / "z").parent != socket_path.parent
    assert valkey_socket(Path("/short")) == Path("/short/valkey.sock")
    socket_path.parent.chmod(0o755)
    with pytest.raises(NotReady, match="not a private directory"):
        valkey_socket(deep)


def test_a_url_of_a_socket_may_have_spaces() -> None:
    """Clients decode it again."""
    assert valkey_url(Path("/a b/valkey.sock")) == "unix:///a%20b/valkey.sock"


def test_a_taken_address_is_named() -> None:
    """With the setting that would move us; a free one says nothing."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(NotReady, match=f"{address}.*CLOISTER_DISPATCH_BIND"):
            addresses.require_free(address, "CLOISTER_DISPATCH_BIND")
    addresses.require_free(address, "CLOISTER_DISPATCH_BIND")


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1:8787", "http://127.0.0.1:8787"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
    ],
)
def test_an_address_as_a_url_of_this_machine(address: str, url: str) -> None:
    """An address for any interface is reached by loopback."""
    assert addresses.url(address) == url


def test_credentials_are_private_and_come_back(tmp_path: Path) -> None:
    """Mode 0600, whatever the umask; no temporary file stays."""
    made = Credentials(
        account_id="a", api_token="t", control_url="c", dispatch_url="d", namespace="n"
    )
    credentials.save(tmp_path, made)
    credentials.save(tmp_path, made)
    assert credentials.load(tmp_path) == made
    assert [path.name for path in tmp_path.iterdir()] == ["credentials.json"]
    assert stat.S_IMODE((tmp_path / "credentials.json").stat().st_mode) == 0o600
    assert credentials.load(tmp_path / "nowhere") is None


def test_a_project_is_every_module_beside_its_entry(tmp_path: Path) -> None:
    """Names are relative to the entry's directory; tests, caches and hidden files stay at home."""
    for name in (
        "src/entry.py",
        "src/pages/home.html",
        "src/lib/__init__.py",
        "src/__pycache__/entry.pyc",
        "src/.hidden.py",
        "src/tests/test_x.py",
        "other.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# text")
    (tmp_path / "wrangler.toml").write_text('name = "shop"\nmain = "src/entry.py"\n')
    found = project.read(tmp_path)
    assert (found.name, found.main) == ("shop", "entry.py")
    types = {module.name: module.content_type for module in found.modules}
    assert types == {
        "entry.py": "text/x-python",
        "lib/__init__.py": "text/x-python",
        "pages/home.html": "text/plain",
    }


def test_a_single_file_is_a_worker_named_after_it(tmp_path: Path) -> None:
    """But entry.py is named after its project."""
    (tmp_path / "My_Shop.py").write_text("")
    assert project.read(tmp_path / "My_Shop.py").name == "my-shop"
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "entry.py").write_text("")
    assert project.read(tmp_path / "shop" / "entry.py").name == "shop"


def test_jsonc_may_have_comments_and_trailing_commas(tmp_path: Path) -> None:
    """As wrangler's own files have; strings are left as they are."""
    (tmp_path / "entry.py").write_text("")
    (tmp_path / "wrangler.jsonc").write_text("""
    { // the name
      "name": "shop", /* and
      more */ "vars": {"URL": "https://x/*y*/,]", "LIST": [1, 2, /* last */ ],},
    }
    """)
    found = project.read(tmp_path)
    assert found.config["vars"] == {"URL": "https://x/*y*/,]", "LIST": [1, 2]}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name = ", "wrangler.toml"),
        ("routes = []", "not supported: routes"),
        ('main = "gone.py"', "gone.py does not exist"),
    ],
)
def test_a_wrong_configuration_is_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    """What we do not support is refused, not ignored."""
    (tmp_path / "entry.py").write_text("")
    (tmp_path / "wrangler.toml").write_text(text)
    with pytest.raises(project.ProjectInvalid, match=re.escape(complaint)):
        project.read(tmp_path)
