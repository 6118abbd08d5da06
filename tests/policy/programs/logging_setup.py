import io
import logging
import logging.config
import sys

stream = io.StringIO()
logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"short": {"format": "%(levelname)s %(name)s %(message)s"}},
    "filters": {"app": {"name": "app"}},
    "handlers": {
        "memory": {"class": "logging.StreamHandler", "formatter": "short", "stream": stream, "level": "INFO", "filters": ["app"]},
        "none": {"class": "logging.NullHandler"},
    },
    "loggers": {"app": {"level": "DEBUG", "handlers": ["memory"], "propagate": False}},
    "root": {"level": "WARNING", "handlers": ["none"]},
})
log = logging.getLogger("app.db")
log.debug("hidden")
log.info("connected to %s", "db")
log.warning("slow: %(ms)d ms", {"ms": 12})
try:
    {}["x"]
except KeyError:
    log.exception("failed")
print([line for line in stream.getvalue().splitlines() if line.startswith(("INFO", "WARN", "ERR", "Key"))])
print(log.getEffectiveLevel() == logging.DEBUG, log.isEnabledFor(logging.INFO), logging.getLevelName(30))


class ListHandler(logging.Handler):
    def __init__(self):
        super().__init__(level=logging.INFO)
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


class Context(logging.LoggerAdapter):
    def process(self, msg, kwargs):
        return f"[{self.extra['id']}] {msg}", kwargs


handler = ListHandler()
handler.setFormatter(logging.Formatter("{levelname:<8}{message}", style="{"))
other = logging.getLogger("other")
other.addHandler(handler)
other.propagate = False
other.setLevel("INFO")
Context(other, {"id": 7}).info("hello")
other.log(logging.ERROR, "bad", extra={"user": "u"})
print(handler.lines, logging.getLogger("other") is other, other.hasHandlers())
