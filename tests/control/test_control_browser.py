"""The dashboard in a real browser: Debian's Chromium, driven by Playwright."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright

from cloister.registry import Registry

TOKEN = "test-token-0123456789abcdef"
EVIL = "<img src=x onerror=alert(1)>"
QUIET = [
    "--no-sandbox",  # Chromium's own sandbox refuses root; the pages are ours
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

Upload = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def chromium() -> str:
    """Path of the browser: optional at home, required in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None and os.environ.get("CI"):
        pytest.fail("CI needs Chromium")
    if found is None:
        pytest.skip("no Chromium installed")
    return found


@pytest.fixture
def page(chromium: str) -> Iterator[Page]:
    """A fresh browser window. The test fails if a page logs an error or opens a dialog."""
    complaints: list[str] = []
    profile = tempfile.mkdtemp(prefix="cloister-browser-")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, args=QUIET
        )
        window = context.pages[0]
        window.on("pageerror", lambda error: complaints.append(str(error)))
        window.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        window.on(
            "console",
            lambda line: complaints.append(line.text) if line.type == "error" else None,
        )
        yield window
        context.close()
    shutil.rmtree(Path(profile))
    assert complaints == []


def test_a_person_finds_and_deletes_a_worker(page: Page, url: str, upload: Upload) -> None:
    """Sign in, open the namespace, filter by tag, read the worker's page, delete it, sign out."""
    assert upload("hello", tags=["customer-7"]).status_code == 200
    assert upload("other", bindings=[{"name": "V", "type": "plain_text", "text": EVIL}]).is_success
    page.goto(url)
    page.fill("input[name=token]", TOKEN)
    page.click("main button")
    page.click("text=production")
    page.fill("input[name=tag]", "customer-7")
    page.click("text=Filter")
    assert page.locator("text=other").count() == 0
    page.click("text=hello")
    assert page.locator("h1").inner_text() == "hello"
    page.check(".danger input[type=checkbox] >> nth=0")
    page.click("button:has-text('Delete')")
    page.goto(f"{url}/namespaces/production/workers/other")
    assert page.locator(f"text={EVIL}").count() == 1
    assert page.locator("main img").count() == 0
    page.goto(f"{url}/namespaces/production")
    assert page.locator("tbody tr").count() == 1
    page.click("text=Sign out")
    page.goto(f"{url}/namespaces/production")
    assert page.url.endswith("/sign-in")


def test_pages_fit_a_narrow_window(
    page: Page, url: str, upload: Upload, registry: Registry
) -> None:
    """Nothing makes a telephone scroll sideways, and the stylesheet is really applied."""
    upload("a-worker-with-" + "quite-" * 6 + "long-name")
    page.set_viewport_size({"width": 380, "height": 800})
    page.goto(url)
    page.fill("input[name=token]", TOKEN)
    page.click("main button")
    name = "a-very-long-name-of-a-customer.that-has-many-labels.and-goes-on.example.com"
    registry.hostnames.create("a" * 32, name, metadata={"key": "value" * 50}, wildcard=True)
    registry.kv.namespaces.create("a" * 32, "t" * 200)
    worker = "/namespaces/production/workers/a-worker-with-" + "quite-" * 6 + "long-name"
    for path in (
        "/",
        "/namespaces/production",
        worker,
        "/workers",
        "/hostnames",
        "/storage",
        "/api",
    ):
        page.goto(f"{url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 380
        assert page.evaluate("getComputedStyle(document.body).margin") == "0px"


def test_the_api_is_read_with_a_keyboard(page: Page, url: str) -> None:
    """Without signing in: to a part by its link, to an operation by tab, open by enter; its body's
    type is a link to the type's fields.
    """
    page.goto(f"{url}/api")
    page.click("nav >> text=hostnames")
    assert page.url.endswith("#hostnames")
    operation = page.locator("[id='hostnames.put']")
    assert not operation.locator("h3 >> text=Body").is_visible()
    operation.locator("summary").focus()
    page.keyboard.press("Enter")
    operation.locator("h3 >> text=Body").wait_for()
    operation.locator("a >> text=HostnameTarget").click()
    assert page.url.endswith("#type-HostnameTarget")


def test_a_version_is_deployed_with_a_keyboard(page: Page, url: str, upload: Upload) -> None:
    """From the list to the worker, to a version by the arrows, a share typed in, deployed by enter;
    then rolled back with a button."""
    for _ in range(3):
        upload("hello")
    page.goto(url)
    page.fill("input[name=token]", TOKEN)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="production").press("Enter")
    page.get_by_role("link", name="hello").press("Enter")
    page.locator("input[name=version]:checked").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("25")
    page.keyboard.press("Enter")
    page.locator("td.good >> text=25 %").wait_for()
    assert page.locator("td.good >> text=75 %").count() == 1
    page.locator("text=Last deployments").press("Enter")
    page.locator("td >> text=3: 75 %, 2: 25 %").wait_for()
    page.locator("text=Roll back").press("Enter")
    page.locator("td.good >> text=100 %").wait_for()
    assert page.locator("td.good >> text=25 %").count() == 0
