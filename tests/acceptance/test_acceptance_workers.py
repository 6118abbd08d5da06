"""What a platform and its customers see: deploy with the official SDK, call over HTTP."""

import threading
import time

import cloudflare
import httpx
import pytest
from acceptance_installation import Account, Up, wait_for

HELLO = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("Hello World!")
"""


def worker(body: str, before: str = "") -> str:
    """A worker whose fetch handler has this body."""
    lines = "\n".join(f"        {line}" for line in body.strip().splitlines())
    return (
        f"{before}\nfrom workers import *\n\n"
        f"class Default(WorkerEntrypoint):\n    async def fetch(self, request):\n{lines}\n"
    )


def test_hello_deployed_with_the_sdk_answers(account: Account, http_client: httpx.Client) -> None:
    """The first call right after the deploy is answered, by path and by both hostnames."""
    answer = account.deploy("first", HELLO)
    assert answer.id == "first"
    assert "fetch" in answer.handlers
    by_path = http_client.get(account.url("first"))
    assert (by_path.status_code, by_path.text) == (200, "Hello World!")
    port = account.dispatch_url.rpartition(":")[2]
    for host in ("first.localhost", "first.production.localhost"):
        by_host = http_client.get(account.dispatch_url, headers={"Host": f"{host}:{port}"})
        assert by_host.text == "Hello World!"


def test_what_the_first_start_left_works(account: Account, http_client: httpx.Client) -> None:
    """`hello` is there without anybody's doing."""
    assert http_client.get(account.url("hello")).text == "Hello World!"


def test_an_update_is_what_the_next_request_gets(
    account: Account, http_client: httpx.Client
) -> None:
    """No request after the answer of the deploy sees the old version."""
    for number in range(5):
        account.deploy("updated", HELLO.replace("World", f"number {number}"))
        assert http_client.get(account.url("updated")).text == f"Hello number {number}!"


def test_several_modules_import_each_other(account: Account, http_client: httpx.Client) -> None:
    """A worker may be several files."""
    main = "import greetings\n" + HELLO.replace('"Hello World!"', "greetings.TEXT")
    account.deploy("modules", {"worker.py": main, "greetings.py": 'TEXT = "from a module"'})
    assert http_client.get(account.url("modules")).text == "from a module"


def test_an_upload_that_does_not_compile_is_refused_with_every_line(account: Account) -> None:
    """The answer names the file and the lines, and nothing is deployed."""
    with pytest.raises(cloudflare.BadRequestError) as refused:
        account.deploy("broken", "x = 1\ndef f(:\n")
    assert refused.value.body["errors"][0]["code"] == 10021
    assert "2" in refused.value.body["errors"][0]["message"]
    with pytest.raises(cloudflare.NotFoundError):
        account.scripts.get("broken", account_id=account.id, dispatch_namespace="production")


def test_a_kv_counter_counts(account: Account, http_client: httpx.Client) -> None:
    """A KV binding reads what was written, by the worker and by the API."""
    store = account.sdk.kv.namespaces.create(account_id=account.id, title="counter")
    source = worker("""
count = int(await self.env.STORE.get("count") or 0) + 1
await self.env.STORE.put("count", str(count))
return Response(str(count))
""")
    bindings = [{"type": "kv_namespace", "name": "STORE", "namespace_id": store.id}]
    account.deploy("counter", source, bindings=bindings)
    assert [http_client.get(account.url("counter")).text for _ in range(3)] == ["1", "2", "3"]
    value = account.sdk.kv.namespaces.values.get(
        "count", account_id=account.id, namespace_id=store.id
    )
    assert value.read() == b"3"


