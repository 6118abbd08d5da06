"""deploy/nginx and deploy/caddy, as they are but for ports and places, before a real dispatcher."""

import contextlib
import datetime as dt
import http.client
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from dispatcher_rig import REPOSITORY, Dispatcher, eventually, finish, free_port, serving

DEPLOY = REPOSITORY / "deploy"
HOST = "echo.localhost"
CUSTOM = "shop.proxy.test"
CHALLENGE = "/.well-known/cf-custom-hostname-challenge/abc"


def program(name: str, *, wanted: bool) -> str:
    """Where it is; where it is not, the test is skipped, but fails in CI if it is ``wanted``."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None and wanted and os.environ.get("CI") == "true":
        pytest.fail(f"CI needs {name}")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="module")
def behind(_valkey_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dispatcher]:
    """A dispatcher that believes a proxy on this machine, with an active custom hostname."""
    directory = tmp_path_factory.mktemp("behind")
    with serving(f"{_valkey_server}?db=4", directory, trusted_proxies="127.0.0.1/32") as started:
        hostnames, account = started.registry.hostnames, started.account_id
        hostnames.create(account, CUSTOM, metadata={"worker": "echo"})
        claim = hostnames.claims.take()
        assert claim is not None
        hostnames.claims.conclude(claim, "proved", [])
        yield started


class Proxy:
    """A proxy's two ports, and how a client speaks to them."""

    def __init__(self, plain: int, tls: int) -> None:
        self.plain = plain
        self.tls = tls

    def get(
        self, host: str, target: str = "/", *, tls: bool = True, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection(host, timeout=20)
        if tls:
            connection.sock = self.connect(host)
        else:
            connection.sock = socket.create_connection(("127.0.0.1", self.plain), 20)
        with contextlib.closing(connection):
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", target, headers=sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def connect(self, host: str) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self.tls), 20)
        try:
            return context.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise

    def certificate(self, host: str) -> x509.Certificate:
        with self.connect(host) as connection:
            data = connection.getpeercert(binary_form=True)
            assert data is not None
            return x509.load_der_x509_certificate(data)

    def is_up(self) -> bool:
        try:
            for port in (self.plain, self.tls):
                socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True


@contextlib.contextmanager
def running(command: list[str], proxy: Proxy, directory: Path, **values: str) -> Iterator[Proxy]:
    log = directory / "log"
    home = {"HOME": str(directory), "XDG_DATA_HOME": str(directory), "PATH": os.environ["PATH"]}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**home, **values}, cwd=directory
        )
    try:

        def is_up() -> bool:
            assert process.poll() is None, log.read_text()
            return proxy.is_up()

        eventually(is_up, "the proxy listens")
        yield proxy
    finally:
        finish(process)


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def certify(directory: Path, name: str) -> None:
    """A certificate of its own making, NAME.crt and NAME.key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (directory / f"{name}.crt").write_bytes(made.public_bytes(pem))
    (directory / f"{name}.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.fixture(scope="module")
def nginx(behind: Dispatcher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    path = program("nginx", wanted=True)
    directory = tmp_path_factory.mktemp("nginx")
    proxy = Proxy(free_port(), free_port())
    for name in ("default", CUSTOM):
        certify(directory, name)
    (directory / "hostnames.map").write_text(f"{CUSTOM} {CUSTOM};\n")
    text = replaced(
        (DEPLOY / "nginx/cloister.conf").read_text(),
        ("127.0.0.1:8787", f"127.0.0.1:{behind.port}"),
        ("    listen [::]:80 default_server;\n", ""),
        ("    listen [::]:443 ssl http2 default_server;\n", ""),
        ("listen 80 ", f"listen 127.0.0.1:{proxy.plain} "),
        ("listen 443 ", f"listen 127.0.0.1:{proxy.tls} "),
        ("/etc/cloister/certificates/", f"{directory}/"),
        ("/etc/cloister/", f"{directory}/"),
    )
    (directory / "cloister.conf").write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""
    places = "".join(
        f"{kind}_temp_path {directory}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"{user} daemon off; worker_processes 1; pid {directory}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; {places} include {directory}/cloister.conf; }}\n"
    )
    command = [path, "-p", str(directory), "-e", "stderr", "-c", str(directory / "nginx.conf")]
    with running(command, proxy, directory) as started:
        yield started


class Asked:
    """Stands for the control plane's ``/tls/ask``."""

    def __init__(self, known: set[str]) -> None:
        self.names: list[str] = []
        asked = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                (name,) = parse_qs(parts.query)["domain"]
                asked.names.append(name)
                assert parts.path == "/tls/ask"
                self.send_response(200 if name in known else 404)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    with contextlib.closing(Asked({HOST, CUSTOM})) as made:
        yield made


