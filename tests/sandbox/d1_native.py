"""A database's process that runs what it is sent as Python, as if SQLite had been broken out of."""

import sys
from pathlib import Path
from typing import Any

from cloister.databases import Failed, FromProcess, Meta, Result, Results, Run, Statement
from executor.databases.frames import decode_answer
from executor.databases.process import Process

HERE = Path(__file__).parent

COMMAND = (
    sys.executable,
    "-I",
    "-c",
    f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
    "import ctypes, mmap, os, resource, signal, socket, d1_native\n"
    "from executor.databases.cell import main\n"
    "main.answer = d1_native.answer\n"
    "main.main()",
)

META = Meta(
    duration_ms=0, changes=0, last_row_id=0, changed_db=False, size_bytes=0, rows_read=0,
    rows_written=0,
)  # fmt: skip


def answer(database: object, ask: object, history: object) -> FromProcess:
    """Inside: run the code; ``result`` is the answer."""
    assert isinstance(ask, Run)
    import ctypes
    import os
    import socket

    space: dict[str, Any] = {"os": os, "socket": socket, "ctypes": ctypes, "database": database}
    try:
        exec(ask.statements[0].sql, space)
    except BaseException as exc:  # noqa: BLE001 - whatever it is, it is the answer
        return Failed(kind="sql", message=f"{type(exc).__name__}: {exc}")
    return Results([Result(columns=[], rows=[[space.get("result")]], meta=META)])


async def run(process: Process, code: str) -> Any:
    """Outside: what the code's ``result`` is, or the text of what it raised."""
    found = decode_answer(await process.ask(Run(statements=[Statement(code)]), 20))
    if isinstance(found, Failed):
        return found.message
    assert isinstance(found, Results)
    return found.results[0].rows[0][0]
