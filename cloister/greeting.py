"""What a start says when everything answers: three lines to paste."""

import shlex
import sys
from pathlib import Path

from cloister.credentials import FILE_NAME, Credentials
from cloister.settings import Settings

HELLO = "hello"
"""The worker that the first start deploys."""

DATA = Settings().data


def hello_mark(settings: Settings) -> Path:
    """Says that `hello` was deployed once: whoever deletes it does not want it back."""
    return settings.data_dir / "hello-deployed"


def message(settings: Settings, who: Credentials) -> str:
    """The lines, and where the credentials are."""
    program = shlex.quote(_program())
    where = f"CLOISTER_DATA={shlex.quote(str(settings.data_dir))} " if settings.data != DATA else ""
    return f"""
Cloister is ready. Three things to try:

  curl {who.dispatch_url}/{who.namespace}/{HELLO}/
  {where}{program} init my-worker && {where}{program} deploy my-worker
  open {who.control_url}/

Account and API token: {settings.data_dir / FILE_NAME}. Ctrl-C stops everything.
"""


def _program() -> str:
    """How to call the CLI from here: by name if a shell finds it, else by its path."""
    program = Path(sys.executable).parent / "cloister"
    try:
        return str(program.relative_to(Path.cwd()))
    except ValueError:
        return str(program)
