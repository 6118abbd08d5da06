"""Custom hostnames of a zone, by the official SDK, and the question for certificates."""

import ipaddress
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import cloudflare
import httpx
import pytest
from cloudflare import Cloudflare
from control_names import FakeNames
from flask import Flask

from cloister.registry import NewVersion, Registry
from cloister.registry.claims import Claim
from cloister.settings import Settings
from control.app import create_app
from control.bucket import Bucket
from control.house import house
from control.names import Names
from control.proofs import Prover

ACCOUNT = "a" * 32
OTHER_ACCOUNT = "b" * 32
TOKEN = "test-token-0123456789abcdef"
NAME = "shop.example.org"
DEADLINE_S = 20
SSL = {"method": "txt", "type": "dv", "settings": {"min_tls_version": "1.2"}}


@pytest.fixture
def names() -> FakeNames:
    return FakeNames()


@pytest.fixture
def app(
    settings: Settings,
    registry: Registry,
    stopping: threading.Event,
    names: Names,
) -> Iterator[Flask]:
    prover = Prover(names, [ipaddress.ip_network("127.0.0.0/8")])
    made = create_app(settings, registry=registry, stopping=stopping.is_set, prover=prover)
    with made.app_context():
        checker = house().checker
    checker.start()
    yield made
    checker.stop()


@pytest.fixture
def zone(url: str) -> Iterator[httpx.Client]:
    """A plain client, at the zone's custom hostnames."""
    with httpx.Client(
        base_url=f"{url}/client/v4/zones/{ACCOUNT}/custom_hostnames",
        headers={"Authorization": f"Bearer {TOKEN}"},
        trust_env=False,
    ) as client:
        yield client


