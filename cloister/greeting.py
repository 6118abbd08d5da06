"""The last step of a start: wait until both addresses answer, deploy `hello` once, say what to try.

Run as ``python -m cloister.greeting`` by the supervisor.
"""

import shlex
import sys
import time
from importlib.resources import files
from pathlib import Path

import click
import httpx

from cloister import credentials
from cloister.client import Client, Module, script_path
from cloister.errors import CloisterError, NotReady
from cloister.settings import Settings

READY_S = 60.0
HELLO = "hello"
DEPLOYED_MARK = "hello-deployed"
COMPATIBILITY_DATE = "2026-01-01"


def greet(settings: Settings) -> None:
    """Print the lines to paste, once everything answers.

    Raises:
        NotReady: it does not within :data:`READY_S`.
        ApiError: the control API refuses the first worker.
    """
    deadline = time.monotonic() + READY_S
    who = credentials.load(settings.data_dir)
    if who is None:
        raise NotReady(f"There is no {credentials.FILE_NAME} in {settings.data_dir}.")
    _wait_for(f"{who.control_url}/client/v4/user/tokens/verify", deadline, who.api_token)
    _wait_for(f"{who.dispatch_url}/.cloister/healthz", deadline)
    _deploy_hello(settings, who)
    click.echo(_message(settings, who))


def _wait_for(url: str, deadline: float, api_token: str = "") -> None:
    headers = {"Authorization": f"Bearer {api_token}"} if api_token else {}
    while True:
        try:
            answer = httpx.get(url, headers=headers, timeout=1, trust_env=False)
            if answer.is_success:
                return
            problem = f"status {answer.status_code}"
        except httpx.HTTPError as exc:
            problem = str(exc)
        if time.monotonic() >= deadline:
            raise NotReady(f"{url} does not answer: {problem}.")
        time.sleep(0.05)


def _deploy_hello(settings: Settings, who: credentials.Credentials) -> None:
    """Deploy it on the first start only: whoever deletes it does not want it back."""
    mark = settings.data_dir / DEPLOYED_MARK
    if mark.exists():
        return
    source = files("cloister.templates").joinpath("entry.py.in").read_bytes()
    metadata = {
        "main_module": "entry.py",
        "compatibility_date": COMPATIBILITY_DATE,
        "compatibility_flags": ["python_workers"],
    }
    with Client(who.control_url, who.account_id, who.api_token) as client:
        client.deploy(
            who.namespace,
            HELLO,
            metadata,
            [Module(name="entry.py", content_type="text/x-python", data=source)],
        )
        client.call("GET", script_path(who.namespace, HELLO))
    mark.touch()


def _message(settings: Settings, who: credentials.Credentials) -> str:
    program = shlex.quote(_program())
    where = f"CLOISTER_DATA={shlex.quote(str(settings.data_dir))} " if settings.data != DATA else ""
    return f"""
Cloister is ready. Three things to try:

  curl {who.dispatch_url}/{who.namespace}/{HELLO}/
  {where}{program} init my-worker && {where}{program} deploy my-worker
  open {who.control_url}/

Account and API token: {settings.data_dir / credentials.FILE_NAME}. Ctrl-C stops everything.
"""


def _program() -> str:
    """How to call the CLI from here: by name if a shell finds it, else by its path."""
    program = Path(sys.executable).parent / "cloister"
    try:
        return str(program.relative_to(Path.cwd()))
    except ValueError:
        return str(program)


DATA = Settings().data


def main() -> int:
    """Exit code 1 and one line on a failure that has a known reason."""
    try:
        greet(Settings.from_env())
    except CloisterError as exc:
        click.echo(f"cloister: {exc}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
