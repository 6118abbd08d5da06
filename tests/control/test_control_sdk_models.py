"""The official SDK's response models: which of their fields are there, of every kind of thing that
is no script of many settings. What is missing is written down here and in the documentation.
"""

from typing import Any

import cloudflare
import pytest
from cloudflare import BaseModel, Cloudflare

ACCOUNT = "a" * 32
A = {"account_id": ACCOUNT}
WHERE: dict[str, Any] = {**A, "dispatch_namespace": "production"}
FILES = [("worker.py", b"from workers import WorkerEntrypoint\n", "text/x-python")]
SETTINGS = {
    "http2": "on",
    "min_tls_version": "1.2",
    "tls_1_3": "on",
    "early_hints": "off",
    "ciphers": ["ECDHE-RSA-AES128-GCM-SHA256"],
}
CERTIFICATE = {
    f"ssl.{name}"
    for name in (
        "custom_certificate",
        "custom_csr_id",
        "custom_key",
        "dcv_delegation_records",
        "expires_on",
        "issuer",
        "serial_number",
        "signature",
        "uploaded_on",
    )
}
"""The proxy has the certificates."""

TOKEN = {
    "condition",
    "creator_email_at_creation",
    "last_used_on",
    "not_before",
    "policies.permission_groups.meta",
    "provisioner_id",
    "provisioner_type",
}


def missing(model: object, path: str = "") -> set[str]:
    """Paths of the model's fields that the answer did not have."""
    if isinstance(model, list):
        return set().union(*(missing(item, path) for item in model))
    if not isinstance(model, BaseModel):
        return set()
    found: set[str] = set()
    for name in type(model).model_fields:
        inner = f"{path}{name}"
        if name in model.model_fields_set:
            found |= missing(getattr(model, name), f"{inner}.")
        else:
            found.add(inner)
    return found


def test_namespaces_and_what_is_in_them(sdk: Cloudflare) -> None:
    """Of a namespace, an upload, a script, its bindings, secrets and assets, nothing is missing."""
    namespaces = sdk.workers_for_platforms.dispatch.namespaces
    assert not missing(namespaces.create(account_id=ACCOUNT, name="staging"))
    assert not missing(list(namespaces.list(account_id=ACCOUNT)))
    assert not missing(namespaces.get("staging", account_id=ACCOUNT))
    scripts = namespaces.scripts
    metadata: Any = {
        "main_module": "worker.py",
        "bindings": [
            {"type": "plain_text", "name": "T", "text": "x"},
            {"type": "secret_text", "name": "K", "text": "x"},
        ],
    }
    assert not missing(scripts.update("hello", metadata=metadata, files=FILES, **WHERE))
    assert not missing(scripts.get("hello", **WHERE))
    content: Any = {"main_module": "worker.py"}
    assert not missing(scripts.content.update("hello", metadata=content, files=FILES, **WHERE))
    assert not missing(list(scripts.bindings.get("hello", **WHERE)))
    assert not missing(list(scripts.secrets.list("hello", **WHERE)))
    assert not missing(scripts.secrets.get("K", script_name="hello", **WHERE))
    said: Any = {"name": "K2", "text": "x", "type": "secret_text"}
    assert not missing(scripts.secrets.update("hello", **said, **WHERE))
    manifest: Any = {"/a": {"hash": "a" * 32, "size": 1}}
    assert not missing(scripts.asset_upload.create("hello", manifest=manifest, **WHERE))


def test_zones_and_hostnames(sdk: Cloudflare) -> None:
    """Of a zone nothing is missing; of a hostname what would be known of its certificate."""
    (zone,) = sdk.zones.list()
    assert not missing(zone)
    assert not missing(sdk.zones.get(zone_id=zone.id))
    for said in ({"account": {"id": "b" * 32}}, {"name": "other"}, {"type": ["partial"]}):
        assert list(sdk.zones.list(**said)) == []
    assert len(list(sdk.zones.list(account={"name": "Test"}, status="active", name=zone.name))) == 1
    sdk.workers_for_platforms.dispatch.namespaces.scripts.update(
        "shop", metadata={"main_module": "worker.py"}, files=FILES, **WHERE
    )
    hostnames = sdk.custom_hostnames
    ssl: Any = {"method": "txt", "type": "dv", "settings": SETTINGS, "wildcard": True}
    made = hostnames.create(
        zone_id=zone.id,
        hostname="shop.example.org",
        ssl=ssl,
        custom_origin_server="shop.localhost",
        custom_metadata={"a": "b"},
    )
    lacks = CERTIFICATE | {"custom_origin_sni"}
    assert missing(made) == lacks
    assert missing(list(hostnames.list(zone_id=zone.id))) == lacks
    assert missing(hostnames.get(made.id, zone_id=zone.id)) == lacks
    assert missing(hostnames.edit(made.id, zone_id=zone.id, ssl=ssl)) == lacks
    assert not missing(hostnames.delete(made.id, zone_id=zone.id))
    assert not missing(hostnames.quota.get(zone_id=zone.id))
    fallback = hostnames.fallback_origin
    assert not missing(fallback.update(zone_id=zone.id, origin="shop.localhost"))
    assert not missing(fallback.get(zone_id=zone.id))
    assert not missing(fallback.delete(zone_id=zone.id))


