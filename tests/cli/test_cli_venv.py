"""Which Python `make` takes: `scripts/venv` in the company of Pythons that only look so."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "venv"

SUITABLE = "#!/bin/sh\nexit 0\n"
TOO_OLD = '#!/bin/sh\n[ "$1" != -V ] || echo Python 3.10.13\nexit 1\n'
WITHOUT_VENV = "#!/bin/sh\ncase $2 in *venv*) exit 1 ;; esac\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A directory for Pythons by name, which are all that there are."""
    (tmp_path / "bin").mkdir()
    return tmp_path


def put(machine: Path, path: str, python: str) -> str:
    """Install one; its path."""
    place = machine / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(python)
    place.chmod(0o755)
    return str(place)


def which(machine: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """What the script says it would take."""
    there = ["/bin/sh", "/usr/bin/dirname"]
    for tool in there:
        link = machine / "tools" / Path(tool).name
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(tool)
    kept = {name: value for name, value in os.environ.items() if "PY" not in name}
    found = f"{machine / 'bin'}:{machine / 'tools'}"
    where = {**kept, "PATH": found, "HOME": str(machine), **environment}
    return subprocess.run(
        ["/bin/sh", SCRIPT, "python"], env=where, capture_output=True, text=True, check=False
    )


def test_the_newest_tested_one_is_taken(machine: Path) -> None:
    """3.13 before 3.12, and both before whatever python3 is."""
    for name in ("python3", "python3.12", "python3.14"):
        put(machine, f"bin/{name}", SUITABLE)
    assert which(machine).stdout == "python3.12\n"


def test_one_of_pyenv_is_found(machine: Path) -> None:
    """Also where the directory's name has a space, and its version is not the chosen one."""
    put(machine, "bin/python3", SUITABLE)
    there = put(machine, "my pyenv/versions/3.13.7/bin/python", SUITABLE)
    assert which(machine, PYENV_ROOT=str(machine / "my pyenv")).stdout == f"{there}\n"


def test_one_without_its_venv_module_is_passed_by(machine: Path) -> None:
    """Debian has it in a package of its own."""
    put(machine, "bin/python3.13", WITHOUT_VENV)
    put(machine, "bin/python3", SUITABLE)
    assert which(machine).stdout == "python3\n"


def test_where_none_will_do_it_says_so(machine: Path) -> None:
    """And what there is."""
    put(machine, "bin/python3", TOO_OLD)
    answer = which(machine)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert "python3 is Python 3.10.13" in answer.stderr


@pytest.mark.parametrize(
    ("python", "said"),
    [(TOO_OLD, "is Python 3.10.13."), (WITHOUT_VENV, "has no venv module.")],
    ids=["too old", "without venv"],
)
def test_the_one_that_is_asked_for_counts(machine: Path, python: str, said: str) -> None:
    """PYTHON is never overridden, but refused if it will not do."""
    put(machine, "bin/python3.13", SUITABLE)
    answer = which(machine, PYTHON=put(machine, "own/python", python))
    assert answer.returncode == 1
    assert said in answer.stderr
    good = put(machine, "own/good", SUITABLE)
    assert which(machine, PYTHON=good).stdout == f"{good}\n"
