"""What is in deploy/ fits the processes that there are: units, manifests, image and script."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # for tests only, so that its stubs are not wanted

from cloister.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
LINES = (line.partition(": ") for line in (ROOT / "Procfile").read_text().splitlines())
PROCFILE = {name: command for name, _, command in LINES}


def documents(name: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all((DEPLOY / name).read_text()) if each]


@pytest.mark.parametrize("unit", sorted(path.name for path in DEPLOY.glob("systemd/*.service")))
def test_units(unit: str, tmp_path: Path) -> None:
    """systemd has nothing to say of them, but for the paths and the user of an installation."""
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("no systemd here")
    text = (DEPLOY / "systemd" / unit).read_text()
    started = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    program = started.removeprefix("ExecStart=").split()[0]
    relative = Path(program).relative_to("/opt/cloister")
    assert relative == Path(".venv/bin/cloister") or (ROOT / relative).is_file()
    copy = tmp_path / unit
    copy.write_text(text.replace(program, "/bin/true").replace("User=cloister", "User=root"))
    said = subprocess.run([verify, "verify", copy], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


def test_kubernetes() -> None:
    """A deployment for each line of the Procfile, which runs just that."""
    commands = {}
    for item in documents("kubernetes.yaml"):
        if item["kind"] == "Deployment":
            (container,) = item["spec"]["template"]["spec"]["containers"]
            commands[container["name"]] = container["command"]
            names = [each["name"] for each in container.get("env", [])]
            assert Settings.from_env(dict.fromkeys(names, "")) == Settings()
    assert commands == {name: shlex.split(command) for name, command in PROCFILE.items()}


def test_compose_and_image() -> None:
    """The settings that are named exist, the build finds its file, and the image has every package
    that a process is started from."""
    (compose,) = documents("compose.yaml")
    service = compose["services"]["cloister"]
    Settings.from_env(service["environment"])
    context = (DEPLOY / service["build"]["context"]).resolve()
    text = (context / service["build"]["dockerfile"]).read_text()
    copied = {line.split()[1] for line in text.splitlines() if line.startswith("COPY ")}
    wanted = {path.parent.name for path in ROOT.glob("*/py.typed")} | {"cloister", "control"}
    assert wanted <= copied
    assert all((context / name).exists() for name in copied)


@pytest.mark.parametrize("name", [*PROCFILE, "executor-2"])
def test_process(name: str, tmp_path: Path) -> None:
    """It becomes the line of the Procfile; executors get names of their own."""
    for path in ("Procfile", "deploy/process"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    command = PROCFILE[name.partition("-")[0]]
    stub = tmp_path / ".venv" / "bin" / command.split()[0]
    stub.parent.mkdir(parents=True)
    stub.write_text('#!/bin/sh\necho "$(basename "$0") $*"\n')
    stub.chmod(0o755)
    ran = subprocess.run(
        [tmp_path / "deploy" / "process", name], capture_output=True, text=True, check=True
    )
    own = f" -n {name}@%h" if name.startswith("executor") else ""
    assert ran.stdout.strip() == " ".join(shlex.split(command)) + own


def test_no_such_process() -> None:
    """It says so and ends."""
    ran = subprocess.run(
        [DEPLOY / "process", "nothing"], capture_output=True, text=True, env=os.environ, check=False
    )
    assert (ran.returncode, "no nothing" in ran.stderr) == (2, True)
