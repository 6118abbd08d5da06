"""`cloister up`."""

import click

from cloister import up
from cloister.settings import Settings


@click.command("up")
def command() -> None:
    """Run everything on this machine, in the foreground. Ctrl-C stops it."""
    up.run(Settings.from_env())
