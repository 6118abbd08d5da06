"""schemathesis sends the API what its document allows, and what it does not, to every operation.

What answers is the real application: registry, blobs and Valkey; only the compiler is a fake.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cloister.registry import NewVersion, Registry
from cloister.registry.hostname_filter import HostnameFilter
from cloister.registry.queue_views import ConsumerSettings, NewConsumer, QueueSettings
from cloister.registry.secret_stores import NewSecret
from cloister.settings import Settings

ACCOUNT = "a" * 32
TOKEN = "test-token-0123456789abcdef"
NAMESPACE = "production"
SCRIPT = "hello"
HOSTNAME = "shop.example.org"
CUSTOM_HOSTNAME = "custom.example.org"
BUCKET = "files"

SEED = 1
CASES = 6
"""For each operation and mode."""

N = "/accounts/{account_id}/workers/dispatch/namespaces"
S = f"{N}/{{namespace}}/scripts/{{script}}"
P = "/accounts/{account_id}/workers/scripts/{script}"
H = "/accounts/{account_id}/workers/dispatch/hostnames/{hostname}"
Z = "/zones/{zone_id}/custom_hostnames"
OBJECT = "/accounts/{account_id}/r2/buckets/{bucket}/objects/{key}"
NOTIFIED = "/accounts/{account_id}/event_notifications/r2/{bucket}/configuration/queues/{queue_id}"
T = "/accounts/{account_id}/tokens"
K = "/accounts/{account_id}/storage/kv/namespaces/{kv_id}"
UPLOAD = "/accounts/{account_id}/workers/assets/upload"
"""Takes a token of its own."""
DEPLOYMENTS = (f"{S}/deployments", f"{P}/deployments")
"""Take versions of the very script."""
D = "/accounts/{account_id}/d1/database/{database_id}"
Q = "/accounts/{account_id}/queues/{queue_id}"
CONSUMER = {"type": "worker", "script_name": SCRIPT, "namespace": NAMESPACE}
CODE = {
    "files": {
        "metadata": (None, b'{"main_module": "worker.py", "tags": ["x"]}', "application/json"),
        "worker.py": ("worker.py", b"x = 1", "text/x-python"),
    }
}
FALLBACK = f"{Z}/fallback_origin"
STORES = "/accounts/{account_id}/secrets_store/stores"
STORED = f"{STORES}/{{store_id}}/secrets"
CORS = "/accounts/{account_id}/r2/buckets/{bucket}/cors"
OBJECTS = "/accounts/{account_id}/workers/durable_objects/namespaces/{object_namespace_id}/objects"
QUESTION = {
    "query": "query",
    "operationName": "getD1MetricsOverviewQuery",
    "variables": {"accountTag": ACCOUNT},
}
FORCED = {"json": {}, "params": {"force": "true"}}
SECRET = {"type": "secret_text", "name": "KEY", "text": "hush"}
BY_HAND: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", T, {"json": {"name": "ci"}}),
    ("GET", f"{T}/{{token_id}}", {}),
    ("PUT", f"{T}/{{token_id}}/value", {}),
    ("DELETE", f"{T}/{{token_id}}", {}),
    ("POST", N, {"json": {"name": "staging", "outbound": {"service": "out"}}}),
    ("PUT", S, CODE),
    ("PUT", f"{S}/content", CODE),
    ("PUT", f"{S}/secrets", {"json": SECRET}),
    ("GET", f"{S}/secrets/{{name}}", {}),
    ("DELETE", f"{S}/secrets/{{name}}", {}),
    ("PUT", P, CODE),
    ("PUT", f"{P}/content", CODE),
    ("PUT", f"{P}/secrets", {"json": SECRET}),
    ("GET", f"{P}/secrets/{{name}}", {}),
    ("DELETE", f"{P}/secrets/{{name}}", {}),
    *(("GET", path, {}) for path in (f"{S}/content", P, f"{P}/content/v2")),
    *(("POST", f"{place}/versions", CODE) for place in (S, P)),
    ("POST", f"{S}/versions/{{version_id}}/preview", {"json": {}}),
    *(("POST", f"{place}/deployments/rollback", FORCED) for place in (S, P)),
    *(("DELETE", f"{place}/deployments/{{deployment_id}}", {}) for place in (S, P)),
    ("GET", f"{P}/tails/{{tail_id}}/connection", {"refused": 400}),
    ("GET", "/accounts/{account_id}/workers/subdomain", {"refused": 403}),
    ("POST", "/accounts/{account_id}/workers/assets/upload", {"refused": 401}),
    ("PUT", f"{S}/tags", {"json": ["a", "b"]}),
    ("PUT", f"{S}/tags/{{tag}}", {}),
    ("PUT", H, {"json": {"namespace": NAMESPACE, "script": SCRIPT}}),
    ("POST", Z, {"json": {"hostname": "new.example.org", "custom_metadata": {"a": "b"}}}),
    ("PUT", FALLBACK, {"json": {"origin": f"{SCRIPT}.{NAMESPACE}.localhost"}}),
    ("GET", FALLBACK, {}),
    ("DELETE", FALLBACK, {}),
    ("PUT", OBJECT, {"data": b"x"}),
    ("GET", OBJECT, {}),
    ("PUT", NOTIFIED, {"json": {"rules": [{"actions": ["PutObject"], "prefix": "a"}]}}),
    ("GET", NOTIFIED, {}),
    ("DELETE", NOTIFIED, {"json": {"ruleIds": ["x"]}}),
    ("DELETE", NOTIFIED, {}),
    ("PATCH", f"{Z}/{{custom_hostname_id}}", {"json": {"ssl": {"method": "txt"}}}),
    ("DELETE", f"{N}/{{namespace}}/scripts", {"params": {"tags": "x:yes"}}),
    ("PUT", K, {"json": {"title": "renamed"}}),
    ("PUT", D, {"json": {"read_replication": {"mode": "disabled"}}}),
    ("PATCH", D, {"json": {"read_replication": {"mode": "disabled"}}}),
    ("POST", f"{D}/query", {"json": {"sql": "SELECT 1"}}),
    ("POST", f"{D}/raw", {"json": {"batch": [{"sql": "SELECT ?", "params": [1]}]}}),
    ("DELETE", D, {}),
    ("POST", "/accounts/{account_id}/queues", {"json": {"queue_name": "new"}}),
    ("PUT", Q, {"json": {"queue_name": "queue"}}),
    ("PATCH", Q, {"json": {"settings": {"delivery_paused": True}}}),
    ("POST", f"{Q}/messages", {"json": {"body": "x", "content_type": "text"}}),
    ("POST", f"{Q}/messages/batch", {"json": {"messages": [{"body": [1]}]}}),
    ("POST", f"{Q}/messages/pull", {"json": {}}),
    ("POST", f"{Q}/messages/peek", {"json": {}}),
    ("PUT", f"{Q}/consumers/{{consumer_id}}", {"json": CONSUMER, "refused": 400}),
    ("PUT", f"{Q}/consumers/{{consumer_id}}", {"json": {"type": "http_pull"}}),
    ("DELETE", f"{Q}/consumers/{{consumer_id}}", {}),
    ("POST", f"{Q}/consumers", {"json": {"type": "http_pull"}}),
    ("POST", f"{Q}/purge", {"json": {"delete_messages_permanently": True}}),
    ("DELETE", Q, {}),
    ("GET", f"{STORES}/{{store_id}}", {}),
    ("GET", STORED, {}),
    ("POST", STORED, {"json": [{"name": "NEW", "value": "x", "scopes": ["workers"]}]}),
    ("GET", f"{STORED}/{{secret_id}}", {}),
    ("PATCH", f"{STORED}/{{secret_id}}", {"json": {"comment": "x"}}),
    ("POST", f"{STORED}/{{secret_id}}/duplicate", {"json": {"name": "B", "scopes": ["workers"]}}),
    ("DELETE", f"{STORED}/{{secret_id}}", {}),
    ("DELETE", f"{STORES}/{{store_id}}", {}),
    ("POST", STORES, {"json": {"name": "store"}}),
    ("PUT", CORS, {"json": {"rules": [{"allowed": {"methods": ["GET"], "origins": ["*"]}}]}}),
    ("GET", CORS, {}),
    ("GET", OBJECTS, {"refused": 404}),
    ("POST", "/graphql", {"json": QUESTION}),
    ("POST", f"{D}/import", {"json": {"action": "init", "etag": "0" * 32}}),
    ("PUT", f"{D}/import/{{token}}", {"refused": 404}),
    ("GET", f"{D}/export/{{token}}", {"refused": 404}),
    ("GET", f"{K}/values/{{key}}", {}),
    ("GET", f"{K}/metadata/{{key}}", {}),
]
"""Operations for which generated names or bodies seldom make sense, and requests that do."""

SHARES = 6

CONFIG = schemathesis.Config.from_dict(
    {
        "generation": {
            "allow-extra-parameters": False,  # they are ignored, as the product ignores them
            "with-security-parameters": False,  # every case has a good token
            "codec": "utf-8",
        },
        "checks": {"negative_data_rejection": {"expected-statuses": ["4xx"]}},
    }
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, api_requests=0)


@pytest.fixture
def stopping() -> threading.Event:
    """Set: a tail ends as soon as it has begun."""
    event = threading.Event()
    event.set()
    return event


@dataclass(frozen=True, kw_only=True)
class World:
    """What the operations are about, put back before each case as cases delete it."""

    registry: Registry
    version: NewVersion

    def restore(self, path: str = S) -> dict[str, str]:
        """The parameters of a path that name what there is."""
        names = [found.name for found in self.registry.namespaces.list(ACCOUNT)]
        if NAMESPACE not in names:
            self.registry.namespaces.create(ACCOUNT, NAMESPACE)
        namespace = self.registry.namespaces.get(ACCOUNT, NAMESPACE)
        plain = self.registry.namespaces.plain(ACCOUNT)
        for place in (namespace, plain):
            if self.registry.resolve(place.name, SCRIPT) is None:
                self.registry.scripts.put_version(place.id, SCRIPT, self.version)
        place_id = plain.id if path.startswith(P) else namespace.id
        script = self.registry.scripts.get(place_id, SCRIPT)
        if len(self.registry.deployments.list(place_id, SCRIPT)) < 2:
            self.registry.scripts.put_version(place_id, SCRIPT, self.version)
        self.registry.hostnames.put(ACCOUNT, HOSTNAME, namespace=NAMESPACE, script=SCRIPT)
        if not self.registry.r2.list(ACCOUNT, contains=BUCKET).items:
            self.registry.r2.create(ACCOUNT, BUCKET, location="weur", storage_class="Standard")
        held = self.registry.hostnames.page(ACCOUNT, HostnameFilter(exact=CUSTOM_HOSTNAME)).items
        custom = held[0] if held else self.registry.hostnames.create(ACCOUNT, CUSTOM_HOSTNAME)
        stores = self.registry.kv.namespaces.list(ACCOUNT).items
        store = stores[0] if stores else self.registry.kv.namespaces.create(ACCOUNT, "store")
        self.registry.kv.put(store.id, "key", b"1")
        databases = self.registry.databases.list(ACCOUNT).items
        database = databases[0] if databases else self.registry.databases.create(ACCOUNT, "db")
        store_id, secret_id = self._store() if "{store_id}" in path else ("", "")
        queue_id, consumer_id = self._queue("{consumer_id}" in path or path.endswith("/pull"))
        return {
            "account_id": ACCOUNT,
            "store_id": store_id,
            "secret_id": secret_id,
            "queue_id": queue_id,
            "consumer_id": consumer_id,
            "namespace": namespace.name,
            "script": SCRIPT,
            "version_id": self.registry.versions.list(script.id)[-1].id,
            "deployment_id": self.registry.deployments.list(place_id, SCRIPT)[-1].id,
            "hostname": HOSTNAME,
            "zone_id": ACCOUNT,
            "bucket": BUCKET,
            "custom_hostname_id": custom.id,
            "kv_id": store.id,
            "database_id": database.id,
        }

    def _store(self) -> tuple[str, str]:
        stores = self.registry.secret_stores
        found = stores.list(ACCOUNT).items
        store = found[0] if found else stores.create(ACCOUNT, "store")
        secrets = stores.secrets(ACCOUNT, store.id).items
        if not secrets:
            secret = NewSecret(name="KEY", value="hush", scopes=["workers"], comment="")
            secrets = stores.add(ACCOUNT, store.id, [secret])
        return store.id, secrets[0].id

    def _queue(self, consumed: bool) -> tuple[str, str]:
        queues = self.registry.queues
        queue = queues.find(ACCOUNT, "queue")
        queue = queue or queues.create(ACCOUNT, "queue", QueueSettings())
        taking = [each.id for each in queues.consumers([queue.id])]
        if consumed and not taking:
            new = NewConsumer(script_id=None, dead_letter_queue=None, settings=ConsumerSettings())
            taking = [queues.add_consumer(queue, new).id]
        if taking and not consumed:
            queues.remove_consumer(queue, taking[0])
        return queue.id, (taking or [""])[0]


@pytest.fixture
def world(registry: Registry, upload: Callable[..., httpx.Response]) -> World:
    assert upload(SCRIPT, bindings=[SECRET]).is_success
    namespace = registry.namespaces.get(ACCOUNT, NAMESPACE)
    version = registry.scripts.uploaded(namespace.id, SCRIPT)
    assert version is not None
    return World(registry=registry, version=version)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False
        opened.headers["Authorization"] = f"Bearer {TOKEN}"
        yield opened


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("share", range(SHARES))
def test_every_operation(
    url: str, world: World, session: requests.Session, mode: GenerationMode, share: int
) -> None:
    """No answer is a 5xx; each is as the document says; what the document rules out is a 4xx. Of
    all operations each test has its share, so that none takes too long."""
    base = f"{url}/client/v4"
    document = session.get(f"{base}/openapi.json").json()
    answered: dict[str, set[int]] = {}
    faults: list[BaseExceptionGroup[Any]] = []
    everything = list(schemathesis.openapi.from_dict(document, config=CONFIG).get_all_operations())
    assert len(everything) == sum(len(methods) for methods in document["paths"].values())
    for result in everything[share::SHARES]:
        operation = result.ok()
        if mode is GenerationMode.NEGATIVE and not can_be_wrong(document, operation):
            continue
        statuses = answered[operation.label] = set()
        try:
            statuses.update(drive(operation, mode, world, base_url=base, session=session))
        except BaseExceptionGroup as exc:
            faults.append(exc)
    if faults:
        raise BaseExceptionGroup("these operations do not hold", faults)
    if mode is GenerationMode.POSITIVE:
        assert len(answered) == len(everything[share::SHARES])
        unserved = {label for label, statuses in answered.items() if 200 not in statuses}
        by_hand = {f"{method} {path}" for method, path, _ in BY_HAND}
        assert unserved <= by_hand | {f"POST {path}" for path in (UPLOAD, *DEPLOYMENTS)}


def can_be_wrong(document: dict[str, Any], operation: Any) -> bool:
    """Whether the document rules anything out: any text does as a name or a filter."""
    said = document["paths"][operation.path][operation.method]
    free = all(parameter["schema"].get("type") == "string" for parameter in said["parameters"])
    bodies = said.get("requestBody", {"content": {}})["content"].values()
    return any(body["schema"] for body in bodies) or not free  # any bytes do as an object


def drive(operation: Any, mode: GenerationMode, world: World, **call: Any) -> list[int]:
    """Send an operation's cases, on what the world has; their statuses."""
    path = {parameter.name for parameter in operation.path_parameters}
    known = {name: value for name, value in world.restore(operation.path).items() if name in path}
    statuses: list[int] = []

    @seed(SEED)
    @hypothesis_settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode, path_parameters=known))
    def send(case: Any) -> None:
        world.restore(operation.path)
        statuses.append(case.call_and_validate(checks=CHECKS, **call).status_code)

    send()
    return statuses


