"""The command `cloister`: one file a command, loaded when it is called."""

import importlib
import sys
from http import HTTPStatus

import click

from cloister import __version__
from cloister.cli.exits import EXIT_FAILED, EXIT_NOT_FOUND
from cloister.cli.terminal import visible
from cloister.errors import CloisterError

COMMANDS = (
    "up",
    "init",
    "dev",
    "check",
    "deploy",
    "tail",
    "namespaces",
    "workers",
    "versions",
    "hostnames",
    "tokens",
    "doctor",
)


class Commands(click.Group):
    """Finds a command in the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import only what is called: `cloister --version` need not load an HTTP client."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"cloister.cli.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101 - type
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cloister")
def cli() -> None:
    """Run your customers' Python, isolated, behind one front door."""


def main() -> None:
    """Run a command; what we know to go wrong is one clear line and a non-zero exit."""
    try:
        cli.main(prog_name="cloister")
    except CloisterError as exc:
        click.echo(f"cloister: {visible(str(exc))}", err=True)
        gone = getattr(exc, "status", None) == HTTPStatus.NOT_FOUND
        sys.exit(EXIT_NOT_FOUND if gone else EXIT_FAILED)
