"""The dispatcher's own pages under ``/.cloister/``: a Flask application."""

import ipaddress
from collections.abc import Callable

import redis
from flask import Flask, Response, abort, request

from cloister.broker import redis_client
from cloister.settings import Settings
from dispatcher.metrics import Metrics

PREFIX = b"/.cloister/"


def create_house(settings: Settings, metrics: Metrics, is_serving: Callable[[], bool]) -> Flask:
    """Health, readiness and metrics. ``is_serving`` is False before start-up and while draining."""
    app = Flask("dispatcher")
    broker = redis_client(settings)

    @app.get("/.cloister/healthz")
    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @app.get("/.cloister/readyz")
    def readyz() -> Response:
        if is_serving() and _answers(broker):
            return Response("ready\n", mimetype="text/plain")
        return Response("not ready\n", 503, mimetype="text/plain")

    @app.get("/.cloister/metrics")
    def prometheus() -> Response:
        if not _is_near():
            abort(404)
        return Response(metrics.text(), mimetype="text/plain; version=0.0.4; charset=utf-8")

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers["cache-control"] = "no-store"
        response.headers["x-content-type-options"] = "nosniff"
        return response

    return app


def _answers(broker: redis.Redis) -> bool:
    try:
        return bool(broker.ping())
    except redis.RedisError:
        return False


def _is_near() -> bool:
    """Whether the peer is on a private network and no proxy: metrics are not for visitors."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_private
    except ValueError:
        return False
