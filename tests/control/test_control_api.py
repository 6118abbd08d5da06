"""The API as curl and plain clients meet it: auth, errors, uploads, settings, tags, lists."""

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from cloister.messages import CompileAnswer, Complaint, log_list
from cloister.outcomes import Outcome
from cloister.registry import Registry
from cloister.secrets import open_cipher
from cloister.settings import Settings
from cloister.trial import unseal

ACCOUNT = "a" * 32
OTHER_ACCOUNT = "b" * 32
N = "/workers/dispatch/namespaces/production"
S = f"{N}/scripts/hello"
KV = "/storage/kv/namespaces"

Upload = Callable[..., httpx.Response]


def codes(response: httpx.Response) -> list[int]:
    body = response.json()
    assert set(body) == {"success", "errors", "messages", "result"}
    assert body["success"] is False
    assert body["result"] is None
    return [error["code"] for error in body["errors"]]


def result(response: httpx.Response) -> Any:
    body = response.json()
    assert response.status_code == 200, body
    assert body["success"] is True
    assert body["errors"] == []
    return body["result"]


def as_token(registry: Registry, **rights: Any) -> dict[str, str]:
    made = registry.tokens.create(ACCOUNT, "t", **rights)
    return {"Authorization": f"Bearer {made.text}"}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic dGVzdA==", "Bearer \xff"])
def test_bad_tokens_are_401(url: str, header: str) -> None:
    """Missing, malformed and wrong tokens are 401 with 10000."""
    with httpx.Client(trust_env=False) as client:
        response = client.get(
            f"{url}/client/v4/accounts/{ACCOUNT}{N}",
            headers={"Authorization": header.encode("latin-1")} if header else {},  # type: ignore[dict-item]
        )
    assert response.status_code == 401
    assert codes(response) == [10000]


def test_expired_token_is_401(api: httpx.Client, registry: Registry) -> None:
    """A token stops at its time."""
    headers = as_token(registry, expires_at=1)
    assert api.get(N, headers=headers).status_code == 401


def test_other_account_is_403_whether_or_not_it_exists(url: str, api: httpx.Client) -> None:
    """A token learns nothing of other accounts."""
    for account in (OTHER_ACCOUNT, "c" * 32, "x"):
        response = api.get(f"{url}/client/v4/accounts/{account}{N}")
        assert response.status_code == 403
        assert codes(response) == [10000]


def test_read_only_token(api: httpx.Client, registry: Registry, upload: Upload) -> None:
    """It reads, bulk reads by POST included; every write is refused and changes nothing."""
    upload("hello")
    kv = registry.kv.namespaces.create(ACCOUNT, "store").id
    headers = as_token(registry, read_only=True)
    assert api.get(S, headers=headers).status_code == 200
    assert api.post(f"{KV}/{kv}/bulk/get", json={"keys": []}, headers=headers).status_code == 200
    for method, path in [
        ("DELETE", S),
        ("PUT", f"{S}/tags"),
        ("PATCH", f"{S}/settings"),
        ("POST", "/workers/dispatch/namespaces"),
        ("PUT", f"{KV}/{kv}/values/a"),
        ("GET", "/tokens"),
        ("POST", "/tokens"),
    ]:
        response = api.request(method, path, headers=headers)
        assert (response.status_code, codes(response)) == (403, [10000]), (method, path)
    assert api.get(S).status_code == 200


