"""What is said of custom hostnames' certificates. It is kept and shown: the proxy has them."""

from typing import Any, Literal

import msgspec

from cloister.registry import HostnameView

SSL_STATUSES = {
    "active": ("active",),
    "pending_validation": ("pending", "moved"),
    "inactive": ("deleted", "blocked"),
}
"""Of a certificate, by what may become of a hostname."""

OnOff = Literal["on", "off"]


class SslSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wished for; what TLS is like is the proxy's matter."""

    http2: OnOff | None = None
    min_tls_version: Literal["1.0", "1.1", "1.2", "1.3"] | None = None
    tls_1_3: OnOff | None = None
    early_hints: OnOff | None = None
    ciphers: list[str] | None = None


class Ssl(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked of the certificate. Your own is given to the proxy, not here."""

    method: Literal["http", "txt"] | None = None
    type: Literal["dv"] | None = None
    settings: SslSettings | None = None
    bundle_method: Literal["ubiquitous", "optimal", "force"] | None = None
    certificate_authority: Literal["digicert", "google", "lets_encrypt", "ssl_com"] | None = None
    wildcard: bool | None = None
    custom_certificate: None = None
    custom_key: None = None
    custom_csr_id: None = None


class ShownSsl(msgspec.Struct, frozen=True, kw_only=True):
    """Certificates are had by the proxy, on demand, once the hostname is active."""

    id: str
    status: Literal["active", "pending_validation", "inactive"]
    method: str
    settings: dict[str, Any]
    bundle_method: str
    wildcard: bool
    certificate_authority: str | None
    hosts: list[str]
    type: str = "dv"
    validation_records: list[dict[str, Any]] = []
    validation_errors: list[dict[str, Any]] = []


def asked(said: Ssl | None, present: dict[str, Any]) -> dict[str, Any] | None:
    """What is kept of what the body says; None where it says nothing."""
    if said is None:
        return None
    fields: dict[str, Any] = msgspec.to_builtins(said)
    fields.pop("wildcard", None)
    return {**present, **fields}


def shown(found: HostnameView) -> ShownSsl:
    """What a hostname's certificate is to be like."""
    asked = found.ssl
    status = next(name for name, of in SSL_STATUSES.items() if found.status in of)
    hosts = [found.hostname, f"*.{found.hostname}"] if found.wildcard else [found.hostname]
    return ShownSsl(
        id=found.id,
        status=status,  # type: ignore[arg-type]  # the keys are just those
        method=asked.get("method", "http"),
        settings=asked.get("settings", {}),
        bundle_method=asked.get("bundle_method", "ubiquitous"),
        wildcard=found.wildcard,
        certificate_authority=asked.get("certificate_authority"),
        hosts=hosts,
    )
