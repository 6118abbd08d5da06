"""The log as JSON lines."""

import json
import logging
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from cloister import logs


@pytest.mark.parametrize("logger", ["dispatcher.app", "gunicorn.error"])
def test_a_record_is_one_line(logger: str) -> None:
    """Level, logger, process, time and message; an exception with its trace, still on one line."""
    program = f"""
import logging
from cloister import logs
log = logging.getLogger({logger!r})
logging.getLogger("gunicorn.error").addHandler(logging.StreamHandler())
logs.configure()
log.debug("not this")
try:
    raise ValueError("wrong")
except ValueError:
    log.exception("request %s\\nfailed", 5)
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    (line,) = run.stderr.splitlines()
    record = json.loads(line)
    assert record["level"] == "error"
    assert record["logger"] == logger
    assert record["message"] == "request 5\nfailed"
    assert record["exception"].endswith("ValueError: wrong")
    assert datetime.fromisoformat(record["time"]).tzinfo is not None
    assert isinstance(record["process"], int)


def test_every_line_of_a_service_is_json() -> None:
    """What is an object gets the service's name, what is none becomes a message."""
    record = logging.makeLogRecord({"msg": "hello", "name": "a"})
    first = json.loads(logs.line_of("control", logs.JsonFormatter().format(record)))
    assert (first["service"], first["logger"], first["message"]) == ("control", "a", "hello")
    for text in ("plain", "[1]", '"text"', "{broken"):
        found = json.loads(logs.line_of("", text))
        assert (found["service"], found["level"], found["message"]) == ("cloister", "info", text)