@pytest.fixture(scope="module")
def caddy(
    behind: Dispatcher, asked: Asked, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    path = program("caddy", wanted=False)
    directory = tmp_path_factory.mktemp("caddy")
    proxy = Proxy(free_port(), free_port())
    ports = f"\tadmin off\n\tskip_install_trust\n\thttp_port {proxy.plain}\n"
    text = replaced(
        (DEPLOY / "caddy/Caddyfile").read_text(),
        ("\ton_demand_tls", f"{ports}\thttps_port {proxy.tls}\n\ton_demand_tls"),
        # An authority of its own instead of a public one.
        ("\t\ton_demand\n", "\t\ton_demand\n\t\tissuer internal\n"),
    )
    (directory / "Caddyfile").write_text(text)
    command = [path, "run", "--config", str(directory / "Caddyfile"), "--adapter", "caddyfile"]
    places = {
        "CLOISTER_DISPATCH": f"127.0.0.1:{behind.port}",
        "CLOISTER_CONTROL": asked.address,
    }
    with running(command, proxy, directory, **places) as started:
        yield started


@pytest.fixture(params=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest) -> Proxy:
    found: Proxy = request.getfixturevalue(request.param)
    return found


def test_requests_reach_workers(proxy: Proxy) -> None:
    """By a name of the platform's and by a custom one; the target is as the client sent it, and who
    the client is says the proxy, whatever the client says."""
    lies = {"X_Forwarded_For": "8.8.8.8", "X_Forwarded_Host": "evil.test", "X_Real_IP": "8.8.4.4"}
    for host in (HOST, CUSTOM):
        status, _, body = proxy.get(host, "/a%20b//c?x=%41", X_Forwarded_Proto="http", **lies)
        assert status == 200
        seen = json.loads(body)
        assert seen["url"] == f"https://{host}/a%20b//c?x=%41"
        headers = dict(seen["headers"])
        assert headers["x-real-ip"] == "127.0.0.1"
        assert headers["host"] == host
        assert "8.8" not in str(headers)


def test_plain_http_is_the_way_to_tls(proxy: Proxy, behind: Dispatcher) -> None:
    """All but what proves a hostname, which has to be had without TLS."""
    status, headers, _ = proxy.get(HOST, "/a?b", tls=False)
    assert (status, headers["Location"]) == (308, f"https://{HOST}/a?b")
    made = behind.registry.hostnames.get(behind.account_id, CUSTOM)
    status, _, body = proxy.get(CUSTOM, f"/.cloister/hostnames/{made.id}", tls=False)
    assert (status, body) == (200, made.token.encode())
    status, _, body = proxy.get(CUSTOM, CHALLENGE, tls=False)
    assert json.loads(body)["url"] == f"http://{CUSTOM}{CHALLENGE}"


def test_the_inside_stays_inside(proxy: Proxy) -> None:
    """Metrics and readiness are not for visitors; health is."""
    assert proxy.get(HOST, "/.cloister/metrics")[0] == 404
    assert proxy.get(HOST, "/.cloister/readyz")[0] == 404
    assert proxy.get(HOST, "/.cloister/healthz")[0] == 200


def test_nginx_has_certificates_by_name(nginx: Proxy) -> None:
    """A custom hostname's own, the default one for all others, whatever they are called."""
    for host, name in ((CUSTOM, CUSTOM), (HOST, "default"), ("other.test", "default")):
        (found,) = nginx.certificate(host).subject
        assert found.value == name


def test_caddy_asks_before_it_gets_one(caddy: Proxy, asked: Asked) -> None:
    """Once for a name that serves; for another there is no certificate and no connection."""
    for host in (HOST, CUSTOM):
        caddy.connect(host).close()
        assert asked.names.count(host) == 1
    with pytest.raises(ssl.SSLError):
        caddy.connect("stranger.test")
    assert "stranger.test" in asked.names
