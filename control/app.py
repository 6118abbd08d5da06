"""The management API and dashboard as one Flask application."""

from collections.abc import Callable

import redis
from flask import Blueprint, Flask, Response, request

from cloister.blobs import Blobs
from cloister.broker import redis_client
from cloister.registry import Registry, change_publisher, open_registry
from cloister.secrets import open_cipher
from cloister.settings import Settings
from control import (
    accounts,
    ask,
    assets,
    auth,
    bodies,
    content,
    custom_hostnames,
    d1,
    d1_time_travel,
    d1_transfer,
    datasets,
    deployments,
    envelope,
    errors,
    fallback_origin,
    graphql,
    hostnames,
    kv,
    kv_bulk,
    logs,
    namespaces,
    objects,
    openapi,
    plain,
    previews,
    queue_messages,
    queues,
    r2,
    r2_notifications,
    r2_rules,
    request_id,
    schedules,
    scripts,
    search,
    secret_stores,
    secrets,
    security_headers,
    services,
    tags,
    tails,
    tokens,
    versions,
    zones,
)
from control import settings as script_settings
from control.budget import ANSWER_S, Budget
from control.checker import Checker
from control.compiler import Compiles, QueueCompiler
from control.converters import Everything, Id
from control.dashboard import views as dashboard
from control.house import House
from control.names import open_names
from control.paths import API
from control.proofs import Prover

NOUNS = (
    accounts,
    tokens,
    namespaces,
    scripts,
    assets,
    content,
    script_settings,
    secrets,
    tags,
    versions,
    deployments,
    previews,
    hostnames,
    zones,
    custom_hostnames,
    fallback_origin,
    logs,
    kv,
    kv_bulk,
    secret_stores,
    datasets,
    d1,
    d1_time_travel,
    d1_transfer,
    graphql,
    plain,
    services,
    tails,
    r2,
    objects,
    queues,
    queue_messages,
    search,
    schedules,
    r2_rules,
    r2_notifications,
)


def create_app(
    settings: Settings,
    *,
    registry: Registry | None = None,
    compiler: Compiles | None = None,
    client: redis.Redis | None = None,
    prover: Prover | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Flask:
    """Build the application. Opens what it is not given; call it after a fork, not before.

    Claims on hostnames are checked once ``house().checker`` is started. ``stopping`` says that this
    process is about to end, so that open streams end too.
    """
    client = client or redis_client(settings)
    cipher = open_cipher(settings)
    registry = registry or open_registry(settings, on_change=change_publisher(settings))
    blobs = Blobs.open(settings)
    prover = prover or Prover(open_names(settings), settings.egress_private)
    app = Flask(__name__, static_folder=None)
    app.url_map.converters["everything"] = Everything
    app.url_map.converters["id"] = Id
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    House(
        settings=settings,
        registry=registry,
        blobs=blobs,
        compiler=compiler or QueueCompiler(client, cipher),
        redis=client,
        budget=Budget(redis_client(settings, timeout_s=ANSWER_S), settings.api_requests),
        checker=Checker(registry.hostnames.claims, prover),
        cipher=cipher,
        stopping=stopping,
    ).install(app)
    request_id.install(app)
    errors.install(app)
    bodies.install(app)
    security_headers.install(app, dashboard.blueprint.name)
    app.before_request(_refuse_undecodable_paths)
    app.register_blueprint(_api())
    app.register_blueprint(assets.uploads, url_prefix=API)
    app.register_blueprint(tails.connections, url_prefix=API)
    app.register_blueprint(d1_transfer.files, url_prefix=API)
    app.register_blueprint(openapi.blueprint, url_prefix=API)
    openapi.install(app)
    app.register_blueprint(dashboard.blueprint)
    app.register_blueprint(ask.blueprint)
    app.add_url_rule("/healthz", view_func=healthz)
    return app


def healthz() -> Response:
    """This process serves. Says nothing of what stands behind it."""
    return envelope.success({"status": "ok"})


def _api() -> Blueprint:
    api = Blueprint("api", __name__, url_prefix=API)
    auth.install(api)
    for noun in NOUNS:
        api.register_blueprint(noun.blueprint)
    return api


def _refuse_undecodable_paths() -> None:
    """Werkzeug would put U+FFFD for bytes that are not UTF-8: two keys would become one."""
    try:
        request.environ.get("PATH_INFO", "").encode("latin-1").decode()
    except UnicodeError as exc:
        raise errors.Refused(
            errors.MALFORMED_PARAMETER, "The path must be percent-encoded UTF-8."
        ) from exc
