"""The unmodified official SDK drives the API: every call of its that we serve."""

from typing import Any

import cloudflare
import pytest
from cloudflare import Cloudflare

ACCOUNT = "a" * 32
WHERE: dict[str, Any] = {"account_id": ACCOUNT, "dispatch_namespace": "production"}
HELLO = b"from workers import WorkerEntrypoint, Response\n"
FILES = [("worker.py", HELLO, "text/x-python")]


def deploy(sdk: Cloudflare, name: str = "hello", **metadata: Any) -> Any:
    scripts = sdk.workers_for_platforms.dispatch.namespaces.scripts
    said = {"main_module": "worker.py", "compatibility_date": "2025-08-14", **metadata}
    return scripts.update(name, metadata=said, files=FILES, **WHERE)


def test_namespaces(sdk: Cloudflare) -> None:
    """Create, list, get and delete give the product's fields."""
    namespaces = sdk.workers_for_platforms.dispatch.namespaces
    made = namespaces.create(account_id=ACCOUNT, name="staging")
    assert made is not None
    assert made.namespace_name == "staging"
    assert made.trusted_workers is False
    assert made.script_count == 0
    assert made.created_on is not None
    assert made.modified_by == ACCOUNT
    assert [n.namespace_name for n in namespaces.list(account_id=ACCOUNT)] == [
        "production",
        "staging",
    ]
    got = namespaces.get("staging", account_id=ACCOUNT)
    assert got is not None
    assert got.namespace_id == made.namespace_id
    namespaces.delete("staging", account_id=ACCOUNT)
    with pytest.raises(cloudflare.NotFoundError) as caught:
        namespaces.get("staging", account_id=ACCOUNT)
    assert caught.value.errors[0].code == 100119


def test_upload_answers_as_the_product_does(sdk: Cloudflare) -> None:
    """An upload's result has every field of the reference, with the compiler's findings."""
    made = deploy(
        sdk,
        tags=["customer-1", "pro"],
        compatibility_flags=["python_workers"],
        observability={"enabled": True},
        limits={"cpu_ms": 50, "subrequests": 5},
        bindings=[
            {"type": "plain_text", "name": "GREETING", "text": "hi"},
            {"type": "secret_text", "name": "KEY", "text": "hush"},
            {"type": "json", "name": "CONFIG", "json": {"a": [1, 2]}},
        ],
    )
    assert made.id == "hello"
    assert made.tags == ["customer-1", "pro"]
    assert made.handlers == ["fetch"]
    assert made.startup_time_ms == 3
    assert made.entry_point == "worker.py"
    assert made.has_modules is True
    assert made.has_assets is False
    assert made.compatibility_date == "2025-08-14"
    assert made.compatibility_flags == ["python_workers"]
    assert made.observability.enabled is True
    assert made.usage_model == "standard"
    assert len(made.tag) == 32
    assert len(made.etag) == 64
    again = deploy(sdk)
    assert (again.tag, again.etag, again.tags) == (made.tag, made.etag, ["customer-1", "pro"])


def test_get_content_settings_and_bindings(sdk: Cloudflare) -> None:
    """What was uploaded is read back; secrets without their text; settings change in part."""
    scripts = sdk.workers_for_platforms.dispatch.namespaces.scripts
    deploy(sdk, bindings=[{"type": "secret_text", "name": "KEY", "text": "hush"}])
    got = scripts.get("hello", **WHERE)
    assert got.dispatch_namespace == "production"
    assert got.script is not None
    assert got.script.id == "hello"
    assert scripts.content.get("hello", **WHERE).read() == HELLO
    replaced = scripts.content.update(
        "hello",
        metadata={"main_module": "other.py"},
        files=[("other.py", b"x = 1\n", "text/x-python")],
        **WHERE,
    )
    assert replaced.etag != got.script.etag
    assert scripts.content.get("hello", **WHERE).read() == b"x = 1\n"
    settings = scripts.settings.edit(
        "hello", settings={"tags": ["x"], "limits": {"cpu_ms": 7}, "logpush": True}, **WHERE
    )
    assert settings is not None
    assert settings.tags == ["x"]
    assert settings.limits is not None
    assert settings.limits.cpu_ms == 7
    read = scripts.settings.get("hello", **WHERE)
    assert read is not None
    assert read.to_dict() == settings.to_dict()
    bindings = scripts.bindings.get("hello", **WHERE).result
    assert [b.to_dict() for b in bindings] == [{"type": "secret_text", "name": "KEY"}]