def test_namespace_token(api: httpx.Client, registry: Registry, upload: Upload) -> None:
    """It manages the scripts of its namespace, and nothing else."""
    upload("hello")
    registry.namespaces.create(ACCOUNT, "staging")
    headers = as_token(registry, namespace="production")
    assert api.get(N, headers=headers).status_code == 200
    assert api.put(f"{S}/tags", json=["a"], headers=headers).status_code == 200
    for method, path in [
        ("GET", "/workers/dispatch/namespaces/staging"),
        ("GET", "/workers/dispatch/namespaces/staging/scripts"),
        ("GET", "/workers/dispatch/namespaces"),
        ("PUT", N),
        ("DELETE", N),
        ("GET", KV),
        ("GET", "/tokens"),
    ]:
        response = api.request(method, path, headers=headers)
        assert (response.status_code, codes(response)) == (403, [10000]), (method, path)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/workers/scripts/x", 404, 10007),
        ("GET", "/nothing", 404, 7003),
        ("POST", N, 405, 7001),
        ("GET", "/workers/dispatch/namespaces/none", 404, 100119),
        ("GET", "/workers/dispatch/namespaces/none/scripts", 404, 100119),
        ("PUT", "/workers/dispatch/namespaces/none/scripts/a", 404, 100119),
        ("GET", f"{N}/scripts/none", 404, 10092),
        ("DELETE", f"{N}/scripts/none", 404, 10007),
        ("GET", f"{N}/scripts/none/settings", 404, 10007),
        ("PATCH", f"{N}/scripts/none/settings", 404, 10007),
        ("GET", f"{N}/scripts/none/bindings", 404, 10007),
        ("GET", f"{N}/scripts/none/content", 404, 10007),
        ("PUT", f"{N}/scripts/none/content", 404, 10007),
        ("GET", f"{N}/scripts/none/tags", 404, 10007),
        ("PUT", f"{N}/scripts/none/tags/a", 404, 10007),
        ("GET", f"{N}/scripts/none/secrets", 404, 10007),
        ("GET", f"{N}/scripts/none/logs", 404, 10007),
        ("PUT", f"{N}/scripts/Bad_Name", 400, 10016),
        ("GET", f"{KV}/{'0' * 32}", 404, 10013),
        ("GET", f"{KV}/x/values/y", 404, 10013),
        ("POST", KV, 400, 10026),
        ("GET", f"{N}/scripts?limit=0", 400, 10004),
        ("GET", f"{N}/scripts?limit=x", 400, 10004),
        ("GET", f"{N}/scripts?cursor=%FF", 400, 10004),
        ("GET", f"{N}/scripts?tags=a", 400, 10004),
        ("DELETE", f"{N}/scripts", 400, 10003),
        ("DELETE", "/tokens/none", 404, 1001),
    ],
)
def test_refusals_are_enveloped(
    api: httpx.Client, method: str, path: str, status: int, code: int
) -> None:
    """Every refusal is JSON with its code and the security headers, never HTML."""
    response = api.request(method, path)
    assert response.headers["content-type"] == "application/json"
    assert (response.status_code, codes(response)) == (status, [code])
    assert response.headers["x-content-type-options"] == "nosniff"
    assert len(response.headers["x-request-id"]) == 16
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_internal_errors_tell_nothing(
    api: httpx.Client, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception of ours is 500 with 10002 and no traceback."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(registry.namespaces, "list", fail)
    response = api.get("/workers/dispatch/namespaces")
    assert (response.status_code, codes(response)) == (500, [10002])
    assert "secret detail" not in response.text


def test_the_trial_run_gets_the_bindings_sealed(
    api: httpx.Client, executor: Any, settings: Settings
) -> None:
    """Secrets reach the executor, those kept from before included, and never the queue in clear."""
    kinds = ("secret_text", "plain_text")
    first = [{"name": kind, "type": kind, "text": f"value of {kind}"} for kind in kinds]
    files = {"worker.py": ("worker.py", b"x = 1", "text/x-python")}
    for metadata in ({"bindings": first}, {"bindings": [], "keep_bindings": ["secret_text"]}):
        described = {"main_module": "worker.py", **metadata}
        result(api.put(S, data={"metadata": json.dumps(described)}, files=files))
    result(api.put(f"{S}/content", data={"metadata": '{"main_module": "worker.py"}'}, files=files))
    cipher = open_cipher(settings)
    tried = [unseal(cipher, job.id, job.environment).env for job in executor.jobs]
    secret = {"secret_text": "value of secret_text"}
    assert tried == [secret | {"plain_text": "value of plain_text"}, secret, secret]
    assert not any(b"value of" in job.environment for job in executor.jobs)


def test_upload_as_curl_sends_it(api: httpx.Client, executor: Any) -> None:
    """Any field name; the filename is the module's; metadata without content type, in any order."""
    body = (
        b"--b\r\nContent-Disposition: form-data; name=anything; filename=worker.py\r\n"
        b"Content-Type: application/octet-stream\r\n\r\nx = 1\r\n"
        b'--b\r\nContent-Disposition: form-data; name="lib/helper.py"\r\n\r\ny = 1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="data"; filename="page.html"\r\n'
        b"Content-Type: text/plain\r\n\r\n<p>\r\n"
        b'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n'
        b'{"main_module": "worker.py"}\r\n--b--\r\n'
    )
    response = api.put(S, content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    made = result(response)
    assert made["entry_point"] == "worker.py"
    assert made["compatibility_date"] == "2021-11-02"
    assert executor.jobs[0].main_module == "worker.py"
    got = api.get(f"{S}/content")
    assert got.headers["content-type"].startswith("multipart/form-data; boundary=")
    for piece in (b"x = 1", b'filename="lib/helper.py"', b"y = 1", b"<p>"):
        assert piece in got.content


def test_content_etag(api: httpx.Client, upload: Upload) -> None:
    """A single module comes raw, with the etag of the upload; If-None-Match spares it."""
    etag = result(upload("hello"))["etag"]
    got = api.get(f"{S}/content")
    assert got.headers["content-type"] == "text/x-python"
    assert got.headers["etag"] == f'"{etag}"'
    assert got.headers["cf-entrypoint"] == "worker.py"
    again = api.get(f"{S}/content", headers={"If-None-Match": f'"{etag}"'})
    assert (again.status_code, again.content) == (304, b"")


def test_every_complaint_of_the_compiler_comes_back(
    api: httpx.Client, upload: Upload, executor: Any
) -> None:
    """One error for each complaint, with module, line and column; nothing is deployed."""
    executor.refuse(
        Complaint(message="bad name", module="worker.py", line=3, column=7),
        Complaint(message="no such thing", module="worker.py", line=9),
        Complaint(message="too big"),
    )
    response = upload("hello")
    assert response.status_code == 400
    assert codes(response) == [10021] * 3
    assert [error["message"] for error in response.json()["errors"]] == [
        "worker.py:3:7: bad name",
        "worker.py:9: no such thing",
        "too big",
    ]
    assert api.get(S).status_code == 404


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (CompileAnswer(id="", failure=Outcome.EXCEEDED_CPU), 400, 10021),
        (CompileAnswer(id="", failure=Outcome.EXCEEDED_MEMORY), 400, 10021),
        (CompileAnswer(id="", failure=Outcome.INTERNAL), 503, 10013),
        (CompileAnswer(id=""), 400, 10068),
    ],
)
def test_failed_compilations(
    upload: Upload, executor: Any, answer: CompileAnswer, status: int, code: int
) -> None:
    """The tenant's fault is 400, ours is 503; a script without handlers is refused."""
    executor.answer = answer
    response = upload("hello")
    assert (response.status_code, codes(response)) == (status, [code])


