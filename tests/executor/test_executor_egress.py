"""The proxied client against real servers on 127.0.0.1, which the settings open for the test."""

import asyncio
import gzip
import ipaddress
import threading
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from executor_fakes import until
from executor_origin import LOOPBACK, Origin, Seen, ok, redirect

from cloister.settings import Settings
from executor.egress.client import Client
from executor.egress.guard import FetchRefused, HostRules
from executor.egress.network import LOOKUPS_EACH, Resolver
from executor.egress.redirects import OutgoingRequest
from executor.egress.response import FetchedResponse, FetchFailed
from executor.egress.slots import Slots


@dataclass
class Meter:
    """Counts hops, up to a limit."""

    limit: int = 50
    hops: list[tuple[str, str, int]] = field(default_factory=list)
    begun: int = 0

    def begin(self) -> None:
        if self.begun >= self.limit:
            raise RuntimeError("Too many subrequests.")
        self.begun += 1

    def end(self, method: str, url: str, status: int, wall_ms: float) -> None:
        assert wall_ms >= 0
        self.hops.append((method, url, status))


class Names:
    """A resolver that knows what it is told."""

    def __init__(self, **addresses: list[str]) -> None:
        self.addresses = {name.replace("_", "."): value for name, value in addresses.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host in self.addresses:
            return self.addresses[host]
        ipaddress.ip_address(host)
        return [host]


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    """A listening origin."""
    server = Origin()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def meter() -> Meter:
    """A meter of 50 hops."""
    return Meter()


def settings_for(*origins: Origin, **more: object) -> Settings:
    """Settings that let fetch() reach the origins."""
    ports = tuple(each.port for each in origins)
    return Settings(egress_ports=ports, egress_private=LOOPBACK, **more)  # type: ignore[arg-type]


@pytest.fixture
async def client(origin: Origin, meter: Meter) -> AsyncIterator[Client]:
    """A client that may reach the origin."""
    names = Names(a_example=["127.0.0.1"], b_example=["127.0.0.1"])
    made = Client(settings_for(origin), names, [HostRules()], meter)
    yield made
    await made.close()


def get(url: str, **more: object) -> OutgoingRequest:
    """A GET request."""
    return OutgoingRequest(**{"url": url, "headers": [], **more})  # type: ignore[arg-type]


async def whole(response: FetchedResponse) -> bytes:
    """All of a body."""
    parts = []
    while data := await response.body.read():
        parts.append(data)
    return b"".join(parts)


async def test_a_response_arrives_to_the_byte(origin: Origin, client: Client, meter: Meter) -> None:
    """Status, repeated headers and body come through; the hop is counted and timed."""
    origin.answers["/"] = (
        b"HTTP/1.1 201 Made\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 3\r\n"
        b"connection: keep-alive\r\n\r\n\x00\xff!"
    )
    response = await client.fetch(get(origin.url("/?q=%20x")))
    assert (response.status, response.status_text, response.redirected) == (201, "Made", False)
    assert [v for k, v in response.headers if k == "set-cookie"] == ["a=1", "b=2"]
    assert "connection" not in dict(response.headers)
    assert await whole(response) == b"\x00\xff!"
    assert origin.seen[0].target == "/?q=%20x"
    assert meter.hops == [("GET", origin.url("/?q=%20x"), 201)]


async def test_only_the_tenants_own_headers_are_sent(origin: Origin, client: Client) -> None:
    """Hop-by-hop headers, a second Host and a false length do not go out; nothing of ours does."""
    origin.answers["/"] = ok()
    said = [
        ("X-Mine", "1"),
        ("Host", "evil.example"),
        ("Content-Length", "99"),
        ("Connection", "x-mine"),
        ("Transfer-Encoding", "chunked"),
        ("Proxy-Authorization", "x"),
    ]
    await whole(await client.fetch(get(origin.url("/"), method="POST", headers=said, body=b"hi")))
    assert origin.seen[0].headers == {
        "": "",
        "host": f"127.0.0.1:{origin.port}",
        "x-mine": "1",
        "accept-encoding": "gzip, deflate",
        "content-length": "2",
    }
    assert origin.seen[0].body == b"hi"


@pytest.mark.parametrize(
    "header",
    [("x\r\ny", "1"), ("x", "1\r\ny: 2"), ("x", "1\ny"), ("x y", "1"), ("", "1"), ("x", "\0")],
)
async def test_a_header_stays_one_header(
    origin: Origin, client: Client, header: tuple[str, str]
) -> None:
    """Line breaks in names and values are refused before anything is sent; Latin-1 is fine."""
    origin.answers["/"] = ok()
    with pytest.raises(FetchRefused):
        await client.fetch(get(origin.url("/"), headers=[header]))
    assert origin.seen == []
    await client.fetch(get(origin.url("/"), headers=[("x", "caf\xe9 =")]))


async def test_too_many_header_bytes_are_refused(origin: Origin, client: Client) -> None:
    """128 KiB of headers are the limit."""
    with pytest.raises(FetchRefused):
        await client.fetch(get(origin.url("/"), headers=[("x", "y" * 140_000)]))


async def test_loopback_is_refused_unless_opened(origin: Origin, meter: Meter) -> None:
    """Without the operator's leave the same request goes nowhere: not by address, not by name."""
    origin.answers["/"] = ok()
    closed = Settings(egress_ports=(origin.port,))
    names = Names(a_example=["127.0.0.1"], mixed_example=["8.8.8.8", "127.0.0.1"])
    for host in ("127.0.0.1", "a.example", "mixed.example"):
        client = Client(closed, names, [HostRules()], meter)
        with pytest.raises(FetchRefused):
            await client.fetch(get(origin.url("/", host)))
        await client.close()
    assert origin.connections == 0
    assert {status for _, _, status in meter.hops} == {0}


async def test_a_name_cannot_change_its_mind(origin: Origin, meter: Meter) -> None:
    """The checked address is the one connected to: a resolver that answers differently the second
    time is not asked a second time."""
    origin.answers["/"] = ok()

    class Rebinding(Names):
        async def __call__(self, host: str, port: int) -> list[str]:
            self.asked.append(host)
            return ["127.0.0.1"] if len(self.asked) == 1 else ["169.254.169.254"]

    names = Rebinding()
    client = Client(settings_for(origin), names, [HostRules()], meter)
    assert await whole(await client.fetch(get(origin.url("/", "rebind.example")))) == b"ok"
    assert names.asked == ["rebind.example"]
    await client.close()


async def test_the_host_rules_of_every_namespace_hold(origin: Origin, meter: Meter) -> None:
    """A host that any of the rules denies is not reached, also by redirect."""
    origin.answers["/"] = redirect(origin.url("/there", "b.example"))
    names = Names(a_example=["127.0.0.1"], b_example=["127.0.0.1"])
    rules = [HostRules(), HostRules(deny=("b.example",))]
    client = Client(settings_for(origin), names, rules, meter)
    with pytest.raises(FetchRefused):
        await client.fetch(get(origin.url("/", "a.example")))
    assert [seen.target for seen in origin.seen] == ["/"]
    await client.close()


async def test_no_proxy_of_the_environment_is_used(
    origin: Origin, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY and its like are the operator's, not the tenant's way out."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9/")
    origin.answers["/"] = ok()
    assert await whole(await client.fetch(get(origin.url("/")))) == b"ok"


async def test_redirects_are_followed_and_counted(
    origin: Origin, client: Client, meter: Meter
) -> None:
    """follow goes on, and every hop counts."""
    origin.answers |= {"/a": redirect("/b"), "/b": redirect("c", 307), "/c": ok(b"end")}
    response = await client.fetch(get(origin.url("/a")))
    assert (response.url, response.redirected) == (origin.url("/c"), True)
    assert await whole(response) == b"end"
    assert [status for _, _, status in meter.hops] == [302, 307, 200]


async def test_a_hop_over_the_limit_is_not_made(origin: Origin) -> None:
    """The meter's refusal ends the fetch before the next hop leaves."""
    origin.answers |= {"/a": redirect("/b"), "/b": ok()}
    client = Client(settings_for(origin), Names(), [HostRules()], Meter(limit=1))
    with pytest.raises(RuntimeError, match="Too many subrequests"):
        await client.fetch(get(origin.url("/a")))
    assert len(origin.seen) == 1
    await client.close()


async def test_redirect_modes(origin: Origin, client: Client) -> None:
    """manual gives the redirect itself, error fails, anything else is refused."""
    origin.answers["/a"] = redirect("/b")
    response = await client.fetch(get(origin.url("/a"), redirect="manual"))
    assert response.status == 302
    assert dict(response.headers)["location"] == "/b"
    assert await whole(response) == b"moved"
    with pytest.raises(FetchFailed):
        await client.fetch(get(origin.url("/a"), redirect="error"))
    with pytest.raises(FetchRefused):
        await client.fetch(get(origin.url("/a"), redirect="maybe"))


async def test_redirects_end(origin: Origin, client: Client) -> None:
    """A circle is left after twenty redirects."""
    origin.answers["/a"] = redirect("/a")
    with pytest.raises(FetchFailed, match="Too many redirects"):
        await client.fetch(get(origin.url("/a")))
    assert len(origin.seen) == 21


async def test_a_redirect_into_the_house_is_refused(origin: Origin, meter: Meter) -> None:
    """What a public server answers cannot lead to a private address, port or scheme."""
    names = Names(public_example=["127.0.0.1"], inside_example=["10.0.0.7"])
    client = Client(settings_for(origin), names, [HostRules()], meter)
    for path, location in {
        "/1": origin.url("/", "inside.example"),
        "/2": f"http://169.254.169.254:{origin.port}/latest/meta-data",
        "/3": "http://127.0.0.1:6379/",
        "/4": "file:///etc/passwd",
        "/5": f"http://[::1]:{origin.port}/",
        "/6": f"http://u:p@127.0.0.1:{origin.port}/",
    }.items():
        origin.answers[path] = redirect(location)
        with pytest.raises(FetchRefused):
            await client.fetch(get(origin.url(path, "public.example")))
    assert all(seen.target in {f"/{n}" for n in range(1, 7)} for seen in origin.seen)
    await client.close()


async def test_credentials_stay_with_their_origin(origin: Origin, client: Client) -> None:
    """Authorization and Cookie follow a redirect within the origin and no further."""
    secret = [("Authorization", "Bearer x"), ("Cookie", "s=1"), ("x-mine", "1")]
    origin.answers |= {
        "/same": redirect(origin.url("/end", "a.example")),
        "/cross": redirect(origin.url("/end", "b.example")),
        "/end": ok(),
    }
    await whole(await client.fetch(get(origin.url("/same", "a.example"), headers=secret)))
    assert {"authorization", "cookie", "x-mine"} <= origin.seen[-1].headers.keys()
    await whole(await client.fetch(get(origin.url("/cross", "a.example"), headers=secret)))
    assert "x-mine" in origin.seen[-1].headers
    assert not {"authorization", "cookie"} & origin.seen[-1].headers.keys()


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        (301, "POST", "GET", b""),
        (302, "POST", "GET", b""),
        (302, "PUT", "PUT", b"data"),
        (303, "PUT", "GET", b""),
        (303, "HEAD", "HEAD", b""),
        (307, "POST", "POST", b"data"),
        (308, "PATCH", "PATCH", b"data"),
    ],
)
async def test_the_method_after_a_redirect(
    origin: Origin, client: Client, status: int, method: str, then: str, body: bytes
) -> None:
    """As the Fetch standard says; a body that is dropped takes its content headers along."""

    async def moved(seen: Seen, writer: asyncio.StreamWriter) -> None:
        answer = redirect("/end", status)
        writer.write(answer if seen.method != "HEAD" else answer.removesuffix(b"moved"))

    origin.answers |= {"/a": moved, "/end": ok(b"")}
    sent = None if method == "HEAD" else b"data"
    request = get(origin.url("/a"), method=method, body=sent, headers=[("content-type", "a/b")])
    await whole(await client.fetch(request))
    last = origin.seen[-1]
    assert (last.method, last.body) == (then, body)
    assert ("content-type" in last.headers) == (then == method)


