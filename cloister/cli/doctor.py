"""`cloister doctor`."""

import subprocess
import sys

import click

from cloister.cli.exits import EXIT_UNHEALTHY


@click.command("doctor")
def command() -> None:
    """Say which protections this machine's kernel offers, and which are missing.

    And whether a scheduler is at work.
    """
    # A process of its own: probing a sandbox changes the process that does it. -I: what lies in
    # this directory is not imported.
    report = subprocess.run([sys.executable, "-I", "-m", "executor.doctor"], check=False)
    subprocess.run([sys.executable, "-I", "-m", "scheduler.doctor"], check=False)
    if report.returncode:
        sys.exit(EXIT_UNHEALTHY)