def test_secrets(sdk: Cloudflare) -> None:
    """Put, list, get, bulk and delete; no answer ever has the text."""
    secrets = sdk.workers_for_platforms.dispatch.namespaces.scripts.secrets
    deploy(sdk)
    put = secrets.update("hello", name="ONE", text="1", type="secret_text", **WHERE)
    assert put.to_dict() == {"name": "ONE", "type": "secret_text"}
    bulk = secrets.bulk_update(
        "hello",
        secrets={
            "TWO": {"name": "TWO", "type": "secret_text", "text": "2"},
            "THREE": {"name": "THREE", "type": "secret_text", "text": "3"},
            "ONE": None,
        },
        **WHERE,
    )
    assert sorted(bulk) == ["THREE", "TWO"]
    assert secrets.get("TWO", script_name="hello", **WHERE).name == "TWO"
    secrets.delete("TWO", script_name="hello", **WHERE)
    assert [s.name for s in secrets.list("hello", **WHERE)] == ["THREE"]
    with pytest.raises(cloudflare.NotFoundError) as caught:
        secrets.delete("TWO", script_name="hello", **WHERE)
    assert caught.value.errors[0].code == 10056


def test_tags_and_delete(sdk: Cloudflare) -> None:
    """Tags are replaced and listed; a deleted script is gone, with the right code."""
    scripts = sdk.workers_for_platforms.dispatch.namespaces.scripts
    deploy(sdk)
    scripts.tags.update("hello", body=["b", "a"], **WHERE)
    assert list(scripts.tags.list("hello", **WHERE)) == ["a", "b"]
    scripts.delete("hello", **WHERE)
    with pytest.raises(cloudflare.NotFoundError) as caught:
        scripts.get("hello", **WHERE)
    assert caught.value.errors[0].code == 10092


def test_kv(sdk: Cloudflare) -> None:
    """Namespaces, pairs with any key, metadata, expiration and bulk calls."""
    kv = sdk.kv.namespaces
    made = kv.create(account_id=ACCOUNT, title="store")
    assert made is not None
    assert made.supports_url_encoding is True
    where: dict[str, Any] = {"account_id": ACCOUNT, "namespace_id": made.id}
    key = "a/b c%2F?#&+/ü/"
    kv.values.update(key, value=b"\x00\xff", metadata={"n": 1}, expiration_ttl=3600, **where)
    assert kv.values.get(key, **where).read() == b"\x00\xff"
    assert kv.metadata.get(key, **where) == {"n": 1}
    (listed,) = kv.keys.list(**where, prefix="a/b")
    assert listed.name == key
    assert listed.metadata == {"n": 1}
    assert listed.expiration is not None
    bulk = kv.bulk_update(
        made.id,
        account_id=ACCOUNT,
        body=[{"key": f"k{n:03}", "value": "YQ==", "base64": True} for n in range(25)],
    )
    assert bulk is not None
    assert bulk.successful_key_count == 25
    assert len(list(kv.keys.list(**where, prefix="k", limit=10))) == 25
    read = kv.bulk_get(made.id, account_id=ACCOUNT, keys=["k001", "gone"])
    assert read is not None
    assert read.values == {"k001": "a", "gone": None}
    kv.bulk_delete(made.id, account_id=ACCOUNT, body=["k001"])
    kv.values.delete(key, **where)
    with pytest.raises(cloudflare.NotFoundError) as caught:
        kv.values.get(key, **where)
    assert caught.value.errors[0].code == 10009
    assert kv.update(made.id, account_id=ACCOUNT, title="renamed").title == "renamed"
    assert [n.title for n in kv.list(account_id=ACCOUNT)] == ["renamed"]
    kv.delete(made.id, account_id=ACCOUNT)
    with pytest.raises(cloudflare.NotFoundError):
        kv.get(made.id, account_id=ACCOUNT)


def test_accounts_and_tokens(sdk: Cloudflare) -> None:
    """The token verifies; the account lists; tokens are made, used, listed and revoked."""
    verified = sdk.user.tokens.verify()
    assert verified is not None
    assert verified.status == "active"
    assert [a.id for a in sdk.accounts.list()] == [ACCOUNT]
    user = sdk.user.get()
    assert user is not None
    assert user.id == verified.id
    assert [(m.status, m.account.id) for m in sdk.memberships.list()] == [("accepted", ACCOUNT)]
    resource = f"com.cloudflare.api.account.{ACCOUNT}.dispatch.production"
    made = sdk.accounts.tokens.create(
        account_id=ACCOUNT,
        name="ci",
        policies=[
            {
                "id": "p",
                "effect": "allow",
                "permission_groups": [{"id": "workers.read"}],
                "resources": {resource: "*"},
            }
        ],
        expires_on="2099-01-01T00:00:00Z",
    )
    assert made is not None
    assert made.value is not None
    assert made.id is not None
    limited = sdk.with_options(api_token=made.value)
    scripts = limited.workers_for_platforms.dispatch.namespaces.scripts
    with pytest.raises(cloudflare.PermissionDeniedError):
        scripts.delete("hello", **WHERE)
    assert len(list(sdk.accounts.tokens.list(account_id=ACCOUNT))) == 2
    sdk.accounts.tokens.delete(made.id, account_id=ACCOUNT)
    with pytest.raises(cloudflare.AuthenticationError):
        limited.user.tokens.verify()