def eventually(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def fault(response: httpx.Response) -> tuple[int, int]:
    body = response.json()
    assert (body["success"], body["result"]) == (False, None)
    return response.status_code, body["errors"][0]["code"]


def test_the_life_of_one(sdk: Cloudflare, names: FakeNames) -> None:
    """Find the zone, claim, see what proves it, prove it, change its metadata, delete it."""
    (zone,) = sdk.zones.list()
    assert (zone.name, zone.status, zone.account.id) == ("localhost", "active", ACCOUNT)
    assert sdk.zones.get(zone_id=zone.id).id == zone.id
    hostnames = sdk.custom_hostnames
    made = hostnames.create(
        zone_id=zone.id, hostname="Shop.Example.ORG", ssl=SSL, custom_metadata={"plan": "pro"}
    )
    assert (made.hostname, made.status, made.custom_metadata) == (NAME, "pending", {"plan": "pro"})
    assert (made.ssl.status, made.ssl.method) == ("pending_validation", "txt")
    assert made.ssl.settings.min_tls_version == "1.2"
    proof, http = made.ownership_verification, made.ownership_verification_http
    assert (proof.name, proof.type) == (f"_cf-custom-hostname.{NAME}", "txt")
    url = f"http://{NAME}/.well-known/cf-custom-hostname-challenge/{made.id}"
    assert (http.http_url, http.http_body) == (url, proof.value)

    def now() -> Any:
        return hostnames.get(made.id, zone_id=zone.id)

    eventually(lambda: now().verification_errors, "the first check")
    names.txts[proof.name] = [proof.value]
    assert hostnames.edit(made.id, zone_id=zone.id, ssl=SSL).status == "pending"
    eventually(lambda: now().status == "active", "the proof")
    assert (now().ssl.status, now().ownership_verification) == ("active", None)
    edited = hostnames.edit(made.id, zone_id=zone.id, custom_metadata={"plan": "free"})
    assert (edited.status, edited.custom_metadata) == ("active", {"plan": "free"})
    assert edited.ssl.method == "txt"
    assert hostnames.delete(made.id, zone_id=zone.id).id == made.id
    with pytest.raises(cloudflare.NotFoundError):
        now()


def test_filters_order_and_pages(sdk: Cloudflare, registry: Registry) -> None:
    """Each of the product's filters, in the SDK's own spelling; order by age, and pages."""
    made = [registry.hostnames.create(ACCOUNT, f"{x}.example.org") for x in "cab"]
    registry.hostnames.create(ACCOUNT, "100.example.com", wildcard=True)

    def listed(**said: Any) -> list[str]:
        found = sdk.custom_hostnames.list(zone_id=ACCOUNT, **said)
        return [item.hostname.removesuffix(".example.org") for item in found]

    everything = ["c", "a", "b", "100.example.com"]
    assert listed() == everything == listed(per_page=2)
    assert listed(direction="desc") == everything[::-1]
    assert listed(id=made[1].id) == ["a"]
    assert listed(hostname={"exact": "B.example.org"}) == ["b"]
    assert listed(hostname={"contain": "example.c"}) == ["100.example.com"]
    assert listed(hostname={"contain": "%"}) == listed(hostname={"starts_with": "_"}) == []
    assert listed(hostname={"starts_with": "a."}) == ["a"]
    assert listed(wildcard=True) == ["100.example.com"]
    assert listed(wildcard=False, ssl_status="pending_validation") == ["c", "a", "b"]
    assert sorted(listed(hostname_status="pending", order="ssl_status")) == sorted(everything)
    assert listed(hostname_status="active") == listed(ssl_status="expired") == []
    assert listed(order="ssl", ssl=1) == everything
    assert listed(ssl=0) == []
    with pytest.raises(cloudflare.BadRequestError) as caught:
        listed(id=made[1].id, hostname={"exact": "a.example.org"})
    assert caught.value.errors[0].code == 1438


def test_filters_by_what_was_asked(sdk: Cloudflare, worker: str) -> None:
    """By the authority of its certificate, and by the worker that it leads to."""
    create = sdk.custom_hostnames.create
    create(zone_id=ACCOUNT, hostname=NAME, ssl={**SSL, "certificate_authority": "lets_encrypt"})
    led = create(zone_id=ACCOUNT, hostname="a.example.org", custom_origin_server=worker)
    assert (led.custom_origin_server, led.ssl.hosts) == (worker, ["a.example.org"])

    def listed(**said: Any) -> list[str]:
        return [item.hostname for item in sdk.custom_hostnames.list(zone_id=ACCOUNT, **said)]

    assert listed(certificate_authority="lets_encrypt") == [NAME]
    assert listed(certificate_authority="google") == []
    assert listed(custom_origin_server=worker) == ["a.example.org"]
    assert listed(custom_origin_server="shop.production.localhost") == ["a.example.org"]
    for other in ("other.localhost", "shop.staging.localhost", "localhost", "a.b.c.localhost"):
        assert listed(custom_origin_server=other) == []


@pytest.fixture
def worker(registry: Registry) -> str:
    """The name of one that is there."""
    namespace = registry.namespaces.get(ACCOUNT, "production").id
    registry.scripts.put_version(namespace, "shop", NewVersion(digest="0" * 64, main_module="m.py"))
    return "shop.localhost"


def test_fallback_origin(sdk: Cloudflare, registry: Registry, worker: str) -> None:
    """Hostnames that name no worker lead to it, while there is one: set, changed, deleted, and
    gone with its worker. Whatever names a worker leads there."""
    resolve, origins = registry.hostnames.resolve, sdk.custom_hostnames.fallback_origin
    for name, metadata in ((NAME, {}), ("meta.example.org", {"worker": "a"})):
        registry.hostnames.create(ACCOUNT, name, metadata=metadata)
    registry.hostnames.create(OTHER_ACCOUNT, "other.example.org")
    while (claim := registry.hostnames.claims.take()) is not None:
        registry.hostnames.claims.conclude(claim, "proved", [])

    def where(name: str) -> str:
        found = resolve(name)
        assert found is not None
        return found.script

    with pytest.raises(cloudflare.NotFoundError):
        origins.get(zone_id=ACCOUNT)
    made = origins.update(zone_id=ACCOUNT, origin="Shop.Production.LOCALHOST.")
    assert (made.origin, made.status, made.errors) == (worker, "active", [])
    assert origins.get(zone_id=ACCOUNT).to_dict() == made.to_dict()
    assert [where(f"{x}.example.org") for x in ("shop", "meta", "other")] == ["shop", "", ""]
    assert origins.update(zone_id=ACCOUNT, origin=worker).created_at == made.created_at
    assert origins.delete(zone_id=ACCOUNT).origin == worker
    assert where(NAME) == ""
    with pytest.raises(cloudflare.NotFoundError):
        origins.delete(zone_id=ACCOUNT)
    origins.update(zone_id=ACCOUNT, origin=worker)
    namespace = registry.namespaces.get(ACCOUNT, "production").id
    registry.scripts.delete(namespace, "shop")
    assert where(NAME) == ""
    with pytest.raises(cloudflare.NotFoundError):
        origins.get(zone_id=ACCOUNT)


@pytest.mark.parametrize(
    ("origin", "refusal"),
    [
        ("example.org", (400, 1415)),
        ("localhost", (400, 1415)),
        ("a.b.c.localhost", (400, 1415)),
        ("none.localhost", (400, 1421)),
        ("shop.none.localhost", (404, 100119)),
        ("shop.theirs.localhost", (404, 100119)),
        (7, (400, 10004)),
        (None, (400, 10003)),
    ],
)
@pytest.mark.usefixtures("worker")
def test_no_fallback(
    zone: httpx.Client, registry: Registry, origin: object, refusal: tuple[int, int]
) -> None:
    """What is no worker of the account's is refused, and nothing is set."""
    theirs = registry.namespaces.create(OTHER_ACCOUNT, "theirs").id
    registry.scripts.put_version(theirs, "shop", NewVersion(digest="0" * 64, main_module="m.py"))
    body = {} if origin is None else {"origin": origin}
    assert fault(zone.put("/fallback_origin", json=body)) == refusal
    assert fault(zone.get("/fallback_origin")) == (404, 1551)
    if isinstance(origin, str):
        body = {"hostname": NAME, "custom_origin_server": origin}
        refused = fault(zone.post("", json=body))
        assert refused == ((404, 1436) if refusal == (400, 1421) else refusal)
        assert zone.get("").json()["result"] == []


class TestQuota:
    """Custom hostnames up to the operator's number, by either way."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, hostnames=2)

    def test_it_holds(self, sdk: Cloudflare, zone: httpx.Client, url: str, worker: str) -> None:
        """Up to it each is claimed; then none, until one is deleted."""
        create, by_name = sdk.custom_hostnames.create, "/accounts/%s/workers/dispatch/hostnames/%s"
        first = create(zone_id=ACCOUNT, hostname="a.example.org", custom_origin_server=worker)
        create(zone_id=ACCOUNT, hostname="b.example.org")
        quota = sdk.custom_hostnames.quota.get(zone_id=ACCOUNT)
        assert (quota.allocated, quota.hard_cap, quota.used, quota.exceeded) == (2, 2, 2, False)
        assert fault(zone.post("", json={"hostname": "c.example.org"})) == (403, 1405)
        target = {"namespace": "production", "script": "shop"}
        path = f"{url}/client/v4" + by_name % (ACCOUNT, "c.example.org")
        assert fault(zone.put(path, json=target)) == (403, 1405)
        path = f"{url}/client/v4" + by_name % (ACCOUNT, "b.example.org")
        assert zone.put(path, json=target).is_success
        sdk.custom_hostnames.delete(first.id, zone_id=ACCOUNT)
        create(zone_id=ACCOUNT, hostname="c.example.org")
        assert sdk.custom_hostnames.quota.get(zone_id=ACCOUNT).used == 2


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, (400, 10003)),
        ({"hostname": "shop.localhost"}, (400, 1407)),
        ({"hostname": "localhost"}, (400, 1407)),
        ({"hostname": "*.example.org"}, (400, 1407)),
        ({"hostname": "10.0.0.1"}, (400, 1407)),
        ({"hostname": NAME, "custom_metadata": {"a": 1}}, (400, 10004)),
        ({"hostname": NAME, "custom_metadata": {"a": "x" * 4096}}, (400, 1401)),
        ({"hostname": NAME, "custom_origin_server": "a.example"}, (400, 1415)),
        ({"hostname": NAME, "ssl": {"method": "email"}}, (400, 10004)),
        ({"hostname": NAME, "ssl": {"custom_key": "-----BEGIN"}}, (400, 10004)),
        ({"hostname": NAME, "script": "shop"}, (400, 10003)),
        ({"hostname": NAME, "script": "shop", "namespace": "none"}, (404, 100119)),
        ({"hostname": NAME, "script": "none", "namespace": "production"}, (404, 1436)),
        ([], (400, 10026)),
    ],
)
def test_refusals(zone: httpx.Client, body: Any, refusal: tuple[int, int]) -> None:
    """Each says what is wrong, and nothing is claimed."""
    assert fault(zone.post("", json=body)) == refusal
    assert zone.get("").json()["result"] == []


def test_what_is_allowed_next_to_it(zone: httpx.Client, registry: Registry) -> None:
    """Punycode, an apex with the names below it, as much metadata as fits, and a worker; a second
    claim is a duplicate, and a change that is refused changes nothing."""
    namespace = registry.namespaces.get(ACCOUNT, "production").id
    registry.scripts.put_version(namespace, "shop", NewVersion(digest="0" * 64, main_module="m.py"))
    body = {
        "hostname": "müller.example",
        "ssl": {"wildcard": True},
        "custom_metadata": {"a": "x" * (4096 - 8)},
        "namespace": "production",
        "script": "shop",
    }
    made = zone.post("", json=body).json()["result"]
    assert (made["hostname"], made["ssl"]["wildcard"]) == ("xn--mller-kva.example", True)
    assert (made["namespace"], made["script"]) == ("production", "shop")
    assert fault(zone.post("", json=body)) == (409, 1406)
    one = f"/{made['id']}"
    assert fault(zone.patch(one, json={"custom_metadata": {"a": "x" * 4096}})) == (400, 1401)
    assert fault(zone.patch(one, json={"ssl": {"type": "ov"}})) == (400, 10004)
    assert zone.get(one).json()["result"]["custom_metadata"] == body["custom_metadata"]
    assert zone.patch(one, json={"custom_metadata": None}).json()["result"]["custom_metadata"] == {}
    for method in ("GET", "PATCH", "DELETE"):
        assert fault(zone.request(method, f"/{'0' * 32}", json={})) == (404, 1436)


def test_whose_zone(url: str, zone: httpx.Client, registry: Registry) -> None:
    """Another account's zone is refused, and its hostnames are not here; a token for reading reads,
    one of a namespace does neither."""
    theirs = registry.hostnames.create(OTHER_ACCOUNT, NAME)
    assert fault(zone.get(f"/{theirs.id}")) == (404, 1436)
    assert fault(zone.delete(f"/{theirs.id}")) == (404, 1436)
    base = f"{url}/client/v4/zones/{OTHER_ACCOUNT}"
    for path in (base, f"{base}/custom_hostnames", f"{base}/custom_hostnames/{theirs.id}"):
        assert fault(zone.get(path)) == (403, 10000)
    for rights, reads in (({"read_only": True}, 200), ({"namespace": "production"}, 403)):
        token = registry.tokens.create(ACCOUNT, "t", **rights).text  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {token}"}
        assert zone.get("", headers=headers).status_code == reads
        assert fault(zone.post("", json={"hostname": NAME}, headers=headers)) == (403, 10000)
    assert zone.post("", json={"hostname": NAME}).json()["result"]["status"] == "pending"


def test_certificates_are_for_what_serves(
    url: str, registry: Registry, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy may have one for an active hostname and for a worker that there is; not for what is
    pending, below a wildcard, made up, or too often. No token is needed."""
    namespace = registry.namespaces.get(ACCOUNT, "production").id
    registry.scripts.put_version(namespace, "shop", NewVersion(digest="0" * 64, main_module="m.py"))

    def ask(domain: str) -> int:
        return httpx.get(f"{url}/tls/ask", params={"domain": domain}, trust_env=False).status_code

    made = registry.hostnames.create(ACCOUNT, NAME, wildcard=True)
    assert ask(NAME) == 404
    proved = Claim(id=made.id, hostname=NAME, token=made.token, is_active=False)
    registry.hostnames.claims.conclude(proved, "proved", [])
    for known in (NAME, "SHOP.example.org.", "shop.localhost", "shop.production.localhost"):
        assert ask(known) == 200, known
    assert ask("localhost") == 200
    for unknown in (
        *("", "a" * 300, "a.shop.example.org", "other.example.org", "none.localhost"),
        *("shop.none.localhost", "a.b.shop.localhost", "127.0.0.1", "\0.localhost", "é.localhost"),
    ):
        assert ask(unknown) == 404, unknown
    with app.app_context():
        bucket = house().asked
    monkeypatch.setattr(bucket, "take", lambda: False)
    assert ask(NAME) == 429


def test_a_bucket_runs_dry(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many at once, then so many a second."""
    now = [0.0]
    monkeypatch.setattr("control.bucket.time.monotonic", lambda: now[0])
    bucket = Bucket(2, 3)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now[0] = 1.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now[0] = 1000.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