def test_compiler_warnings_are_messages(upload: Upload, executor: Any) -> None:
    """Warnings do not stop a deploy and are told."""
    warning = Complaint(message="careful", module="worker.py", line=2)
    executor.answer = CompileAnswer(id="", handlers=["fetch"], warnings=[warning])
    response = upload("hello")
    assert response.status_code == 200
    assert response.json()["messages"] == [{"code": 0, "message": "worker.py:2: careful"}]


def test_named_handlers(upload: Upload, executor: Any) -> None:
    """Entrypoint classes beside the default one are named handlers."""
    executor.answer = CompileAnswer(
        id="", handlers=["fetch", "scheduled"], named_handlers={"Admin": ["fetch"]}
    )
    made = result(upload("hello"))
    assert made["handlers"] == ["fetch", "scheduled"]
    assert made["named_handlers"] == [{"name": "Admin", "handlers": ["fetch"]}]


@pytest.mark.parametrize(
    ("metadata", "code", "pointer"),
    [
        ({"main_module": "other.py"}, 10021, "/main_module"),
        ({"main_module": None}, 10021, "/main_module"),
        (
            {"bindings": [{"type": "kv_namespace", "name": "K", "namespace_id": "0" * 32}]},
            10041,
            "/bindings/0/namespace_id",
        ),
        (
            {"bindings": [{"type": "service", "name": "X", "service": "none"}]},
            10143,
            "/bindings/0/service",
        ),
        ({"limits": {"cpu_ms": 10**9}}, 10206, "/limits/cpu_ms"),
        ({"tags": ["x" * 256]}, 100102, None),
    ],
)
def test_refused_metadata_deploys_nothing(
    api: httpx.Client, upload: Upload, metadata: Any, code: int, pointer: str | None
) -> None:
    """The refusal names the field; nothing was compiled or written."""
    response = upload("hello", **metadata)
    assert codes(response) == [code]
    assert response.json()["errors"][0].get("source", {}).get("pointer") == pointer
    assert api.get(S).status_code == 404


