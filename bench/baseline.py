"""What Cloister is compared with: Flask alone, and Flask that asks an ordinary Celery worker.

Run as ``gunicorn baseline:flask_alone`` or one of the others, and
``celery -A baseline:celery worker``. ``BENCH_REDIS_URL`` is broker and result backend.
"""

import os

from celery import Celery
from flask import Flask

GREETING = "Hello World!"
REDIS_URL = os.environ["BENCH_REDIS_URL"]

celery = Celery(
    "baseline",
    broker=REDIS_URL.replace("unix://", "redis+socket://"),
    backend=REDIS_URL.replace("unix://", "redis+socket://"),
)


@celery.task
def hello() -> str:
    """The whole work."""
    return GREETING


flask_alone = Flask("flask_alone")
flask_celery = Flask("flask_celery")
flask_constant = Flask("flask_constant")
CONSTANT = os.urandom(int(os.environ.get("BENCH_BYTES", "0")))


@flask_alone.get("/")
def answer() -> str:
    """Answer by itself."""
    return GREETING


@flask_constant.get("/")
def constant() -> bytes:
    """Answer the same bytes, as many as ``BENCH_BYTES`` says."""
    return CONSTANT


@flask_celery.get("/")
def ask() -> str:
    """Answer with what a worker answers."""
    result: str = hello.delay().get(timeout=30)
    return result
