"""How commands show lists and single things: tables for people, JSON for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

as_json = click.option("--json", "machine", is_flag=True, help="Print JSON.")


def show(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, machine: bool) -> None:
    """Print rows: all of them as JSON, or these columns as a table."""
    if machine:
        click.echo(json.dumps(list(rows), indent=2))
        return
    # An id is what the next command takes: the other columns make room for it.
    heads = [Column(name, no_wrap=name == "id") for name in columns]
    table = Table(*heads, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    Console(highlight=False, soft_wrap=True).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