def test_another_accounts_kv_cannot_be_bound(upload: Upload, registry: Registry) -> None:
    """A KV id of another account is as good as none; one's own works."""
    foreign = registry.kv.namespaces.create(OTHER_ACCOUNT, "theirs").id
    own = registry.kv.namespaces.create(ACCOUNT, "mine").id

    def bind(kv: str) -> httpx.Response:
        return upload("hello", bindings=[{"type": "kv_namespace", "name": "K", "namespace_id": kv}])

    assert codes(bind(foreign)) == [10041]
    assert bind(own).status_code == 200


def test_upload_not_multipart(api: httpx.Client) -> None:
    """JSON or a bare script is refused with what to send instead."""
    response = api.put(S, json={"metadata": {"main_module": "a.py"}})
    assert (response.status_code, codes(response)) == (415, [10001])
    assert "multipart/form-data" in response.json()["errors"][0]["message"]


def test_upload_too_large_is_refused_by_its_length(api: httpx.Client) -> None:
    """A body announced as larger than the limit is refused without being read to its end."""
    response = api.put(
        S,
        headers={
            "Content-Type": "multipart/form-data; boundary=b",
            "Content-Length": str(66 * 1024 * 1024),
        },
        content=(b"x" * 65536 for _ in range(66 * 16)),
    )
    assert (response.status_code, codes(response)) == (400, [10027])


def test_no_executor_is_503(api: httpx.Client, app: Any) -> None:
    """Without an executor the upload says so after its deadline, and deploys nothing."""
    from control.house import House

    found: House = app.extensions["cloister"]
    found.compiler._deadline_s = 0.05  # type: ignore[attr-defined]
    response = api.put(
        S,
        files={
            "metadata": (None, b'{"main_module": "a.py"}', "application/json"),
            "a.py": ("a.py", b"x", "text/x-python"),
        },
    )
    assert (response.status_code, codes(response)) == (503, [10013])
    assert "executor" in response.json()["errors"][0]["message"]
    assert api.get(S).status_code == 404


def test_bindings_inherit(api: httpx.Client, upload: Upload) -> None:
    """A new upload replaces bindings but for those inherited; strict makes a missing one fail."""
    secret = {"type": "secret_text", "name": "KEY", "text": "hush"}
    upload("hello", bindings=[secret, {"type": "plain_text", "name": "A", "text": "1"}])
    inherit = [{"type": "inherit", "name": "KEY"}, {"type": "inherit", "name": "GONE"}]
    refused = upload("hello", "?bindings_inherit=strict", bindings=inherit)
    assert (refused.status_code, codes(refused)) == (400, [10056])
    assert upload("hello", bindings=inherit).status_code == 200
    shown = [{"type": "secret_text", "name": "KEY"}]
    assert result(api.get(f"{S}/bindings")) == shown
    assert upload("hello", keep_bindings=["secret_text"]).status_code == 200
    assert result(api.get(f"{S}/bindings")) == shown
    assert upload("hello").status_code == 200
    assert result(api.get(f"{S}/bindings")) == []


