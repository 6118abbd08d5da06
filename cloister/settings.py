"""Every setting of Cloister: one typed record, read from the environment once, at the edge.

A field's environment variable is ``CLOISTER_`` plus its name in capitals. Library code takes values
from a :class:`Settings`, never from ``os.environ``. ``docs/operators.md`` lists the same records
(a test keeps the two together).
"""

import ipaddress
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from cloister.errors import SettingInvalid

MIB = 1024 * 1024

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _text(value: str) -> str:
    return value


def _whole(value: str) -> int:
    number = int(value)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _flag(value: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if value.lower() not in known:
        raise ValueError("must be one of 1, 0, true, false, yes, no")
    return known[value.lower()]


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be HOST:PORT")
    return value


def _names(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _ports(value: str) -> tuple[int, ...]:
    ports = tuple(int(part) for part in _names(value))
    if any(not 0 < port < 65536 for port in ports):
        raise ValueError("must be ports between 1 and 65535, separated by commas")
    return ports


def _networks(value: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part) for part in _names(value))


def _ids(value: str) -> tuple[int, int]:
    first, last = (int(part) for part in value.split("-"))
    if not 0 < first < last < 2**32 - 1:
        raise ValueError("must be FIRST-LAST, without that of root")
    return first, last


def _setting(default: Any, doc: str, parse: Callable[[str], Any] = _text) -> Any:
    return field(default=default, metadata={"doc": doc, "parse": parse})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator decides. An empty string means "embedded" or "generated" where so said."""

    data: str = _setting(".cloister", "Directory of everything embedded: database, files, sockets.")
    dispatch_bind: str = _setting("127.0.0.1:8787", "Address of the dispatcher.", _address)
    control_bind: str = _setting("127.0.0.1:8788", "Address of the API and dashboard.", _address)
    domain: str = _setting("localhost", "Parent domain of tenants' hostnames.")
    account_id: str = _setting("", "Id of the first account, 32 hex digits. Generated if empty.")
    api_token: str = _setting("", "Token of the first account. Generated if empty.")
    secret_key: str = _setting(
        "", "Encrypts secrets at rest. Generated and kept in the data directory if empty."
    )
    redis_url: str = _setting("", "Valkey or Redis. Embedded if empty (REDIS_URL is read too).")
    database_url: str = _setting("", "SQLAlchemy URL of the registry. Embedded SQLite if empty.")
    object_store_url: str = _setting("", "Where blobs live (file, s3, gs, az). Embedded if empty.")

    dispatch_worker: str = _setting(
        "dispatcher.default:DefaultDispatchWorker",
        "The dispatch worker, module:Class: trusted code of the operator's.",
    )
    dispatch_script: str = _setting(
        "",
        "A plain Worker of the first account: it gets what no other worker is found for.",
    )
    default_namespace: str = _setting("production", "Namespace of {worker}.{domain}.")
    trusted_proxies: tuple[Network, ...] = _setting(
        (), "Networks whose X-Forwarded-* headers are believed, by CIDR.", _networks
    )
    dispatcher_processes: int = _setting(1, "Dispatcher processes of `cloister up`.", _whole)
    executor_processes: int = _setting(
        0, "Executor processes of `cloister up`. 0 is one for every two cores.", _whole
    )
    executor_namespaces: tuple[str, ...] = _setting(
        (), "Namespaces that this executor serves. Empty serves all.", _names
    )

    default_cpu_ms: int = _setting(1_000, "CPU time of one invocation, milliseconds.", _whole)
    default_memory_mb: int = _setting(128, "Memory of one isolate, MiB.", _whole)
    default_wall_ms: int = _setting(30_000, "Wall time of one invocation, milliseconds.", _whole)
    default_subrequests: int = _setting(50, "Subrequests of one invocation.", _whole)
    max_cpu_ms: int = _setting(30_000, "Ceiling of CPU time that anyone may set.", _whole)
    max_memory_mb: int = _setting(1_024, "Ceiling of memory that anyone may set.", _whole)
    max_wall_ms: int = _setting(300_000, "Ceiling of wall time that anyone may set.", _whole)
    max_subrequests: int = _setting(10_000, "Ceiling of subrequests that anyone may set.", _whole)
    wait_until_ms: int = _setting(
        30_000, "How long waitUntil work may go on after the response, milliseconds.", _whole
    )
    startup_cpu_ms: int = _setting(
        1_000, "CPU time of a worker's top-level code, milliseconds.", _whole
    )

    request_body_bytes: int = _setting(100 * MIB, "Largest request body; then 413.", _whole)
    response_body_bytes: int = _setting(
        1024 * MIB, "Largest response body; then the response is cut off.", _whole
    )
    log_bytes: int = _setting(128 * 1024, "Log output kept of one invocation, bytes.", _whole)
    logs_kept: int = _setting(1_000, "Invocation records kept for each worker.", _whole)
    versions_kept: int = _setting(
        100,
        "Newest versions kept of each worker, at least 1. What is deployed is kept besides.",
        _whole,
    )
    worker_concurrency: int = _setting(
        100, "Invocations of one worker at once in one executor; the next ones wait.", _whole
    )
    executor_concurrency: int = _setting(
        512, "Invocations at once in one executor process; the rest stay queued.", _whole
    )
    namespace_queue: int = _setting(
        1_000, "Requests of one namespace that a dispatcher lets wait; then 503.", _whole
    )
    queue_wait_ms: int = _setting(
        10_000,
        "How long an invocation may wait for an executor, beyond its wall time; then 504.",
        _whole,
    )
    packages: tuple[str, ...] = _setting(
        (),
        "Installed packages that workers of the full language may import, with what those require: "
        "names of distributions or top-level modules. Other namespaces never see them.",
        _names,
    )
    blank_isolates: int = _setting(
        16, "Sandboxed isolates that stand ready for any tenant.", _whole
    )
    warm_isolates: int = _setting(256, "Idle isolates kept loaded in one executor.", _whole)
    isolate_idle_s: int = _setting(300, "An idle isolate is dropped after so many seconds.", _whole)
    sandbox_accept: tuple[str, ...] = _setting(
        (),
        "Kernel facilities the operator accepts to do without, by the names `cloister doctor` "
        "prints. Empty accepts no weaker sandbox.",
        _names,
    )
    sandbox_ids: tuple[int, int] = _setting(
        (2_013_265_920, 2_147_352_575),
        "Where the executor is root: user and group ids of the host, FIRST-LAST, that nobody else "
        "has. Isolates get them.",
        _ids,
    )

    databases: bool = _setting(
        True,
        "Whether an executor here serves the SQL databases, whose files are in the data directory: "
        "those of one machine only.",
        _flag,
    )
    databases_open: int = _setting(
        32, "SQL databases open at once, each in a process of its own.", _whole
    )
    database_idle_s: int = _setting(
        60, "A SQL database that nobody asks is closed after so many seconds.", _whole
    )

    objects_active: int = _setting(
        64,
        "Durable Objects active at once in one executor, each with an isolate and a process for "
        "its storage.",
        _whole,
    )
    object_idle_s: int = _setting(
        30, "A Durable Object that nobody calls leaves memory after so many seconds.", _whole
    )
    r2_bucket_bytes: int = _setting(
        100 * 1024 * MIB,
        "What an R2 bucket may hold: its objects and unfinished uploads, and 1 KiB more for each.",
        _whole,
    )

    egress_ports: tuple[int, ...] = _setting(
        (80, 443, 8080, 8443), "Ports that fetch() may connect to.", _ports
    )
    egress_private: tuple[Network, ...] = _setting(
        (), "Private or loopback networks that fetch() may reach all the same, by CIDR.", _networks
    )
    egress_body_bytes: int = _setting(100 * MIB, "Largest body fetch() receives.", _whole)
    egress_wait_s: int = _setting(30, "Longest wait for a subrequest's next bytes.", _whole)

    hostname_resolver: str = _setting(
        "",
        "Who is asked for the DNS records that prove a custom hostname: a name server, HOST:PORT, "
        "or module:Class. This machine's resolvers if empty.",
    )
    asset_files: int = _setting(
        20_000, "Files of a version's static assets, at most 20,000; then 400. 0: that.", _whole
    )
    asset_bytes: int = _setting(
        1024 * MIB, "Bytes of a version's static assets, as uploaded; then 400. 0: any.", _whole
    )
    namespace_asset_files: int = _setting(
        0, "Files of the static assets that are live in a namespace; then 400. 0: any.", _whole
    )
    namespace_asset_bytes: int = _setting(
        0, "Bytes of the static assets that are live in a namespace; then 400. 0: any.", _whole
    )
    hostnames: int = _setting(
        100_000, "Custom hostnames that an account may have; then 403. 0: any number.", _whole
    )
    api_requests: int = _setting(
        1_200, "Requests to the API that a token may make in 5 minutes; then 429. 0: any.", _whole
    )
    log_json: bool = _setting(False, "Write the platform's own log as JSON lines.", _flag)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the environment, strictly.

        Raises:
            SettingInvalid: a value does not parse, or a ``CLOISTER_`` variable is not a setting.
        """
        env = os.environ if environ is None else environ
        known = {variable(item): item for item in fields(cls)}
        values = {
            item.name: _parse(name, item, env[name])
            for name, item in known.items()
            if env.get(name)
        }
        if not values.get("redis_url") and env.get("REDIS_URL"):
            values["redis_url"] = env["REDIS_URL"]
        for name in env:
            if name.startswith("CLOISTER_") and name not in known:
                raise SettingInvalid(f"{name} is not a setting of Cloister.")
        return cls(**values)

    @property
    def data_dir(self) -> Path:
        """The data directory as an absolute path."""
        return Path(self.data).absolute()


def variable(item: "Field[Any]") -> str:
    """The environment variable of a settings field."""
    return f"CLOISTER_{item.name.upper()}"


def _parse(name: str, item: "Field[Any]", value: str) -> Any:
    try:
        return item.metadata["parse"](value)
    except ValueError as exc:
        raise SettingInvalid(f"{name}={value!r}: {exc}.") from exc


def new_key() -> str:
    """A fresh ``CLOISTER_SECRET_KEY``: 32 random bytes as hex."""
    return secrets.token_hex(32)
