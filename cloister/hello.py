"""The worker `hello`, which the first start deploys, so that there is something to call.

Run as ``python -m cloister.hello`` by the supervisor.
"""

import sys
from importlib.resources import files

import click

from cloister import credentials
from cloister.client import Client, Module
from cloister.errors import CloisterError, NotReady
from cloister.greeting import HELLO, hello_mark
from cloister.settings import Settings

COMPATIBILITY_DATE = "2026-01-01"


def deploy(settings: Settings) -> None:
    """Deploy it.

    Raises:
        NotReady: there are no credentials.
        ApiError: the control API refuses it.
    """
    who = credentials.load(settings.data_dir)
    if who is None:
        raise NotReady(f"There is no {credentials.FILE_NAME} in {settings.data_dir}.")
    source = files("cloister.templates").joinpath("entry.py.in").read_bytes()
    metadata = {
        "main_module": "entry.py",
        "compatibility_date": COMPATIBILITY_DATE,
        "compatibility_flags": ["python_workers"],
    }
    module = Module(name="entry.py", content_type="text/x-python", data=source)
    with Client(who.control_url, who.account_id, who.api_token) as client:
        client.deploy(who.namespace, HELLO, metadata, [module])
    hello_mark(settings).touch()


def main() -> int:
    """Exit code 1 and one line on a failure that has a known reason."""
    try:
        deploy(Settings.from_env())
    except CloisterError as exc:
        click.echo(f"cloister: {exc}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