def test_secrets_reach_the_worker_only(
    api: httpx.Client, upload: Upload, registry: Registry
) -> None:
    """A put secret is in the bundle that executors read, and in no answer of the API."""
    upload("hello")
    body = b'{"name": "KEY", "type": "secret_text", "text": "hush-hush"}'
    put = api.put(f"{S}/secrets", content=body, headers={"Content-Type": "text/plain"})
    assert result(put) == {"name": "KEY", "type": "secret_text"}
    route = registry.resolve("production", "hello")
    assert route is not None
    bundle = registry.bundle(route.version)
    assert bundle is not None
    assert bundle.env == {"KEY": "hush-hush"}
    for path in (S, f"{S}/settings", f"{S}/bindings", f"{S}/secrets", f"{S}/secrets/KEY"):
        assert "hush-hush" not in api.get(path).text
    plain = {"type": "plain_text", "name": "P", "text": ""}
    result(
        api.patch(f"{S}/settings", json={"bindings": [plain, {"type": "inherit", "name": "KEY"}]})
    )
    taken = api.put(f"{S}/secrets", json={"name": "P", "type": "secret_text", "text": ""})
    assert codes(taken) == [10053]
    encoded = api.get(f"{S}/secrets/%254B%2545Y?url_encoded=true")
    assert result(encoded)["name"] == "KEY"


def test_bulk_secrets_are_one_version(
    api: httpx.Client, upload: Upload, registry: Registry
) -> None:
    """A bulk patch makes one version, or none if any entry is refused."""
    upload("hello")
    namespace = registry.namespaces.get(ACCOUNT, "production").id
    number = registry.scripts.get(namespace, "hello").version.number
    secret = {"type": "secret_text", "text": "1"}
    patched = api.patch(f"{S}/secrets-bulk", json={"secrets": {"A": secret, "B": secret}})
    assert sorted(result(patched)) == ["A", "B"]
    bad = {"secrets": {"C": secret, "D": {"type": "secret_text"}}}
    refused = api.patch(f"{S}/secrets-bulk", json=bad)
    assert codes(refused) == [10021]
    assert refused.json()["errors"][0]["source"] == {"pointer": "/secrets/D/text"}
    assert registry.scripts.get(namespace, "hello").version.number == number + 1


def test_settings_patch_as_multipart_and_json(api: httpx.Client, upload: Upload) -> None:
    """Only what is named changes, whichever way it is sent."""
    upload("hello", limits={"cpu_ms": 9, "memory_mb": 64}, tags=["a"], usage_model="standard")
    part = {"settings": (None, b'{"compatibility_date": "2025-01-01"}', "text/plain")}
    changed = result(api.patch(f"{S}/settings", files=part))
    assert changed["compatibility_date"] == "2025-01-01"
    assert changed["limits"] == {"cpu_ms": 9, "memory_mb": 64}
    assert changed["tags"] == ["a"]
    changed = result(api.patch(f"{S}/settings", json={"limits": {"wall_ms": 5}, "logpush": True}))
    assert changed["limits"] == {"wall_ms": 5}
    assert changed["logpush"] is True
    missing = api.patch(f"{S}/settings", files={"other": (None, b"{}")})
    assert codes(missing) == [10201]


