"""Who gets a request, and what the worker sees of it."""

import asyncio

import pytest
from dispatcher_rig import Dispatcher, eventually

from cloister.registry import HostnameRoute
from cloister.settings import Settings
from dispatcher.failures import Refusal
from dispatcher.routing import Destination, Router, host_of

SETTINGS = Settings(domain="Apps.Example.com.")


def route(authority: str, path: str = "/x") -> Destination:
    return asyncio.run(Router(SETTINGS).find(host_of(authority), path))


@pytest.mark.parametrize(
    ("authority", "path", "expected"),
    [
        ("shop.apps.example.com", "/a", Destination("production", "shop", "/a")),
        ("SHOP.Apps.EXAMPLE.com:8787", "/a", Destination("production", "shop", "/a")),
        ("shop.apps.example.com.", "/a", Destination("production", "shop", "/a")),
        ("shop.staging.apps.example.com", "/", Destination("staging", "shop", "/")),
        ("apps.example.com", "/staging/shop/a/b", Destination("staging", "shop", "/a/b")),
        ("localhost:1", "/staging/shop", Destination("staging", "shop", "/")),
        ("127.0.0.1:8787", "/staging/shop/", Destination("staging", "shop", "/")),
        ("[::1]:8787", "/staging/shop//a%2Fb/", Destination("staging", "shop", "//a%2Fb/")),
        ("[::1]", "/staging/shop/a", Destination("staging", "shop", "/a")),
    ],
)
def test_routes(authority: str, path: str, expected: Destination) -> None:
    """Subdomains and path mode, whatever the case, port and final dot of the host."""
    assert route(authority, path) == expected


@pytest.mark.parametrize(
    ("authority", "path"),
    [
        ("a.b.c.apps.example.com", "/"),
        (".apps.example.com", "/"),
        ("-shop.apps.example.com", "/"),
        ("shop-.apps.example.com", "/"),
        ("sh_op.apps.example.com", "/"),
        ("1shop.apps.example.com", "/"),
        (f"{'a' * 64}.apps.example.com", "/"),
        ("apps.example.com", "/"),
        ("apps.example.com", "/production"),
        ("apps.example.com", "/production/"),
        ("apps.example.com", "/Production/Shop/"),
        ("apps.example.com", "/..%2f/shop/"),
        ("evilapps.example.com", "/production/shop/"),
        ("apps.example.com.evil.org", "/production/shop/"),
        ("other.org", "/production/shop/"),
    ],
)
def test_routes_nowhere(authority: str, path: str) -> None:
    """Names that break the rules, and hosts that are not ours, are 404."""
    with pytest.raises(Refusal) as caught:
        route(authority, path)
    assert caught.value.status == 404


@pytest.mark.parametrize(
    "authority",
    [
        *("", "a b", "a/b", "a@b", "[::1", "[zz]", "a:b", "a,b", "a\x00", "é.com", "a:123456"),
        "a" * 261,
    ],
)
def test_bad_hosts(authority: str) -> None:
    """What is no host is 400, never routed."""
    with pytest.raises(Refusal) as caught:
        host_of(authority)
    assert caught.value.status == 400


def test_custom_hostnames_come_first() -> None:
    """An exact custom hostname wins over every other way; a name of the platform's is none."""

    async def lookup(host: str) -> HostnameRoute | None:
        script = "" if host == "meta.example.org" else "shop"
        namespace = "staging" if script else ""
        route = HostnameRoute(
            hostname=host, namespace=namespace, script=script, metadata={"a": "b"}
        )
        return route if host != "other.example.org" else None

    found = asyncio.run(Router(SETTINGS, lookup).find("shop.example.org", "/a"))
    said = {"hostname": "shop.example.org", "metadata": {"a": "b"}}
    assert found == Destination("staging", "shop", "/a", **said)
    found = asyncio.run(Router(SETTINGS, lookup).find("meta.example.org", "/a"))
    said = {"hostname": "meta.example.org", "metadata": {"a": "b"}}
    assert found == Destination("production", "", "/a", **said)
    with pytest.raises(Refusal):
        asyncio.run(Router(SETTINGS, lookup).find("other.example.org", "/a"))
    found = asyncio.run(Router(SETTINGS, lookup).find("y.apps.example.com", "/a"))
    assert found == Destination("production", "y", "/a")


def test_subdomain_mode(dispatcher: Dispatcher) -> None:
    """The worker sees the URL as sent: scheme, host, port, escapes, order of the query."""
    seen = dispatcher.request("echo.LOCALHOST:99", "/a%20b/%2F?x=1&x=%41&&y").json()
    assert seen["namespace"] == "production"
    assert seen["url"] == "http://echo.LOCALHOST:99/a%20b/%2F?x=1&x=%41&&y"