def test_variables_and_secrets_are_on_env_and_secrets_never_come_back(
    account: Account, http_client: httpx.Client
) -> None:
    """A secret set apart from the code is used by the next request and read by no API call."""
    source = worker('return Response(f"{self.env.PLAIN} {self.env.DATA.a} {self.env.HIDDEN}")')
    bindings = [
        {"type": "plain_text", "name": "PLAIN", "text": "plain"},
        {"type": "json", "name": "DATA", "json": {"a": [1, 2]}},
        {"type": "secret_text", "name": "HIDDEN", "text": "sesame-1"},
    ]
    account.deploy("variables", source, bindings=bindings)
    assert http_client.get(account.url("variables")).text == "plain [1, 2] sesame-1"
    where = {"account_id": account.id, "dispatch_namespace": "production"}
    account.scripts.secrets.update(
        "variables", name="HIDDEN", text="sesame-2", type="secret_text", **where
    )
    assert http_client.get(account.url("variables")).text == "plain [1, 2] sesame-2"
    shown = account.scripts.bindings.with_raw_response.get("variables", **where)
    assert "HIDDEN" in shown.text()
    assert "sesame" not in shown.text()


def test_tags_filter_and_delete(account: Account, http_client: httpx.Client) -> None:
    """Tags set at upload filter the list, and delete what they name."""
    account.deploy("tagged-1", HELLO, tags=["customer-70", "free"])
    account.deploy("tagged-2", HELLO, tags=["customer-70"])
    path = f"/accounts/{account.id}/workers/dispatch/namespaces/production/scripts"
    found = account.sdk.get(path, cast_to=object, options={"params": {"tags": "customer-70:yes"}})
    assert {item["id"] for item in found["result"]} == {"tagged-1", "tagged-2"}
    fewer = account.sdk.get(
        path, cast_to=object, options={"params": {"tags": "customer-70:yes,free:no"}}
    )
    assert [item["id"] for item in fewer["result"]] == ["tagged-2"]
    account.sdk.delete(path, cast_to=object, options={"params": {"tags": "customer-70:yes"}})
    assert http_client.get(account.url("tagged-1")).status_code == 404


def test_a_cpu_loop_ends_at_its_limit(account: Account, http_client: httpx.Client) -> None:
    """Code that never returns costs its limit and no more, and its neighbours nothing."""
    source = worker("while True:\n    pass")
    account.deploy("loop", source, limits={"cpu_ms": 50})
    begun = time.monotonic()
    answer = http_client.get(account.url("loop"))
    assert time.monotonic() - begun < 2
    assert answer.status_code == 503
    assert "1102" in answer.text
    assert http_client.get(account.url("hello")).status_code == 200


def test_a_memory_hog_ends_at_its_limit(account: Account, http_client: httpx.Client) -> None:
    """Allocating without bound is 1102, and the next request is served."""
    account.deploy("hog", worker("x = []\nwhile True:\n    x.append(bytearray(1 << 20))"))
    answer = http_client.get(account.url("hog"))
    assert (answer.status_code, "1102" in answer.text) == (503, True)
    assert http_client.get(account.url("hello")).status_code == 200


def test_waiting_ends_at_the_wall_time(account: Account, http_client: httpx.Client) -> None:
    """A worker that only waits is ended by the clock, as the namespace bounds it."""
    account.namespaces.create(account_id=account.id, name="impatient")
    path = f"/accounts/{account.id}/workers/dispatch/namespaces/impatient"
    account.sdk.put(path, cast_to=object, body={"limits": {"wall_ms": 200}})
    source = worker("await asyncio.sleep(20)\nreturn Response()", before="import asyncio")
    account.deploy("waits", source, namespace="impatient")
    begun = time.monotonic()
    answer = http_client.get(account.url("waits", namespace="impatient"))
    assert answer.status_code == 504
    assert time.monotonic() - begun < 5


def test_only_trusted_namespaces_see_request_cf(
    account: Account, http_client: httpx.Client
) -> None:
    """None, until the namespace is trusted."""
    account.namespaces.create(account_id=account.id, name="house")
    account.deploy("cf", worker("return Response(str(request.cf is None))"), namespace="house")
    assert http_client.get(account.url("cf", namespace="house")).text == "True"
    path = f"/accounts/{account.id}/workers/dispatch/namespaces/house"
    account.sdk.put(path, cast_to=object, body={"trusted_workers": True})
    assert http_client.get(account.url("cf", namespace="house")).text == "False"


