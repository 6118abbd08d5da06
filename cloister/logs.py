"""The platform's own log as JSON lines (``CLOISTER_LOG_JSON``): one object a line.

Each has ``time`` (UTC), ``level`` and ``message``; most have ``logger`` and ``process``, some
``exception``, and under `cloister up` all have ``service``.
"""

import logging
import logging.config
from datetime import UTC, datetime
from typing import Any

import msgspec


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """See :class:`logging.Formatter`."""
        fields: dict[str, Any] = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return _encode(fields)


def configuration() -> dict[str, Any]:
    """For :func:`logging.config.dictConfig`: everything goes to standard error as JSON.

    gunicorn puts this over its own configuration, by top-level key.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": f"{__name__}.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        # gunicorn has given it a handler of its own by then.
        "loggers": {"gunicorn.error": {"handlers": ["stderr"], "propagate": False}},
        "root": {"level": "INFO", "handlers": ["stderr"]},
    }


def configure() -> None:
    """Make it so in this process."""
    logging.config.dictConfig(configuration())


def line_of(service: str, text: str) -> str:
    """A line that a service printed, as JSON whatever it was, with the service's name."""
    try:
        fields = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        now = datetime.now(UTC).timestamp()
        fields = {"time": _time(now), "level": "info", "message": text}
    return _encode({"service": service or "cloister", **fields})


def _time(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds")


def _encode(fields: dict[str, Any]) -> str:
    return msgspec.json.encode(fields).decode()
