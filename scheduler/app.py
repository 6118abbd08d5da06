"""The Celery app of a scheduler.

Run with ``celery -q -A scheduler.app beat -S scheduler.beat:Beat``.
"""

from typing import Any

from celery.signals import setup_logging

from cloister import logs
from cloister.broker import celery_app
from cloister.settings import Settings

_settings = Settings.from_env()

app = celery_app(_settings)
app.cloister_settings = _settings

if _settings.log_json:

    @setup_logging.connect  # type: ignore[untyped-decorator]  # celery has no types
    def _log_json(**_: Any) -> None:
        """Instead of what Celery sets up."""
        logs.configure()