def test_an_exception_is_1101_and_its_line_is_in_the_logs(
    account: Account, http_client: httpx.Client
) -> None:
    """The client learns a code and an id; the tenant its own traceback."""
    account.deploy("raises", worker('print("before")\nraise KeyError("lost-word")'))
    answer = http_client.get(account.url("raises"))
    assert answer.status_code == 500
    assert "1101" in answer.text
    assert "lost-word" not in answer.text
    record = wait_for(lambda: _logs(account, http_client, "raises"), "the log record")[0]
    assert record["outcome"] == "exception"
    assert record["logs"][0]["message"] == ["before"]
    assert "worker.py" in record["exceptions"][0]["stack"]
    assert "line 7" in record["exceptions"][0]["stack"]


def _logs(account: Account, http_client: httpx.Client, name: str) -> list[dict]:
    answer = http_client.get(
        f"{account.control_url}/client/v4/accounts/{account.id}"
        f"/workers/dispatch/namespaces/production/scripts/{name}/logs",
        headers={"Authorization": f"Bearer {account.token}"},
    )
    return answer.json()["result"]


def test_a_streamed_response_arrives_chunk_by_chunk(
    account: Account, http_client: httpx.Client
) -> None:
    """The first chunk is there before the worker makes the second."""
    source = worker(
        """
async def chunks():
    yield "first "
    while not await self.env.STORE.get("go"):
        await asyncio.sleep(0.02)
    yield "second"
return Response(chunks())
""",
        before="import asyncio",
    )
    store = account.sdk.kv.namespaces.create(account_id=account.id, title="streaming")
    bindings = [{"type": "kv_namespace", "name": "STORE", "namespace_id": store.id}]
    account.deploy("stream", source, bindings=bindings, limits={"subrequests": 1000})
    with http_client.stream("GET", account.url("stream")) as answer:
        chunks = answer.iter_text()
        assert next(chunks) == "first "
        account.sdk.kv.namespaces.values.update(
            "go", account_id=account.id, namespace_id=store.id, value=b"1"
        )
        assert "".join(chunks) == "second"


@pytest.mark.parametrize("size", [0, 1, 300_000, 5_000_000])
def test_bodies_keep_every_byte(account: Account, http_client: httpx.Client, size: int) -> None:
    """Small bodies ride in the message, large ones beside it; both come back as sent."""
    account.deploy("echo", worker("return Response(await request.bytes())"))
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    answer = http_client.post(account.url("echo"), content=body)
    assert answer.status_code == 200
    assert answer.content == body


def test_repeated_headers_and_the_query_arrive_as_sent(
    account: Account, http_client: httpx.Client
) -> None:
    """Each Set-Cookie stays its own header; the query string is not re-encoded."""
    source = worker("""
pairs = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Url", request.url)]
return Response(str(request.method), headers=pairs)
""")
    account.deploy("headers", source)
    answer = http_client.request("PATCH", account.url("headers", "/a%20b?q=%2F+x&q=2"))
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["x-url"].endswith("/a%20b?q=%2F+x&q=2")
    assert answer.text == "PATCH"


def test_head_204_and_304_have_no_body(account: Account, http_client: httpx.Client) -> None:
    """A connection stays usable after answers that may not have a body."""
    source = worker("""
if request.url.endswith("/204"):
    return Response(None, status=204)
if request.url.endswith("/304"):
    return Response(None, status=304, headers={"ETag": '"x"'})
return Response("a body")
""")
    account.deploy("bodiless", source)
    head = http_client.head(account.url("bodiless"))
    assert (head.status_code, head.content) == (200, b"")
    for status in (204, 304):
        answer = http_client.get(account.url("bodiless", f"/{status}"))
        assert (answer.status_code, answer.content) == (status, b"")
    assert http_client.get(account.url("bodiless")).text == "a body"


def test_a_service_binding_calls_another_worker(
    account: Account, http_client: httpx.Client
) -> None:
    """fetch() and methods of another worker of the namespace."""
    callee = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("callee saw " + request.url.rpartition("/")[2])

    async def add(self, a, b):
        return a + b
