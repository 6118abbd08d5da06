"""The dashboard: who gets in, what is shown and what never is, forms and their tokens."""

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
import redis
from test_control_assets import Uploader

from cloister.limits import Limits
from cloister.messages import ExceptionLine, LogLine, Trace, log_list
from cloister.outcomes import Outcome
from cloister.registry import Registry
from cloister.settings import Settings

ACCOUNT = "a" * 32
TOKEN = "test-token-0123456789abcdef"
EVIL = "<script>alert(1)</script>"

Upload = Callable[..., httpx.Response]


@pytest.fixture
def browser(url: str) -> Iterator[httpx.Client]:
    """Follows redirects and keeps cookies."""
    with httpx.Client(base_url=url, follow_redirects=True, trust_env=False) as client:
        yield client


def sign_in(browser: httpx.Client, token: str = TOKEN) -> httpx.Response:
    return browser.post("/sign-in", data={"token": token})


def csrf_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found
    return found[1]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/namespaces/production",
        "/namespaces/production/workers/hello",
        "/workers",
        "/hostnames",
        "/storage",
    ],
)
def test_strangers_see_the_sign_in_page(browser: httpx.Client, path: str) -> None:
    """Every page but sign-in redirects there."""
    page = browser.get(path)
    assert page.url.path == "/sign-in"
    assert [answer.status_code for answer in page.history] == [303]


def test_sign_in_and_out(browser: httpx.Client) -> None:
    """A good token gives a strict, HttpOnly cookie without its text; signing out drops it."""
    wrong = sign_in(browser, "wrong")
    assert wrong.status_code == 401
    assert "not known" in wrong.text
    page = sign_in(browser)
    assert page.url.path == "/"
    cookie = page.history[0].headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    assert "production" in page.text
    out = browser.post("/sign-out", data={"csrf": csrf_of(page)})
    assert out.url.path == "/sign-in"
    assert browser.get("/").url.path == "/sign-in"


def test_forged_and_revoked_sessions(browser: httpx.Client, registry: Registry) -> None:
    """A cookie that is not ours is none; a revoked token ends its session."""
    browser.cookies.set("cloister_session", "AAAA" * 20)
    assert browser.get("/").url.path == "/sign-in"
    browser.cookies.clear()
    made = registry.tokens.create(ACCOUNT, "person")
    assert sign_in(browser, made.text).url.path == "/"
    registry.tokens.revoke(ACCOUNT, made.token.id)
    assert browser.get("/").url.path == "/sign-in"


def test_pages_have_a_strict_policy(browser: httpx.Client) -> None:
    """No script may run, nothing foreign may load, no frame may hold a page."""
    page = sign_in(browser)
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in policy
    assert "script" not in policy
    assert "<script" not in page.text
    assert "style=" not in page.text
    style = browser.get("/style.css")
    assert style.headers["content-type"].startswith("text/css")


def record(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "id": "t1",
        "script_name": "hello",
        "dispatch_namespace": "production",
        "script_version": "v",
        "event_timestamp": 1_700_000_000_000,
        "event": {"request": {"method": "GET", "url": f"http://x/{EVIL}"}},
        "outcome": Outcome.EXCEPTION,
        "logs": [LogLine(timestamp=1, level="log", message=[EVIL, {"a": 1}])],
        "exceptions": [
            ExceptionLine(timestamp=1, name="ValueError", message=EVIL, stack=f"Trace {EVIL}")
        ],
        "cpu_ms": 1.25,
    }
    return msgspec.json.encode(Trace(**{**fields, **changes}))


def test_worker_page(browser: httpx.Client, upload: Upload, valkey: redis.Redis) -> None:
    """Tags, limits, bindings and invocations are shown; secrets are not; all is escaped."""
    upload(
        "hello",
        tags=["<b>pro</b>"],
        limits={"cpu_ms": 77},
        bindings=[
            {"type": "secret_text", "name": "KEY", "text": "hush-hush"},
            {"type": "plain_text", "name": "HTML", "text": EVIL},
        ],
    )
    valkey.lpush(log_list("production", "hello"), record(), b"not json")
    sign_in(browser)
    listed = browser.get("/namespaces/production")
    assert "&lt;b&gt;pro&lt;/b&gt;" in listed.text
    assert "cpu_ms&nbsp;77" in listed.text
    page = browser.get("/namespaces/production/workers/hello")
    assert page.status_code == 200
    assert "hush-hush" not in page.text
    assert "KEY" in page.text
    assert EVIL not in page.text
    assert page.text.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 4
    assert "exception" in page.text
    assert "1.2 ms CPU" in page.text