def test_path_mode(dispatcher: Dispatcher) -> None:
    """On a bare host the prefix is taken off the path that the worker sees."""
    seen = dispatcher.request("127.0.0.1", "/staging/echo/a%2Fb?q").json()
    assert (seen["namespace"], seen["url"]) == ("staging", "http://127.0.0.1/a%2Fb?q")
    assert dispatcher.request("localhost", "/staging/echo").json()["url"] == "http://localhost/"


def test_metadata_names_the_worker(dispatcher: Dispatcher) -> None:
    """Without a dispatch worker of the operator's, ``worker`` in a hostname's metadata is enough;
    the dispatcher shows the token of an active hostname, and of no other."""
    hostnames, account = dispatcher.registry.hostnames, dispatcher.account_id
    made = hostnames.create(account, "meta.test", metadata={"worker": "echo"})
    shown = f"/.cloister/hostnames/{made.id}"
    assert dispatcher.request("meta.test", shown).status == 404
    claim = hostnames.claims.take()
    assert claim is not None
    hostnames.claims.conclude(claim, "proved", [])
    eventually(lambda: dispatcher.request("meta.test", "/a").status == 200, "it is active")
    assert dispatcher.request("meta.test", "/a").json()["script"] == "echo"
    assert dispatcher.request("meta.test", shown).body == made.token.encode()
    hostnames.edit(account, made.id, metadata={})
    eventually(lambda: dispatcher.request("meta.test", "/a").status == 404, "it leads nowhere")
    hostnames.fallbacks.put(account, namespace="staging", script="echo")
    eventually(lambda: dispatcher.request("meta.test", "/a").status == 200, "it leads somewhere")
    assert dispatcher.request("meta.test", "/a").json()["namespace"] == "staging"
    hostnames.fallbacks.delete(account)
    eventually(lambda: dispatcher.request("meta.test", "/a").status == 404, "nowhere any more")
    hostnames.discard(account, made.id)


def test_custom_hostname_mode(dispatcher: Dispatcher) -> None:
    """The whole path is the worker's, as is its own host; other ways go on as they were."""
    hostnames = dispatcher.registry.hostnames

    def lead(namespace: str) -> None:
        hostnames.put(dispatcher.account_id, "shop.test", namespace=namespace, script="echo")

    def namespace_of(host: str) -> object:
        answer = dispatcher.request(host, "/production/echo/a%2Fb?q")
        if answer.status != 200:
            return None
        seen = answer.json()
        assert seen["url"] == f"http://{host}/production/echo/a%2Fb?q"
        assert ["host", host] in seen["headers"]  # type: ignore[operator]
        return seen["namespace"]

    assert dispatcher.request("shop.test", "/production/echo/").status == 404
    lead("staging")
    eventually(lambda: namespace_of("shop.test") == "staging", "the hostname is known")
    assert namespace_of("SHOP.Test.:8787") == "staging"
    lead("trusted")
    eventually(lambda: namespace_of("shop.test") == "trusted", "the hostname has moved")
    for host in ("www.shop.test", "shop.test.localhost", "other.test"):
        assert dispatcher.request(host, "/production/echo/").status == 404
    assert dispatcher.request("127.0.0.1", "/staging/echo/").json()["namespace"] == "staging"
    assert dispatcher.request("shop.test", "/.cloister/healthz").status == 200
    hostnames.delete(dispatcher.account_id, "shop.test")
    eventually(lambda: namespace_of("shop.test") is None, "the hostname is gone")


def test_absolute_target_wins_over_host(dispatcher: Dispatcher) -> None:
    """RFC 9112, 3.2.2: an absolute target's authority replaces the Host header."""
    seen = dispatcher.request("absent.localhost", "http://echo.staging.localhost/a?b").json()
    assert seen["namespace"] == "staging"
    assert ["host", "echo.staging.localhost"] in seen["headers"]  # type: ignore[operator]
    assert dispatcher.request("echo.localhost", "ftp://echo.localhost/").status == 400


def test_unknown_worker_is_a_page_without_a_message(dispatcher: Dispatcher) -> None:
    """404 for an unknown worker or namespace, and nothing is put on a queue for it."""
    for host in ("absent.localhost", "echo.nowhere.localhost"):
        answer = dispatcher.request(host)
        assert answer.status == 404
        assert b"1022" in answer.body
    assert dispatcher.executor.invocations("absent") == []
    assert dispatcher.executor.client.exists("dispatch.nowhere") == 0


def test_a_deploy_is_live_at_once(dispatcher: Dispatcher) -> None:
    """A worker that was just looked for in vain is found as soon as it is deployed."""
    assert dispatcher.request("newcomer.localhost").status == 404
    dispatcher.deploy("production", "newcomer")
    answers = (dispatcher.request("newcomer.localhost").status for _ in range(50))
    assert 200 in answers


def test_cf_only_in_trusted_namespaces(dispatcher: Dispatcher) -> None:
    """``request.cf`` is there in trusted namespaces only."""
    assert dispatcher.request("echo.localhost").json()["cf"] is None
    assert dispatcher.request("echo.trusted.localhost").json()["cf"]