"""
    account.deploy("callee", callee)
    source = worker("""
answer = await self.env.OTHER.fetch("http://other/page")
return Response(f"{await answer.text()}, {await self.env.OTHER.add(2, 3)}")
""")
    bindings = [{"type": "service", "name": "OTHER", "service": "callee"}]
    account.deploy("caller", source, bindings=bindings)
    assert http_client.get(account.url("caller")).text == "callee saw page, 5"


def test_fetch_reaches_the_outside_and_follows(
    account: Account, http_client: httpx.Client, origin: str
) -> None:
    """A worker's fetch() has its method, headers and redirects."""
    source = worker("""
answer = await fetch(await request.text(), headers={"x-key": "k"})
return Response(await answer.text())
""")
    account.deploy("fetcher", source)
    answer = http_client.post(account.url("fetcher"), content=f"{origin}/redirect")
    assert answer.text == "origin saw /landed key=k"


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://localhost/",
        "http://10.0.0.1/",
        "file:///etc/passwd",
    ],
)
def test_fetch_does_not_reach_the_inside(
    account: Account, http_client: httpx.Client, target: str
) -> None:
    """Loopback, private and metadata addresses are refused, by an exception that can be caught."""
    source = worker("""
try:
    await fetch(await request.text())
except Exception as exc:
    return Response("refused", headers={"x-name": type(exc).__name__})
return Response("reached")
""")
    account.deploy("prober", source)
    assert http_client.post(account.url("prober"), content=target).text == "refused"


def test_an_outbound_worker_gets_every_fetch(
    account: Account, http_client: httpx.Client, origin: str
) -> None:
    """The namespace's outbound worker blocks a host and adds a header; its own fetch goes out."""
    account.namespaces.create(account_id=account.id, name="guarded")
    outbound = worker("""
if "blocked" in request.url:
    return Response("blocked by policy", status=403)
return await fetch(request.url, headers={"x-key": "injected"})
""")
    account.deploy("outbound", outbound, namespace="guarded")
    path = f"/accounts/{account.id}/workers/dispatch/namespaces/guarded"
    account.sdk.put(path, cast_to=object, body={"outbound": {"service": "outbound"}})
    tenant = worker("""
answer = await fetch(await request.text())
return Response(await answer.text(), status=answer.status)
""")
    account.deploy("tenant", tenant, namespace="guarded")
    url = account.url("tenant", namespace="guarded")
    through = http_client.post(url, content=f"{origin}/page")
    assert through.text == "origin saw /page key=injected"
    blocked = http_client.post(url, content="http://blocked.example/")
    assert (blocked.status_code, blocked.text) == (403, "blocked by policy")


def test_subrequests_are_counted(account: Account, http_client: httpx.Client, origin: str) -> None:
    """The one after the last allowed raises in the worker."""
    source = worker("""
for number in range(10):
    try:
        await fetch(await request.text() if number == 0 else url)
    except Exception as exc:
        return Response(f"{number} {exc}")
return Response("all")
""").replace("await request.text() if number == 0 else url", "self.env.ORIGIN")
    bindings = [{"type": "plain_text", "name": "ORIGIN", "text": origin}]
    account.deploy("counted", source, bindings=bindings, limits={"subrequests": 3})
    assert http_client.get(account.url("counted")).text.startswith("3 Too many subrequests")


def test_an_unknown_worker_is_404(account: Account, http_client: httpx.Client) -> None:
    """Unknown workers and namespaces are clean 404s."""
    for url in (account.url("nobody"), account.url("hello", namespace="nowhere")):
        answer = http_client.get(url)
        assert answer.status_code == 404
        assert "Traceback" not in answer.text


def test_a_deleted_worker_is_gone(account: Account, http_client: httpx.Client) -> None:
    """The request after the delete is 404."""
    account.deploy("deleted", HELLO)
    assert http_client.get(account.url("deleted")).status_code == 200
    account.scripts.delete("deleted", account_id=account.id, dispatch_namespace="production")
    assert http_client.get(account.url("deleted")).status_code == 404


