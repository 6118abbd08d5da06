"""How gunicorn serves the control plane: ``gunicorn -c python:control.server control.server:app``.

One process with threads: the API waits on the database and the compiler, and few call it.
"""

import atexit
import gc
from typing import Any

from cloister.logs import configuration
from cloister.settings import Settings
from control.app import create_app
from control.house import house

_settings = Settings.from_env()

bind = _settings.control_bind
worker_class = "control.worker.Worker"
workers = 1
threads = 16
keepalive = 30
timeout = 60
graceful_timeout = 20
# Neither is used here; both would be one more way in.
forwarded_allow_ips: str = ""
control_socket_disable = True
accesslog = None
logconfig_dict = configuration() if _settings.log_json else {}
proc_name = "cloister-control"

atexit.register(gc.freeze)  # else the collector looks through everything once more, at the end

_worker: Any = None


def post_fork(_server: Any, worker: Any) -> None:
    """Remember the worker: its ``alive`` says when open streams have to end."""
    global _worker
    _worker = worker


def __getattr__(name: str) -> Any:
    """Make ``app`` when gunicorn asks for it: after the fork."""
    if name == "app":
        made = create_app(_settings, stopping=_stopping)
        with made.app_context():
            house().checker.start()
        return made
    raise AttributeError(name)


def _stopping() -> bool:
    return _worker is not None and not _worker.alive
