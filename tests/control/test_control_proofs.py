"""The proof of a hostname: what convinces, what does not, and what is not even asked."""

import contextlib
import http.server
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import dns.message
import dns.rcode
import dns.rrset
import pytest
from control_names import FakeNames

from cloister.errors import SettingInvalid
from cloister.registry.claims import Claim
from cloister.settings import Settings
from control import proofs
from control.names import Dns, LookupFailed, open_names
from control.proofs import Prover

TOKEN = "3f0e7a52-6f0c-4c1c-9e5c-8f5d2f1c9a10"
CLAIM = Claim(id="c" * 32, hostname="shop.example.org", token=TOKEN, is_active=False)
ACTIVE = Claim(id="c" * 32, hostname="shop.example.org", token=TOKEN, is_active=True)
TXT = "_cf-custom-hostname.shop.example.org"
PATH = f"/.well-known/cf-custom-hostname-challenge/{CLAIM.id}"
OURS = f"/.cloister/hostnames/{CLAIM.id}"
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]

Play = Callable[[str], tuple[int, dict[str, str], bytes]]


class Host:
    """A web server of a customer's; ``play`` gives status, header fields and body for a path."""

    def __init__(self) -> None:
        self.play: Play = lambda path: (404, {}, b"")
        self.asked: list[tuple[str, str]] = []
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked.append((self.headers["Host"], self.path))
                status, headers, body = host.play(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def serve(self, *paths: str, body: bytes = TOKEN.encode()) -> None:
        self.play = lambda path: (200, {}, body) if path in paths else (404, {}, b"")

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.close()


@pytest.fixture
def names() -> FakeNames:
    return FakeNames(hosts={"shop.example.org": ["127.0.0.1"]})


@pytest.fixture
def prover(names: FakeNames, host: Host) -> Prover:
    return Prover(names, LOOPBACK, port=host.port)


def test_a_record_proves_it(names: FakeNames, prover: Prover, host: Host) -> None:
    """A TXT record with the token among others; then the host is not asked."""
    names.txts[TXT] = ["v=spf1 -all", TOKEN]
    assert prover.check(CLAIM) == ("proved", [])
    assert host.asked == []


def test_a_file_proves_it(prover: Prover, host: Host) -> None:
    """The token under its URL, asked for by the hostname; a line's end after it is no matter."""
    host.serve(PATH, body=TOKEN.encode() + b"\n")
    assert prover.check(CLAIM) == ("proved", [])
    assert host.asked == [("shop.example.org", PATH)]


@pytest.mark.parametrize(
    "play",
    [
        lambda path: (404, {}, TOKEN.encode()),
        lambda path: (200, {}, b""),
        lambda path: (200, {}, TOKEN.encode() + b"x"),
        lambda path: (200, {}, path.encode()),
        lambda path: (302, {"Location": "http://127.0.0.1/"}, TOKEN.encode()),
        lambda path: (302, {"Location": f"https://evil.example{PATH}"}, TOKEN.encode()),
    ],
)
def test_anything_else_does_not(prover: Prover, host: Host, play: Play) -> None:
    """Another status or body, an echo, a redirect elsewhere: which is not followed."""
    host.play = play
    verdict, errors = prover.check(CLAIM)
    assert (verdict, len(errors), len(host.asked)) == ("elsewhere", 2, 1)
    assert TOKEN not in str(errors)


def test_no_name_no_proof(names: FakeNames, prover: Prover) -> None:
    """A name without records is elsewhere; one that the DNS does not answer for is unknown."""
    names.hosts.clear()
    assert prover.check(CLAIM)[0] == "elsewhere"
    names.silent |= {TXT, "shop.example.org"}
    assert prover.check(CLAIM)[0] == "unknown"


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["fd00::1"],
        ["8.8.8.8", "127.0.0.1"],
        ["not an address"],
    ],
)
def test_what_is_not_public_is_not_asked(
    names: FakeNames, host: Host, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    """One address that is not public refuses the host: no connection is even tried."""
    monkeypatch.setattr(proofs, "_connected", lambda *_: pytest.fail("connected"))
    names.hosts["shop.example.org"] = addresses
    host.serve(PATH)
    verdict, errors = Prover(names, (), port=host.port).check(CLAIM)
    assert (verdict, errors[1]) == (
        "unknown",
        "shop.example.org has an address that is not public.",
    )


def test_the_address_looked_at_is_the_one_connected_to(host: Host) -> None:
    """A name is looked up once: what it says later changes nothing."""

    class Rebinding(FakeNames):
        def addresses(self, name: str) -> list[str]:
            return [self.hosts[name].pop(0)]

    names = Rebinding(hosts={"shop.example.org": ["127.0.0.1", "10.0.0.1"]})
    host.serve(PATH)
    assert Prover(names, LOOPBACK, port=host.port).check(CLAIM)[0] == "proved"
    assert names.hosts["shop.example.org"] == ["10.0.0.1"]


def test_a_redirect_to_tls_is_of_the_same_url(
    prover: Prover, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is followed to port 443 of the address that was looked at, with the name to be proved."""
    host.play = lambda path: (308, {"Location": f"https://shop.example.org{path}"}, b"")
    get = Prover._get
    asked = []

    def spy(self: Prover, *arguments: object) -> object:
        asked.append((arguments[3], arguments[4] is not None))
        if len(asked) == 2:
            return proofs.Answer(status=200, body=TOKEN.encode())
        return get(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Prover, "_get", spy)
    assert prover.check(CLAIM)[0] == "proved"
    assert asked == [(host.port, False), (443, True)]


def test_endless_answers_end(names: FakeNames, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that says nothing, and one that never stops, are left after a bounded time or size."""
    monkeypatch.setattr(proofs, "FETCH_S", 0.3)
    for first in (b"", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000, b"\0\xff not http at all\r\n"):
        with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as threads:
            says = threads.submit(_say, server, first)
            prover = Prover(names, LOOPBACK, port=server.getsockname()[1])
            assert prover.check(CLAIM)[0] != "proved"
            says.result(20).close()


def _say(server: socket.socket, what: bytes) -> socket.socket:
    accepted, _ = server.accept()
    with contextlib.suppress(OSError):  # whoever asked may have gone
        accepted.sendall(what)
    return accepted


def test_what_is_active_may_lead_to_us(names: FakeNames, prover: Prover, host: Host) -> None:
    """The platform itself says so of an active hostname, and of no other; and what cannot be
    reached is no reason to doubt one."""
    host.serve(OURS)
    assert prover.check(ACTIVE) == ("proved", [])
    assert prover.check(CLAIM)[0] == "elsewhere"
    assert OURS not in [path for _, path in host.asked[2:]]
    host.play = lambda path: (503, {}, b"")
    assert prover.check(ACTIVE)[0] == "unknown"
    host.serve()
    assert prover.check(ACTIVE)[0] == "elsewhere"


class NameServer:
    """A DNS server on UDP."""

    def __init__(self, records: dict[tuple[str, str], list[str]]) -> None:
        self._records = records
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(4096)
            if not data:
                return
            question = dns.message.from_wire(data)
            name = question.question[0].name.to_text(omit_final_dot=True)
            kind = dns.rdatatype.to_text(question.question[0].rdtype)
            answer = dns.message.make_response(question)
            if name == "broken.example.org":
                answer.set_rcode(dns.rcode.REFUSED)
            elif not any(known == name for known, _ in self._records):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            elif found := self._records.get((name, kind)):
                answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", kind, *found))
            self._socket.sendto(answer.to_wire(), peer)


def test_the_dns_is_asked() -> None:
    """Over the wire: several records, a value in several pieces, none, and no answer."""
    records = {
        (TXT, "TXT"): ['"one"', '"tw" "o"'],
        ("shop.example.org", "A"): ["192.0.2.1", "192.0.2.2"],
        ("shop.example.org", "AAAA"): ["2001:db8::1"],
    }
    server = NameServer(records)
    try:
        found = open_names(Settings(hostname_resolver=server.address))
        assert isinstance(found, Dns)
        assert sorted(found.txt(TXT)) == ["one", "two"]
        assert sorted(found.addresses("shop.example.org")) == [
            "192.0.2.1",
            "192.0.2.2",
            "2001:db8::1",
        ]
        assert found.txt("shop.example.org") == found.txt("none.example.org") == []
        with pytest.raises(LookupFailed):
            found.txt("broken.example.org")
    finally:
        server.close()


def test_another_source_of_names() -> None:
    """A class by its name, as the setting says; one that is not there is said at the start."""
    said = Settings(hostname_resolver="control_names:FakeNames")
    assert isinstance(open_names(said), FakeNames)
    assert isinstance(open_names(Settings()), Dns)
    for wrong in ("control_names:None_", "nowhere_at_all:X"):
        with pytest.raises(SettingInvalid):
            open_names(Settings(hostname_resolver=wrong))