def test_live_versions_on_the_worker_page(
    browser: httpx.Client, upload: Upload, api: httpx.Client
) -> None:
    """The one that is live; of two, the share of each."""
    upload("hello")
    upload("hello")
    sign_in(browser)
    assert "<dt>Version</dt><dd>2, of " in browser.get("/namespaces/production/workers/hello").text
    script = "/workers/dispatch/namespaces/production/scripts/hello"
    new, old = (item["id"] for item in api.get(f"{script}/versions").json()["result"]["items"])
    versions = [
        {"version_id": old, "percentage": 87.5},
        {"version_id": new, "percentage": 12.5},
    ]
    body = {"strategy": "percentage", "versions": versions}
    assert api.post(f"{script}/deployments", json=body).is_success
    page = browser.get("/namespaces/production/workers/hello").text
    shown = page.partition("<dt>Versions</dt><dd>")[2].partition("</dd>")[0]
    assert [part.split(", of ")[0] for part in shown.split("; ")] == ["2", "1"]
    assert [part.rsplit(": ")[-1] for part in shown.split("; ")] == ["12.5 %", "87.5 %"]


def test_a_version_is_deployed_and_rolled_back(
    browser: httpx.Client, upload: Upload, api: httpx.Client
) -> None:
    """Alone, beside the live one, and back; what cannot be is said on the page and changes nothing,
    as what a form that is not ours asks for."""
    for message in ("First", "Second", EVIL):
        upload("hello", annotations={"workers/message": message})
    sign_in(browser)
    path = "/namespaces/production/workers/hello"
    page = browser.get(path)
    assert page.text.count('type="radio"') == 3
    assert EVIL not in page.text
    script = "/workers/dispatch/namespaces/production/scripts/hello"
    _, second, first = (i["id"] for i in api.get(f"{script}/versions").json()["result"]["items"])

    def live() -> list[tuple[str, float]]:
        deployed = api.get(f"{script}/deployments").json()["result"]["deployments"][0]
        return [(each["version_id"], each["percentage"]) for each in deployed["versions"]]

    def post(action: str, **data: str) -> httpx.Response:
        return browser.post(f"{path}/{action}", data={"csrf": csrf_of(page), **data})

    done = post("deploy", version=first, percentage="100")
    assert (done.url.path, live()) == (path, [(first, 100)])
    assert post("deploy", version=second, percentage="12.5").is_success
    assert sorted(live()) == sorted([(second, 12.5), (first, 87.5)])
    assert "12.5 %" in browser.get(path).text
    assert post("rollback").is_success
    before = live()
    for data in (
        {"version": first, "percentage": "0"},
        {"version": first, "percentage": "nan"},
        {"version": first, "percentage": "x"},
        {"version": "0" * 32, "percentage": "100"},
        {"version": before[0][0], "percentage": "50"},
        {},
    ):
        refused = post("deploy", **data)
        assert 400 <= refused.status_code < 500, data
        assert 'role="alert"' in refused.text
    assert browser.post(f"{path}/deploy", data={"version": second}).status_code == 403
    assert browser.post(f"{path}/rollback").status_code in (403, 411)
    assert live() == before


def test_nothing_to_go_back_to(browser: httpx.Client, upload: Upload) -> None:
    """Said on the page."""
    upload("hello")
    path = "/namespaces/production/workers/hello"
    page = sign_in(browser)
    refused = browser.post(f"{path}/rollback", data={"csrf": csrf_of(page)})
    assert refused.status_code == 400
    assert "Versions" in refused.text