def test_tags_one_by_one_and_filters(api: httpx.Client, upload: Upload) -> None:
    """Add, remove, filter by having and lacking, and delete what a filter chooses."""
    for name, tags in {"a1": ["pro", "eu"], "a2": ["pro"], "a3": []}.items():
        upload(name, tags=tags)
    tags = f"{N}/scripts/a3/tags"
    assert result(api.put(f"{tags}/free%2Fx:y")) == ["free/x:y"]
    assert result(api.put(f"{tags}/pro")) == ["free/x:y", "pro"]
    assert result(api.delete(f"{tags}/pro")) == ["free/x:y"]
    assert codes(api.put(f"{tags}/a,b")) == [10004]

    def names(query: str) -> list[str]:
        return [item["id"] for item in result(api.get(f"{N}/scripts{query}"))]

    assert names("?tags=pro%3Ayes") == ["a1", "a2"]
    assert names("?tags=pro:yes,eu:no") == ["a2"]
    assert names("?tags=free%2Fx:y:yes") == ["a3"]
    deleted = result(api.delete(f"{N}/scripts?tags=pro:yes"))
    assert deleted == {"deleted": ["a1", "a2"], "count": 2}
    assert names("") == ["a3"]


def test_list_pages_by_cursor(api: httpx.Client, upload: Upload) -> None:
    """The cursor is empty at the end, and following it shows each script once."""
    for n in range(5):
        upload(f"w{n}")
    seen, cursor = [], ""
    while True:
        body = api.get(f"{N}/scripts", params={"limit": 2, "cursor": cursor}).json()
        seen += [item["id"] for item in body["result"]]
        cursor = body["result_info"]["cursor"]
        if not cursor:
            break
    assert seen == [f"w{n}" for n in range(5)]


def test_delete_of_a_bound_service(api: httpx.Client, upload: Upload, valkey: Any) -> None:
    """Refused while another worker is bound to it; forced it goes, and its records with it."""
    upload("hello")
    upload("front", bindings=[{"type": "service", "name": "BACK", "service": "hello"}])
    valkey.lpush(log_list("production", "hello"), b"{}")
    refused = api.delete(S)
    assert (refused.status_code, codes(refused)) == (400, [10142])
    assert result(api.delete(f"{S}?force=true")) is None
    assert api.get(S).status_code == 404
    assert valkey.exists(log_list("production", "hello")) == 0
    assert result(api.delete(f"{N}/scripts/front")) is None


def test_service_binding_to_itself(upload: Upload) -> None:
    """A worker may be bound to itself on its first upload."""
    binding = {"type": "service", "name": "ME", "service": "hello", "entrypoint": "Admin"}
    assert upload("hello", bindings=[binding]).status_code == 200


def test_namespace_extensions(api: httpx.Client) -> None:
    """PUT renames and sets trust, limits, outbound and egress; GET shows them."""
    rules = {
        "trusted_workers": True,
        "limits": {"cpu_ms": 100, "memory_mb": 64},
        "outbound": {"service": "guard", "parameters": ["customer"]},
        "egress": {"allow": ["*.example.com"], "deny": ["bad.example.com"]},
    }
    changed = result(api.put(N, json=rules))
    assert changed["trusted_workers"] is True
    assert changed["limits"] == {"cpu_ms": 100, "memory_mb": 64}
    assert changed["outbound"] == {
        "service": "guard",
        "namespace": "production",
        "parameters": ["customer"],
    }
    assert changed["egress"] == rules["egress"]
    renamed = result(api.put(N, json={"name": "live", "outbound": None}))
    assert (renamed["namespace_name"], renamed["outbound"]) == ("live", None)
    assert renamed["egress"] == rules["egress"]
    assert api.get(N).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, 10003),
        ({"name": "Bad_Name"}, 400, 10004),
        ({"name": 5}, 400, 10004),
        ({"name": "production"}, 409, 10040),
        ({"name": "x", "limits": {"cpu_ms": 10**9}}, 400, 10206),
        ({"name": "x", "egress": {"deny": ["a b"]}}, 400, 10004),
        ([], 400, 10026),
    ],
)
def test_namespace_creation_refused(api: httpx.Client, body: Any, status: int, code: int) -> None:
    """A refused creation makes nothing."""
    response = api.post("/workers/dispatch/namespaces", json=body)
    assert (response.status_code, codes(response)) == (status, [code])
    listed = result(api.get("/workers/dispatch/namespaces"))
    assert [item["namespace_name"] for item in listed] == ["production"]