def test_a_wrong_token_is_401(account: Account) -> None:
    """Nothing of the API answers somebody else."""
    with (
        cloudflare.Cloudflare(
            api_token="wrong-token", base_url=f"{account.control_url}/client/v4", max_retries=0
        ) as stranger,
        pytest.raises(cloudflare.AuthenticationError),
    ):
        stranger.workers_for_platforms.dispatch.namespaces.list(account_id=account.id)


def test_a_new_namespace_is_served_at_once(account: Account, http_client: httpx.Client) -> None:
    """Create, deploy, call; delete, and its workers are gone."""
    account.namespaces.create(account_id=account.id, name="staging")
    account.deploy("first", HELLO, namespace="staging")
    assert http_client.get(account.url("first", namespace="staging")).text == "Hello World!"
    account.namespaces.delete("staging", account_id=account.id)
    assert http_client.get(account.url("first", namespace="staging")).status_code == 404


def test_a_custom_hostname(up: Up, account: Account, http_client: httpx.Client) -> None:
    """Set with the command, it leads to the worker, whole paths and all; then it does no more."""
    account.deploy("vanity", worker("return Response(request.url)"))
    port = account.dispatch_url.rpartition(":")[2]

    def call() -> httpx.Response:
        headers = {"Host": f"shop.customer.test:{port}"}
        return http_client.get(f"{account.dispatch_url}/production/x?q=1", headers=headers)

    assert call().status_code == 404
    made = up.cli("hostnames", "set", "Shop.Customer.test", "production", "vanity")
    assert made.stdout == "shop.customer.test leads to production/vanity\n"
    found = wait_for(lambda: (answer := call()).is_success and answer, "the hostname")
    assert found.text == f"http://shop.customer.test:{port}/production/x?q=1"
    assert "shop.customer.test" in up.cli("hostnames", "list").stdout
    assert up.cli("hostnames", "delete", "shop.customer.test").returncode == 0
    wait_for(lambda: call().status_code == 404, "the end of the hostname")


def test_wait_until_goes_on_after_the_response(account: Account, http_client: httpx.Client) -> None:
    """The answer does not wait for background work, and the work is done all the same."""
    store = account.sdk.kv.namespaces.create(account_id=account.id, title="background")
    source = worker(
        """
async def later():
    await asyncio.sleep(0.3)
    await self.env.STORE.put("done", "yes")
self.ctx.waitUntil(later())
return Response("at once")
""",
        before="import asyncio",
    )
    bindings = [{"type": "kv_namespace", "name": "STORE", "namespace_id": store.id}]
    account.deploy("background", source, bindings=bindings)
    assert http_client.get(account.url("background")).text == "at once"
    where = {"account_id": account.id, "namespace_id": store.id}

    def written() -> bool:
        listed = account.sdk.kv.namespaces.keys.list(**where)
        return [key.name for key in listed] == ["done"]

    wait_for(written, "background work")


def test_two_tenants_do_not_share_state(account: Account, http_client: httpx.Client) -> None:
    """A module's globals are one worker's own."""
    source = "seen = []\n" + worker("seen.append(1)\nreturn Response(str(len(seen)))")
    account.deploy("tenant-a", source)
    account.deploy("tenant-b", source)
    http_client.get(account.url("tenant-a"))
    assert http_client.get(account.url("tenant-b")).text == "1"


def test_many_clients_at_once_get_their_own_answers(account: Account) -> None:
    """No answer goes to somebody else's connection."""
    account.deploy("mirror", worker("return Response(request.url.rpartition('?')[2])"))
    wrong: list[str] = []

    def client(number: int) -> None:
        with httpx.Client(trust_env=False, timeout=30) as http_client:
            for turn in range(10):
                word = f"{number}-{turn}"
                answer = http_client.get(account.url("mirror") + f"?{word}")
                if answer.text != word:
                    wrong.append(f"{word}: {answer.status_code} {answer.text}")

    threads = [threading.Thread(target=client, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
