"""The dispatcher's own pages under ``/.cloister/``: a Flask application."""

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

import redis
from flask import Flask, Response, abort, request

from cloister.broker import redis_client
from cloister.settings import Settings
from dispatcher.metrics import Metrics

OWN = b".cloister"

_ODD = re.compile(rb"^[^/]|/[/.]|[%\\]")
"""In every target that could mean our pages: no path, an empty or dotted segment, an escape."""


def own_path(target: bytes) -> str | None:
    """The path under ``/.cloister`` that a request's target means, however it is spelled; None for
    tenants' paths.

    Whoever asks for our pages, a browser or a proxy that normalizes or one that does not, must
    never get a tenant's answer instead.
    """
    if not _ODD.search(target):
        return None
    if not target.startswith(b"/"):
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    segments: list[bytes] = []
    for segment in unquote_to_bytes(target).replace(b"\\", b"/").split(b"/"):
        if segment == b"..":
            segments = segments[:-1]
        elif segment not in (b"", b"."):
            segments.append(segment)
    if not segments or segments[0].lower() != OWN:
        return None
    return "/" + b"/".join([OWN, *segments[1:]]).decode("latin-1")


def create_house(
    settings: Settings,
    metrics: Metrics,
    is_serving: Callable[[], bool],
    token_of: Callable[[str], str | None],
) -> Flask:
    """Health, readiness, metrics, and tokens of hostnames. ``is_serving`` is False before start-up
    and while draining; ``token_of`` an active hostname's token, by its id."""
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

    @app.get("/.cloister/hostnames/<hostname_id>")
    def hostname(hostname_id: str) -> Response:
        """That an active hostname leads to this platform: whoever checks it asks for this."""
        token = token_of(hostname_id)
        if token is None:
            abort(404)
        return Response(token, mimetype="text/plain")

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
