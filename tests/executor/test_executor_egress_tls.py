"""fetch() over TLS: whoever answers at a checked address still has to prove whose name it is."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from executor_origin import LOOPBACK, Unmetered, ok

from cloister.settings import Settings
from executor.egress import client as client_module
from executor.egress.client import Client
from executor.egress.guard import HostRules
from executor.egress.redirects import OutgoingRequest
from executor.egress.response import FetchFailed


async def resolve(host: str, port: int) -> list[str]:
    """Every name is this machine."""
    return ["127.0.0.1"]


class Authority:
    """Signs certificates for the tests."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
        self.pem = self._sign(self._name, self._key, None, 1)

    def server(self, *names: str, days: int = 1) -> ssl.SSLContext:
        """What a server shows that is called so; from the past if ``days`` is negative."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        path = self._directory / f"{names[0]}.{days}.pem"
        path.write_bytes(
            self._sign(subject, key, names, days)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: tuple[str, ...] | None,
        days: int,
    ) -> bytes:
        now = dt.datetime.now(dt.UTC)
        begin, end = sorted((now - dt.timedelta(days=2), now + dt.timedelta(days=days)))
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
            .add_extension(_usage(is_authority=names is None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(self._issuer(), critical=False)
        )
        if names is not None:
            alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def _issuer(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    """From Python 3.13 on, RFC 5280 is held to: an authority may sign certificates."""
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """One that the client trusts besides all others."""
    made = Authority(tmp_path)
    context = client_module.tls.__wrapped__()
    context.load_verify_locations(cadata=made.pem.decode())
    monkeypatch.setattr(client_module, "tls", lambda: context)
    return made


async def over_tls(shown: ssl.SSLContext, host: str) -> tuple[bytes, list[str | None]]:
    """What a server answers that shows this, and which names it was asked for."""
    asked: list[str | None] = []
    shown.sni_callback = lambda _sock, name, _context: asked.append(name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ok())
            await reader.read()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=shown) as server:
        port = server.sockets[0].getsockname()[1]
        return await fetched(f"https://{host}:{port}/", port), asked


async def fetched(url: str, port: int) -> bytes:
    """The body at a URL."""
    settings = Settings(egress_ports=(port,), egress_private=LOOPBACK)
    client = Client(settings, resolve, [HostRules()], Unmetered())
    try:
        response = await client.fetch(OutgoingRequest(url=url, headers=[]))
        return await response.body.read()
    finally:
        await client.close()


async def test_a_server_proves_its_name(authority: Authority) -> None:
    """The name of the URL is asked for and checked, whatever the address that it has."""
    shown = authority.server("a.example")
    assert await over_tls(shown, "a.example") == (b"ok", ["a.example"])
    assert (await over_tls(authority.server("127.0.0.1"), "127.0.0.1"))[0] == b"ok"


@pytest.mark.parametrize(
    ("names", "days", "host"),
    [
        (("b.example",), 1, "a.example"),
        (("127.0.0.1",), 1, "a.example"),
        (("a.example",), 1, "127.0.0.1"),
        (("a.example",), -1, "a.example"),
    ],
)
async def test_a_server_that_is_another_gets_no_request(
    authority: Authority, names: tuple[str, ...], days: int, host: str
) -> None:
    """A certificate for another name, for the address only, for the name only where the address was
    asked for, or of yesterday."""
    with pytest.raises(FetchFailed, match="lost"):
        await over_tls(authority.server(*names, days=days), host)


async def test_a_server_that_nobody_vouches_for(authority: Authority, tmp_path: Path) -> None:
    """Signed by an authority of its own."""
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    with pytest.raises(FetchFailed, match="lost"):
        await over_tls(stranger.server("a.example"), "a.example")


async def test_a_server_without_tls(authority: Authority) -> None:
    """https: is never answered in the clear."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read(1) != b"G"
        writer.write(ok())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(FetchFailed, match="lost"):
            await fetched(f"https://a.example:{port}/", port)
