"""The dispatcher under gunicorn: ``gunicorn -c python:dispatcher.server dispatcher.server:app``.

gunicorn's lower-case settings are below; ``app`` is what it serves.
"""

import atexit
import gc
import os
import shutil
import tempfile
from typing import Any

from cloister.allocator import keep_freed_memory
from cloister.logs import configuration
from cloister.settings import Settings

keep_freed_memory()

_settings = Settings.from_env()

bind = _settings.dispatch_bind
workers = _settings.dispatcher_processes

if workers > 1:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="cloister-metrics-")

from dispatcher.app import create_app  # noqa: E402 - prometheus_client reads the variable once
from dispatcher.metrics import forget_process  # noqa: E402 - as above

app = create_app(_settings)

atexit.register(gc.freeze)  # else the collector looks through everything once more, at the end

worker_class = "dispatcher.connections.Worker"
asgi_lifespan = "on"

keepalive = 75
timeout = 60
graceful_timeout = 30

# 16 KiB of URL and 128 KiB of headers; what is over is refused with a page in dispatcher.intake.
limit_request_line = 16 * 1024 + 128
limit_request_field_size = 128 * 1024
limit_request_fields = 512

control_socket_disable = True
accesslog = None
logconfig_dict = configuration() if _settings.log_json else {}
proc_name = "cloister-dispatcher"


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """A dispatcher process has ended, well or not."""
    if workers > 1:
        forget_process(worker.pid)


def on_exit(server: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """All of them have."""
    if workers > 1:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