def test_plain_workers(browser: httpx.Client, api: httpx.Client, executor: object) -> None:
    """Listed and shown as others are, and deleted."""
    files = {
        "metadata": (None, b'{"main_module": "w.py"}', "application/json"),
        "w.py": ("w.py", b"", "text/x-python"),
    }
    assert api.put("/workers/scripts/outbound", files=files).is_success
    crons = [{"cron": "*/5 * * * *"}, {"cron": "0 3 * * 2"}]
    assert api.put("/workers/scripts/outbound/schedules", json=crons).is_success
    page = sign_in(browser)
    assert "outbound" in browser.get("/workers").text
    assert "outbound" not in browser.get("/namespaces/production").text
    shown = browser.get("/workers/outbound")
    assert "<h1>outbound</h1>" in shown.text
    assert "<code>0 3 * * 2</code>" in shown.text
    assert browser.get("/workers/none").status_code == 404
    done = browser.post("/workers/outbound/delete", data={"csrf": csrf_of(page)})
    assert done.url.path == "/workers"
    assert api.get("/workers/scripts/outbound").status_code == 404


def test_hostnames(browser: httpx.Client, registry: Registry) -> None:
    """Each with what became of it and what its owner has to publish; by name, page by page; nothing
    of other accounts."""
    made = registry.hostnames.create(
        ACCOUNT, "shop.example.org", metadata={"worker": "shop", "html": EVIL}, wildcard=True
    )
    registry.hostnames.create("b" * 32, "theirs.example.org")
    claim = registry.hostnames.claims.take()
    while claim is not None:
        registry.hostnames.claims.conclude(claim, "elsewhere", [f"It says {EVIL}."])
        claim = registry.hostnames.claims.take()
    sign_in(browser)
    page = browser.get("/hostnames")
    assert "theirs" not in page.text
    assert EVIL not in page.text
    assert page.text.count("&lt;script&gt;") == 2
    for said in ("*.shop.example.org", "_cf-custom-hostname.shop.example.org", made.token):
        assert said in page.text
    assert f"/.well-known/cf-custom-hostname-challenge/{made.id}" in page.text
    assert made.token not in browser.get("/hostnames?name=other").text
    assert made.token in browser.get("/hostnames?name=SHOP").text
    for number in range(50):
        registry.hostnames.create(ACCOUNT, f"n{number}.example.org")
    assert made.token not in browser.get("/hostnames").text
    assert made.token in browser.get("/hostnames?page=2").text
    for bad in ("0", "x", "-1", "9" * 40, "%C2%B2"):
        assert browser.get(f"/hostnames?page={bad}").status_code == 400


def test_storage(browser: httpx.Client, registry: Registry, api: httpx.Client) -> None:
    """What there is of each kind, of this account only, escaped; how many more there are."""
    for account, title in ((ACCOUNT, EVIL), ("b" * 32, "theirs")):
        registry.kv.namespaces.create(account, title)
        registry.databases.create(account, f"orders-{account[0]}")
    assert api.post("/r2/buckets", json={"name": "images-a"}).is_success
    assert api.post("/queues", json={"queue_name": "mails-a"}).is_success
    sign_in(browser)
    page = browser.get("/storage").text
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert all(name in page for name in ("orders-a", "images-a", "mails-a"))
    assert not any(name in page for name in ("theirs", "orders-b"))
    for number in range(100):
        registry.kv.namespaces.create(ACCOUNT, f"n{number}")
    assert "1 more." in browser.get("/storage").text


def test_assets_on_the_worker_page(
    browser: httpx.Client, api: httpx.Client, executor: object, settings: Settings
) -> None:
    """How many, how they are served, and which; also where they cannot be read."""
    uploader = Uploader(api, "site")
    token = uploader.complete({"/index.html": b"<h1>hi</h1>", f"/{EVIL[1:7]}.txt": b"x"})
    said = {"jwt": token, "config": {"not_found_handling": "404-page"}}
    assert uploader.deploy(code=False, assets=said).is_success
    sign_in(browser)
    page = browser.get("/namespaces/production/workers/site").text
    for words in ("2, 12 bytes", "404-page", "/index.html", "only assets"):
        assert words in page
    shutil.rmtree(settings.data_dir / "blobs" / "manifest")
    assert browser.get("/namespaces/production/workers/site").status_code == 200