def test_namespace_deletion(api: httpx.Client, upload: Upload, valkey: Any) -> None:
    """Scripts and records go with it; refused while another namespace's fetch goes through it."""
    upload("hello")
    valkey.lpush(log_list("production", "hello"), b"{}")
    rule = {"outbound": {"service": "hello", "namespace": "production"}}
    result(api.post("/workers/dispatch/namespaces", json={"name": "staging", **rule}))
    refused = api.delete(N)
    assert (refused.status_code, codes(refused)) == (400, [10142])
    assert api.get(S).status_code == 200
    result(api.delete("/workers/dispatch/namespaces/staging"))
    assert result(api.delete(N)) is None
    assert codes(api.get(S)) == [100119]
    assert valkey.exists(log_list("production", "hello")) == 0


def test_deploys_at_once_leave_one_whole_version(
    upload: Upload, api: httpx.Client, registry: Registry
) -> None:
    """Uploads of one name at the same time all succeed, and never mix code and bindings."""

    def deploy(n: int) -> None:
        text = {"type": "plain_text", "name": "N", "text": str(n)}
        answers.append(upload("hello", tags=[f"n{n}"], bindings=[text]))

    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=deploy, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [answer.status_code for answer in answers] == [200] * 6
    view = result(api.get(f"{S}/settings"))
    assert view["tags"] == [f"n{view['bindings'][0]['text']}"]


def test_kv_edges(api: httpx.Client, registry: Registry) -> None:
    """Raw values, keys with slashes at both ends, expirations, and what is refused."""
    kv = f"{KV}/{registry.kv.namespaces.create(ACCOUNT, 'store').id}"
    for key in ("/a", "a/", "/", "a//b", "%", "a%2Fb"):
        path = f"{kv}/values/{httpx.QueryParams({'k': key}).__str__()[2:].replace('+', '%20')}"
        result(api.put(path, content=key.encode()))
        got = api.get(path)
        assert (got.status_code, got.content) == (200, key.encode()), key
    listed = [item["name"] for item in result(api.get(f"{kv}/keys"))]
    assert listed == sorted(["/a", "a/", "/", "a//b", "%", "a%2Fb"])
    result(api.put(f"{kv}/values/e?expiration=9999999999&expiration_ttl=100", content=b"x"))
    assert int(api.get(f"{kv}/values/e").headers["expiration"]) < 9999999999
    assert codes(api.put(f"{kv}/values/e?expiration_ttl=59", content=b"x")) == [10004]
    assert codes(api.put(f"{kv}/values/e?expiration=5", content=b"x")) == [10004]
    assert codes(api.put(f"{kv}/values/e?expiration_ttl=nan", content=b"x")) == [10004]
    assert codes(api.put(f"{kv}/values/{'k' * 513}", content=b"x")) == [10004]
    assert codes(api.get(f"{kv}/keys?limit=9")) == [10004]
    big = api.put(f"{kv}/values/big", content=b"x" * (25 * 1024 * 1024 + 1))
    assert (big.status_code, codes(big)) == (413, [10027])
    assert api.get(f"{kv}/values/big").status_code == 404
    assert result(api.get(f"{kv}/metadata/e")) is None