def test_operations_that_take_more_than_chance(
    url: str, world: World, registry: Registry, session: requests.Session
) -> None:
    """What generated cases seldom get served is served, and is as the document says."""
    base = f"{url}/client/v4"
    document = session.get(f"{base}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document, config=CONFIG)
    token = registry.tokens.create(ACCOUNT, "short-lived").token
    for method, path, request in BY_HAND:
        names = world.restore(path) | {
            "token_id": token.id,
            "name": "KEY",
            "tag": "x",
            "tail_id": "x",
            "token": "x",
            "object_namespace_id": "0" * 32,
            "key": "key",
        }
        wanted = request.get("refused", 200)
        sent = {name: value for name, value in request.items() if name != "refused"}
        answer = session.request(method, base + path.format(**names), **sent)
        assert answer.status_code == wanted, (method, path, answer.text)
        schema[path][method].validate_response(answer)
    for path in DEPLOYMENTS:
        names = world.restore(path)
        share = {"version_id": names["version_id"], "percentage": 100}
        body = {"strategy": "percentage", "versions": [share]}
        answer = session.post(base + path.format(**names), json=body, params={"force": "true"})
        assert answer.status_code == 200, answer.text
        schema[path]["POST"].validate_response(answer)
    names = world.restore()
    manifest = {"manifest": {"/a": {"hash": "a" * 32, "size": 1}}}
    opened = session.post(base + f"{S}/assets-upload-session".format(**names), json=manifest)
    answer = session.post(
        base + UPLOAD.format(**names) + "?base64=true",
        files={"a" * 32: (None, b"YQ==", "text/plain")},
        headers={"Authorization": f"Bearer {opened.json()['result']['jwt']}"},
    )
    assert answer.status_code == 201, answer.text
    schema[UPLOAD]["POST"].validate_response(answer)
