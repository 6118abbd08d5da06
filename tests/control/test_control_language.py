"""The language of a namespace in the API: shown to all, set by none. Isolates that serve once."""

import httpx
import pytest

from cloister.registry import Registry

ACCOUNT = "a" * 32
TOKEN = "test-token-0123456789abcdef"
ALL = "/workers/dispatch/namespaces"
N = f"{ALL}/production"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_no_token_sets_the_language(api: httpx.Client, registry: Registry, method: str) -> None:
    """Not even an unrestricted one, and no other change of that request is made; the error names
    the field and the way."""
    answer = api.request(method, N, json={"language": "full", "trusted_workers": True})
    assert answer.status_code == 403
    (error,) = answer.json()["errors"]
    assert "cloister namespaces language" in error["message"]
    assert error["source"]["pointer"] == "/language"
    found = registry.namespaces.get(ACCOUNT, "production")
    assert (found.language, found.trusted) == ("restricted", False)


def test_no_namespace_is_made_with_it(api: httpx.Client, registry: Registry) -> None:
    """POST with the full language makes nothing; with the restricted one it does."""
    assert api.post(ALL, json={"name": "other", "language": "full"}).status_code == 403
    assert registry.namespaces.names() == ["production"]
    made = api.post(ALL, json={"name": "other", "language": "restricted"})
    assert made.json()["result"]["language"] == "restricted"


def test_the_token_of_a_namespace_sets_nothing(api: httpx.Client, registry: Registry) -> None:
    """It may not change the namespace at all."""
    token = registry.tokens.create(ACCOUNT, "tenant", namespace="production").text
    mine = {"Authorization": f"Bearer {token}"}
    assert api.put(N, json={"language": "full"}, headers=mine).status_code == 403
    assert api.get(N, headers=mine).json()["result"]["language"] == "restricted"


def test_what_was_shown_may_be_sent_back(api: httpx.Client, registry: Registry) -> None:
    """A client that writes the object it has read changes nothing by the language in it; nor does
    it take the full language away."""
    registry.namespaces.set_language("production", "full")
    shown = api.get(N).json()["result"]
    assert shown["language"] == "full"
    kept = api.put(N, json={"language": shown["language"], "trusted_workers": True}).json()
    assert (kept["result"]["language"], kept["result"]["trusted_workers"]) == ("full", True)
    assert api.put(N, json={"language": "restricted"}).status_code == 403
    assert [each["language"] for each in api.get(ALL).json()["result"]] == ["full"]


def test_fresh_isolates_are_the_accounts_choice(api: httpx.Client) -> None:
    """Set, shown and taken back; what is no yes or no is refused."""
    assert api.get(N).json()["result"]["fresh_isolates"] is False
    assert api.put(N, json={"fresh_isolates": True}).json()["result"]["fresh_isolates"] is True
    assert api.get(N).json()["result"]["fresh_isolates"] is True
    assert api.put(N, json={"fresh_isolates": "no"}).status_code == 400
    assert api.put(N, json={"fresh_isolates": False}).json()["result"]["fresh_isolates"] is False


def test_the_dashboard_shows_both(url: str, registry: Registry) -> None:
    """On the list of namespaces and on the namespace's own page, and only where they are set."""
    with httpx.Client(base_url=url, follow_redirects=True, trust_env=False) as browser:
        browser.post("/sign-in", data={"token": TOKEN})
        for path in ("/", "/namespaces/production"):
            assert "full language" not in browser.get(path).text
        registry.namespaces.set_language("production", "full")
        registry.namespaces.update(ACCOUNT, "production", fresh_isolates=True)
        for path in ("/", "/namespaces/production"):
            page = browser.get(path).text
            assert "full language" in page
            assert "fresh isolates" in page