async def test_a_streamed_body(origin: Origin, client: Client) -> None:
    """It is sent as it comes; a redirect that wants it again fails."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    origin.answers |= {"/a": ok(), "/b": redirect("/a", 307)}
    await whole(await client.fetch(get(origin.url("/a"), method="POST", body=pieces())))
    assert origin.seen[-1].body == b"one two"
    with pytest.raises(FetchFailed):
        await client.fetch(get(origin.url("/b"), method="POST", body=pieces()))


async def test_a_streamed_response(origin: Origin, client: Client) -> None:
    """The first chunk is here before the second is sent."""
    go_on = asyncio.Event()

    async def slow(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await go_on.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    origin.answers["/"] = slow
    response = await client.fetch(get(origin.url("/")))
    assert response.length is None
    assert await response.body.read() == b"one"
    go_on.set()
    assert await response.body.read() == b"two"
    assert await response.body.read() == b""
    assert await response.body.read() == b""


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("gzip", gzip.compress(b"plain " * 100_000)),
        ("gzip", gzip.compress(b"plain " * 50_000) + gzip.compress(b"plain " * 50_000)),
        ("x-gzip", gzip.compress(b"plain " * 100_000)),
        ("deflate", zlib.compress(b"plain " * 100_000)),
        ("deflate", zlib.compress(b"plain " * 100_000, wbits=-15)),
    ],
)
async def test_encoded_bodies_are_decoded(
    origin: Origin, client: Client, encoding: str, encoded: bytes
) -> None:
    """The tenant gets the plain body, and no header that says otherwise."""
    origin.answers["/"] = ok(encoded, content_encoding=encoding)
    response = await client.fetch(get(origin.url("/")))
    assert not {"content-encoding", "content-length"} & dict(response.headers).keys()
    assert await whole(response) == b"plain " * 100_000


async def test_an_unknown_encoding_passes_as_sent(origin: Origin, client: Client) -> None:
    """Bytes we cannot decode keep the header that describes them."""
    origin.answers["/"] = ok(b"br...", content_encoding="br")
    response = await client.fetch(get(origin.url("/")))
    assert dict(response.headers)["content-encoding"] == "br"
    assert await whole(response) == b"br..."


async def test_a_broken_encoding_fails(origin: Origin, client: Client) -> None:
    """What does not decode is an error, not garbage."""
    origin.answers["/"] = ok(b"not gzip at all", content_encoding="gzip")
    response = await client.fetch(get(origin.url("/")))
    with pytest.raises(FetchFailed):
        await whole(response)


async def test_a_bomb_is_cut_off(origin: Origin, meter: Meter) -> None:
    """The limit holds for what comes out, and it comes out in pieces."""
    bomb = gzip.compress(bytes(50_000_000))
    origin.answers["/"] = ok(bomb, content_encoding="gzip")
    settings = settings_for(origin, egress_body_bytes=1_000_000)
    client = Client(settings, Names(), [HostRules()], meter)
    response = await client.fetch(get(origin.url("/")))
    for _ in range(1_000_000 // (256 * 1024)):
        assert len(await response.body.read()) == 256 * 1024
    with pytest.raises(FetchFailed, match="too large"):
        await response.body.read()
    await client.close()


async def test_a_server_that_says_nothing(origin: Origin, meter: Meter) -> None:
    """Waiting has an end."""
    never = asyncio.Event()

    async def silent(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await never.wait()

    origin.answers["/"] = silent
    client = Client(settings_for(origin, egress_wait_s=0), Names(), [HostRules()], meter)
    with pytest.raises(FetchFailed, match="in time"):
        await client.fetch(get(origin.url("/")))
    await client.close()


async def test_a_connection_that_breaks(origin: Origin, client: Client) -> None:
    """A body that ends early is an error for its reader."""

    async def breaks(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    origin.answers["/"] = breaks
    response = await client.fetch(get(origin.url("/")))
    with pytest.raises(FetchFailed, match="lost"):
        await whole(response)


async def test_a_closed_port(origin: Origin, meter: Meter) -> None:
    """Nobody there is an error like any other."""
    await origin.stop()
    client = Client(settings_for(origin), Names(), [HostRules()], meter)
    with pytest.raises(FetchFailed):
        await client.fetch(get(origin.url("/")))
    await client.close()
    await origin.start()


async def test_methods(origin: Origin, client: Client) -> None:
    """CONNECT and what nobody knows are refused."""
    origin.answers["/"] = ok(b"")
    for method in ("CONNECT", "TRACE", "G ET", "FOO"):
        with pytest.raises(FetchRefused):
            await client.fetch(get(origin.url("/"), method=method))
    assert (await client.fetch(get(origin.url("/"), method="OPTIONS"))).status == 200


async def test_six_connections_at_once(origin: Origin) -> None:
    """The seventh request waits until a response was read."""
    gate = asyncio.Event()
    six = asyncio.Event()

    async def held(seen: Seen, writer: asyncio.StreamWriter) -> None:
        if len(origin.seen) == 6:
            six.set()
        await gate.wait()
        writer.write(ok())

    origin.answers["/"] = held
    client = Client(settings_for(origin), Names(), [HostRules()], Meter())
    tasks = [asyncio.create_task(client.fetch(get(origin.url("/")))) for _ in range(7)]
    await asyncio.wait_for(six.wait(), 5)
    await asyncio.sleep(0)
    assert len(origin.seen) == 6
    gate.set()
    for task in asyncio.as_completed(tasks):
        await whole(await task)
    assert len(origin.seen) == 7
    await client.close()


async def test_unread_responses_do_not_block_for_ever(origin: Origin) -> None:
    """With every slot held by a response that nobody reads, the oldest gives way."""
    origin.answers["/"] = ok(bytes(2_000_000))
    slots = Slots(limit=2, stuck_s=0.05)
    client = Client(settings_for(origin), Names(), [HostRules()], Meter(), slots)
    first = await client.fetch(get(origin.url("/")))
    second = await client.fetch(get(origin.url("/")))
    third = await asyncio.wait_for(client.fetch(get(origin.url("/"))), 5)
    with pytest.raises(FetchFailed, match="unread"):
        await first.body.read()
    assert len(await whole(second)) == len(await whole(third)) == 2_000_000
    await client.close()


async def test_an_address_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is written as such; every other way to write one is the resolver's to understand."""
    asked: list[str] = []

    def look(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(0, 0, 0, "", ("1.2.3.4", port))]

    monkeypatch.setattr("socket.getaddrinfo", look)
    resolver = Resolver()
    for address in ("8.8.8.8", "127.0.0.1", "::1", "2001:db8::7"):
        assert await resolver.lookup("a", address, 80) == [address]
    assert asked == []
    others = [
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "0:0::1",
        "fe80::1%lo",
        "::FFFF:127.0.0.1",
        "a.b",
    ]
    for other in others:
        assert await resolver.lookup("a", other, 80) == ["1.2.3.4"]
    assert asked == others
    resolver.close()


async def test_slow_names_hold_up_their_own_namespace_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lookups of one namespace are few at a time, until the resolver itself has let go."""
    answer = threading.Event()
    asked: list[str] = []

    def slow(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        if host.startswith("slow"):
            answer.wait(10)
        return [(0, 0, 0, "", ("1.2.3.4", port))]

    monkeypatch.setattr("socket.getaddrinfo", slow)
    resolver = Resolver()
    tasks = [asyncio.create_task(resolver.lookup("a", f"slow{n}", 80)) for n in range(6)]
    await until(lambda: len(asked) == LOOKUPS_EACH)
    async with asyncio.timeout(5):
        assert await resolver.lookup("b", "fast", 80) == ["1.2.3.4"]
    for task in tasks[:LOOKUPS_EACH]:
        task.cancel()
    await asyncio.gather(*tasks[:LOOKUPS_EACH], return_exceptions=True)
    assert asked == [*(f"slow{n}" for n in range(LOOKUPS_EACH)), "fast"]
    answer.set()
    assert await asyncio.wait_for(asyncio.gather(*tasks[LOOKUPS_EACH:]), 5) == [["1.2.3.4"]] * 2
    resolver.close()