def test_hostnames_on_the_worker_page(
    browser: httpx.Client, upload: Upload, api: httpx.Client
) -> None:
    """Those that lead to it, if any do; a long list is cut."""
    upload("hello")
    sign_in(browser)
    assert "<dt>Hostnames" not in browser.get("/namespaces/production/workers/hello").text
    for number in range(21):
        body = {"namespace": "production", "script": "hello"}
        api.put(f"/workers/dispatch/hostnames/n{number:02}.shop.test", json=body)
    page = browser.get("/namespaces/production/workers/hello").text
    assert "n00.shop.test, n01.shop.test" in page
    assert "n19.shop.test, and more" in page


def test_filter_and_pages(
    browser: httpx.Client, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag filters; a full page links to the next."""
    from control.dashboard import views

    monkeypatch.setattr(views, "WORKERS_A_PAGE", 1)
    upload("one", tags=["pro"])
    upload("two")
    sign_in(browser)
    first = browser.get("/namespaces/production")
    assert "/workers/one" in first.text
    assert "/workers/two" not in first.text
    link = re.search(r'href="([^"]+cursor[^"]+)"', first.text)
    assert link
    assert "/workers/two" in browser.get(link[1].replace("&amp;", "&")).text
    assert "/workers/one" in browser.get("/namespaces/production?tag=pro").text
    assert "has this tag" in browser.get("/namespaces/production?tag=none").text
    assert browser.get("/namespaces/production?cursor=%C3%BC").status_code == 400


def test_delete_form(browser: httpx.Client, upload: Upload, api: httpx.Client) -> None:
    """Only a form with our token, sent from here, deletes; a bound one only if told so."""
    upload("hello")
    upload("front", bindings=[{"type": "service", "name": "B", "service": "hello"}])
    page = sign_in(browser)
    path = "/namespaces/production/workers/hello/delete"
    for data, headers in [
        ({}, {}),
        ({"csrf": "x"}, {}),
        ({"csrf": csrf_of(page)}, {"Sec-Fetch-Site": "cross-site"}),
    ]:
        assert browser.post(path, data=data, headers=headers).status_code == 403
    refused = browser.post(path, data={"csrf": csrf_of(page)})
    assert refused.status_code == 400
    assert "front" in refused.text
    assert api.get("/workers/dispatch/namespaces/production/scripts/hello").status_code == 200
    done = browser.post(path, data={"csrf": csrf_of(page), "force": "yes"})
    assert done.url.path == "/namespaces/production"
    assert api.get("/workers/dispatch/namespaces/production/scripts/hello").status_code == 404


def test_restricted_tokens(browser: httpx.Client, upload: Upload, registry: Registry) -> None:
    """A reader may not delete; a namespace's token sees its own namespace only."""
    upload("hello")
    registry.namespaces.create(ACCOUNT, "staging", limits=Limits(cpu_ms=3))
    made = registry.tokens.create(ACCOUNT, "person", read_only=True, namespace="production")
    page = sign_in(browser, made.text)
    assert "staging" not in page.text
    for path in ("/namespaces/staging", "/workers", "/workers/x", "/hostnames", "/storage"):
        assert browser.get(path).status_code == 403
        assert path not in page.text
    worker = browser.get("/namespaces/production/workers/hello")
    assert "/delete" not in worker.text
    path = "/namespaces/production/workers/hello/delete"
    assert browser.post(path, data={"csrf": csrf_of(worker)}).status_code == 403
    assert 'type="radio"' not in worker.text
    for action in ("deploy", "rollback"):
        path = f"/namespaces/production/workers/hello/{action}"
        assert browser.post(path, data={"csrf": csrf_of(worker)}).status_code == 403
    assert browser.post("/sign-out", data={"csrf": csrf_of(worker)}).url.path == "/sign-in"


def test_problems_are_pages(browser: httpx.Client) -> None:
    """A missing worker is a page with the status and the request's id."""
    sign_in(browser)
    page = browser.get("/namespaces/production/workers/none")
    assert page.status_code == 404
    assert page.headers["x-request-id"] in page.text
    assert browser.get("/sign-out").status_code == 405
    big = browser.post("/sign-in", data={"token": "x" * 100_000})
    assert big.status_code == 413


def test_api_takes_no_cookie(browser: httpx.Client) -> None:
    """A session of the dashboard is nothing to the API."""
    sign_in(browser)
    answer = browser.get(f"/client/v4/accounts/{ACCOUNT}/workers/dispatch/namespaces")
    assert answer.status_code == 401
