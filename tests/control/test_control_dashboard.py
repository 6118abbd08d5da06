"""The dashboard: who gets in, what is shown and what never is, forms and their tokens."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
import redis

from cloister.limits import Limits
from cloister.messages import ExceptionLine, LogLine, Trace, log_list
from cloister.outcomes import Outcome
from cloister.registry import Registry

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
    "path", ["/", "/namespaces/production", "/namespaces/production/workers/hello"]
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


def test_hostnames_on_the_worker_page(
    browser: httpx.Client, upload: Upload, api: httpx.Client
) -> None:
    """Those that lead to it, if any do; a long list is cut."""
    upload("hello")
    sign_in(browser)
    assert "Hostnames" not in browser.get("/namespaces/production/workers/hello").text
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
    assert browser.get("/namespaces/staging").status_code == 403
    worker = browser.get("/namespaces/production/workers/hello")
    assert "/delete" not in worker.text
    path = "/namespaces/production/workers/hello/delete"
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