def test_accounts_and_tokens(sdk: Cloudflare) -> None:
    """Of accounts and tokens what there is nobody and nothing to say it of."""
    lacks = {"managed_by", "settings.abuse_contact_email"}
    assert missing(list(sdk.accounts.list())) == lacks
    assert missing(sdk.accounts.get(account_id=ACCOUNT)) == lacks
    tokens = sdk.accounts.tokens
    groups = list(tokens.permission_groups.list(account_id=ACCOUNT))
    assert not missing(groups)
    assert not missing(list(tokens.permission_groups.get(account_id=ACCOUNT)))
    assert [group.id for group in groups] == ["workers.read", "workers.write"]
    resource = f"com.cloudflare.api.account.{ACCOUNT}"
    policy: Any = {
        "effect": "allow",
        "permission_groups": [{"id": groups[0].id}],
        "resources": {resource: "*"},
    }
    made = tokens.create(
        account_id=ACCOUNT, name="ci", policies=[policy], expires_on="2099-01-01T00:00:00Z"
    )
    assert made is not None
    assert made.id is not None
    assert missing(made) == TOKEN
    assert missing(tokens.get(made.id, account_id=ACCOUNT)) == TOKEN
    assert missing(sdk.user.tokens.verify()) == {"expires_on", "not_before"}


def test_a_token_is_rolled(sdk: Cloudflare) -> None:
    """Its text is another one, which has the same rights; the old one is refused from then on."""
    tokens = sdk.accounts.tokens
    made: Any = tokens.create(account_id=ACCOUNT, name="ci", policies=_read())
    text = tokens.value.update(made.id, account_id=ACCOUNT)
    assert text != made.value
    with pytest.raises(cloudflare.AuthenticationError):
        sdk.with_options(api_token=made.value).user.tokens.verify()
    rolled = sdk.with_options(api_token=text)
    assert rolled.user.tokens.verify().id == made.id
    with pytest.raises(cloudflare.PermissionDeniedError):
        rolled.kv.namespaces.create(account_id=ACCOUNT, title="t")
    with pytest.raises(cloudflare.PermissionDeniedError):
        rolled.accounts.tokens.value.update(made.id, account_id=ACCOUNT)
    with pytest.raises(cloudflare.NotFoundError):
        tokens.value.update("0" * 32, account_id=ACCOUNT)


def _read() -> Any:
    return [
        {
            "effect": "allow",
            "permission_groups": [{"id": "workers.read"}],
            "resources": {f"com.cloudflare.api.account.{ACCOUNT}": "*"},
        }
    ]


def test_kv(sdk: Cloudflare) -> None:
    """Of a KV namespace the jurisdiction; its title is the account's only one."""
    made: Any = sdk.kv.namespaces.create(account_id=ACCOUNT, title="t")
    assert missing(made) == {"jurisdiction"}
    assert missing(sdk.kv.namespaces.get(made.id, account_id=ACCOUNT)) == {"jurisdiction"}
    with pytest.raises(cloudflare.BadRequestError) as caught:
        sdk.kv.namespaces.create(account_id=ACCOUNT, title="t")
    assert caught.value.errors[0].code == 10014


def test_plain_workers_are_found(sdk: Cloudflare) -> None:
    """By part of the name or by id, in each order, page by page; no user worker is."""
    scripts = sdk.workers.scripts
    for name in ("outbound", "tail", "dispatch"):
        scripts.update(name, metadata={"main_module": "worker.py"}, files=FILES, **A)
    sdk.workers_for_platforms.dispatch.namespaces.scripts.update(
        "tail-of-a-user", metadata={"main_module": "worker.py"}, files=FILES, **WHERE
    )

    def found(**said: Any) -> list[str]:
        return [item.script_name for item in scripts.search(**A, **said) or []]

    everything = scripts.search(**A)
    assert not missing(everything)
    assert found() == ["dispatch", "outbound", "tail"] == found(order_by="name")
    assert found(order_by="created_on") == ["outbound", "tail", "dispatch"]
    assert found(name="ta") == ["tail"]
    assert found(page=2, per_page=2) == ["tail"]
    assert found(id=everything[0].id) == ["dispatch"]
    assert found(id="none") == []