def test_kv_bulk_edges(api: httpx.Client, registry: Registry) -> None:
    """Bulk calls are all or nothing, bounded, and read text or JSON with metadata."""
    kv = f"{KV}/{registry.kv.namespaces.create(ACCOUNT, 'store').id}"
    refused = api.put(f"{kv}/bulk", json=[{"key": "a", "value": "1"}, {"key": "", "value": "2"}])
    assert codes(refused) == [10004]
    assert result(api.get(f"{kv}/keys")) == []
    pairs = [{"key": "j", "value": '{"n": 1}', "metadata": {"m": 1}}, {"key": "t", "value": "x"}]
    assert result(api.put(f"{kv}/bulk", json=pairs))["successful_key_count"] == 2
    wanted = {"keys": ["j", "none"], "type": "json", "withMetadata": True}
    assert result(api.post(f"{kv}/bulk/get", json=wanted))["values"] == {
        "j": {"value": {"n": 1}, "metadata": {"m": 1}},
        "none": None,
    }
    not_json = api.post(f"{kv}/bulk/get", json={"keys": ["t"], "type": "json"})
    assert codes(not_json) == [10004]
    assert codes(api.post(f"{kv}/bulk/get", json={"keys": ["k"] * 101})) == [10004]
    assert codes(api.put(f"{kv}/bulk", json=[{"key": "a", "value": "!", "base64": True}])) == [
        10004
    ]
    assert codes(api.put(f"{kv}/bulk", content=b"[{")) == [10026]
    many = msgspec.json.encode([f"k{n}" for n in range(10_001)])
    assert codes(api.post(f"{kv}/bulk/delete", content=many)) == [10004]
    assert result(api.request("DELETE", f"{kv}/bulk", json=["j", "t"]))["successful_key_count"] == 2


def test_kv_of_another_account(api: httpx.Client, registry: Registry) -> None:
    """Another account's namespace is not found, by any call."""
    foreign = registry.kv.namespaces.create(OTHER_ACCOUNT, "theirs").id
    registry.kv.put(foreign, "k", b"v")
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/keys"),
        ("GET", "/values/k"),
        ("PUT", "/values/k"),
        ("DELETE", "/values/k"),
        ("GET", "/metadata/k"),
        ("PUT", "/bulk"),
        ("POST", "/bulk/get"),
        ("POST", "/bulk/delete"),
    ]:
        response = api.request(method, f"{KV}/{foreign}{path}")
        assert (response.status_code, codes(response)) == (404, [10013]), (method, path)
    assert registry.kv.get(foreign, "k") is not None


def test_json_as_text_plain(api: httpx.Client, upload: Upload) -> None:
    """What a body is, not its content type, decides."""
    upload("hello")
    sent = api.put(f"{S}/tags", content=b'["a"]', headers={"Content-Type": "text/plain"})
    assert result(sent) == ["a"]
    huge = api.put(f"{S}/tags", content=b" " * (2 * 1024 * 1024 + 1))
    assert (huge.status_code, codes(huge)) == (413, [10027])
    deep = api.put(f"{S}/tags", content=b"[" * 100_000)
    assert codes(deep) == [10026]


def test_tokens_short_form(api: httpx.Client) -> None:
    """``read_only`` and ``namespace`` do what policies do; a bad request makes no token."""
    made = result(api.post("/tokens", json={"name": "ci", "namespace": "production"}))
    assert made["policies"][0]["resources"] == {
        f"com.cloudflare.api.account.{ACCOUNT}.dispatch.production": "*"
    }
    headers = {"Authorization": f"Bearer {made['value']}"}
    assert api.get(f"{N}/scripts", headers=headers).status_code == 200
    assert "value" not in result(api.get(f"/tokens/{made['id']}"))
    for body, code in [
        ({}, 10003),
        ({"name": "x", "namespace": "none"}, 100119),
        ({"name": "x", "expires_on": "2001-01-01T00:00:00Z"}, 10004),
        ({"name": "x", "expires_on": "soon"}, 10004),
        ({"name": "x", "expires_on": "9999-12-31T23:59:59-23:59"}, 10004),
        ({"name": "x", "condition": {"request_ip": {"in": ["192.0.2.1"]}}}, 10004),
        ({"name": "x", "policies": []}, 10004),
    ]:
        assert codes(api.post("/tokens", json=body)) == [code], body
    assert len(result(api.get("/tokens"))) == 2
