"""Preview links: whose requests reach a version that is not live, and what of the link travels."""

import time

import msgspec
import pytest
from dispatcher_rig import Dispatcher, RawAnswer

from cloister.previews import PARAMETER, Grant, host_of, seal
from cloister.registry import VersionView
from cloister.secrets import open_cipher

COOKIE = PARAMETER


@pytest.fixture
def version(dispatcher: Dispatcher) -> VersionView:
    """A version of ``shown`` that is not live."""
    view = dispatcher.registry.namespace_view("production")
    assert view is not None
    dispatcher.deploy("production", "shown")
    return dispatcher.registry.scripts.add_version(view.id, "shown", lambda newest: newest)


@pytest.fixture
def host(version: VersionView) -> str:
    found = host_of(version.id, "shown", "production", "localhost")
    assert found is not None
    return found


def token(dispatcher: Dispatcher, host: str, version_id: str, lasts_s: float = 60) -> str:
    grant = Grant(version_id, int(time.time() + lasts_s))
    return seal(open_cipher(dispatcher.settings), host, grant)


def served(dispatcher: Dispatcher) -> str:
    """The version that the last invocation named."""
    return dispatcher.executor.invocations("shown")[-1].version


def test_a_link_becomes_a_cookie(dispatcher: Dispatcher, host: str, version: VersionView) -> None:
    """The link redirects to the address without its token, with a cookie that only this host gets
    and no script sees; with that the version answers, and it sees neither."""
    sealed = token(dispatcher, host, version.id)
    target = f"//evil.example/a?x=%20&{PARAMETER}={sealed}&y"
    link = dispatcher.request(f"{host}:8787", target)
    assert (link.status, link["location"]) == (302, f"http://{host}:8787//evil.example/a?x=%20&y")
    cookie, *attributes = link["set-cookie"].split("; ")
    assert cookie == f"{COOKIE}={sealed}"
    assert {"Path=/", "HttpOnly", "SameSite=Lax"} < set(attributes)
    assert not any(part.startswith("Domain") for part in attributes)
    assert (link["cache-control"], link["referrer-policy"]) == ("no-store", "no-referrer")

    shown = dispatcher.request(host, "/a?b=1", headers=(f"Cookie: a=1; {cookie}; b=2",))
    assert shown.status == 200
    assert served(dispatcher) == version.id
    assert shown.json()["url"] == f"http://{host}/a?b=1"
    assert sealed not in shown.body.decode()
    assert ["cookie", "a=1; b=2"] in shown.json()["headers"]
    assert (shown["cache-control"], shown["x-robots-tag"]) == ("private, no-store", "noindex")
    live = dispatcher.request("shown.production.localhost")
    assert (live.status, served(dispatcher) != version.id) == (200, True)
    assert not live.all("x-robots-tag")


def test_programs_need_no_cookie(dispatcher: Dispatcher, host: str, version: VersionView) -> None:
    """A header does as well, or the link's parameter for what is no visit; the worker sees none."""
    sealed = token(dispatcher, host, version.id)
    by_header = dispatcher.request(host, headers=(f"Cloister-Preview: {sealed}",))
    by_link = dispatcher.request(host, f"/?{PARAMETER}={sealed}", method="POST", body=b"x")
    for answer in (by_header, by_link):
        assert answer.status == 200
        assert sealed not in answer.body.decode()
    assert by_link.json()["url"] == f"http://{host}/"
    assert served(dispatcher) == version.id


def test_behind_https_the_cookie_is_of_this_host_alone(
    dispatcher: Dispatcher, host: str, version: VersionView
) -> None:
    """``__Host-`` and ``Secure``: no sibling can set it, and it travels in no clear text."""
    sealed = token(dispatcher, host, version.id)
    request = f"GET https://{host}/?{PARAMETER}={sealed} HTTP/1.1\r\nHost: {host}\r\n\r\n"
    link = dispatcher.raw(request.encode())
    assert link["set-cookie"].startswith(f"__Host-{COOKIE}=")
    assert link["set-cookie"].endswith("; Secure")
    again = dispatcher.request(host, headers=(f"Cookie: __Host-{COOKIE}={sealed}",))
    assert again.status == 200


def like(answer: RawAnswer) -> tuple[int, bytes, list[str]]:
    """An answer but for what is different each time."""
    names = sorted(name for name, _ in answer.headers)
    return answer.status, answer.body.partition(b"<code>")[0], names


def test_without_a_link_nothing_shows_that_there_is_a_version(
    dispatcher: Dispatcher, host: str, version: VersionView
) -> None:
    """Unsigned, forged, expired, of another host or for another version: as for any version that
    was never there, and no worker hears of it."""
    nowhere = host_of("a" * 8 if host[0].isalpha() else "0" * 8, "shown", "production", "localhost")
    assert nowhere is not None
    other = host_of(version.id, "other", "production", "localhost")
    assert other is not None
    sealed = token(dispatcher, host, version.id)
    before = len(dispatcher.executor.invocations("shown"))
    expected = like(dispatcher.request(nowhere))
    assert expected[0] == 404
    for wrong in (
        "",
        "x",
        "%C3%A9",
        "A" * 500,
        sealed[:-2] + ("AA" if sealed[-2:] != "AA" else "BB"),
        token(dispatcher, other, version.id),
        token(dispatcher, nowhere, version.id),
        token(dispatcher, host, version.id, lasts_s=-1),
        token(dispatcher, host, "0" * 36),
    ):
        for target, headers in (
            (f"/?{PARAMETER}={wrong}".encode().decode("latin-1"), ()),
            ("/", (f"Cookie: {COOKIE}={wrong}".encode().decode("latin-1"),)),
            ("/", (f"Cloister-Preview: {wrong}".encode().decode("latin-1"),)),
        ):
            assert like(dispatcher.request(host, target, headers=headers)) == expected
    assert like(dispatcher.request(nowhere, f"/?{PARAMETER}={sealed}")) == expected
    assert len(dispatcher.executor.invocations("shown")) == before
    assert dispatcher.request(host, headers=(f"Cookie: {COOKIE}={sealed}",)).status == 200


def test_a_strangers_cookie_is_no_hindrance(
    dispatcher: Dispatcher, host: str, version: VersionView
) -> None:
    """A page of a sibling can set cookies of our name for all of the domain: ours counts still."""
    sealed = token(dispatcher, host, version.id)
    cookies = f"Cookie: {COOKIE}=planted; {COOKIE}={sealed}"
    assert dispatcher.request(host, headers=(cookies,)).status == 200


def test_a_version_that_is_gone(dispatcher: Dispatcher, host: str, version: VersionView) -> None:
    """A link ends with its version."""
    sealed = token(dispatcher, host, version.id)
    cookie = f"Cookie: {COOKIE}={sealed}"
    assert dispatcher.request(host, headers=(cookie,)).status == 200
    view = dispatcher.registry.namespace_view("production")
    assert view is not None
    dispatcher.registry.scripts.delete(view.id, "shown")
    dispatcher.deploy("production", "shown")
    answer = dispatcher.request(host, headers=(cookie,))
    assert (answer.status, b"1022" in answer.body) == (404, True)


def test_a_worker_of_the_previews_name(dispatcher: Dispatcher, version: VersionView) -> None:
    """Who may see the preview does; others get the worker that is really called so."""
    scripts = dispatcher.registry.scripts
    view = dispatcher.registry.namespace_view("production")
    assert view is not None
    while version.id[0].isdigit():  # no worker's name begins with one
        version = scripts.add_version(view.id, "shown", lambda newest: newest)
    host = host_of(version.id, "shown", "production", "localhost")
    assert host is not None
    dispatcher.deploy("production", host.partition(".")[0])
    assert dispatcher.request(host).json()["script"] == host.partition(".")[0]
    cookie = f"Cookie: {COOKIE}={token(dispatcher, host, version.id)}"
    assert dispatcher.request(host, headers=(cookie,)).json()["script"] == "shown"


def test_names_too_long_for_a_label() -> None:
    """A label of the DNS has 63 characters; nine of them are the version's."""
    assert host_of("0" * 36, "a" * 54, "production", "Example.org.") == (
        f"00000000-{'a' * 54}.production.example.org"
    )
    assert host_of("0" * 36, "a" * 55, "production", "example.org") is None


def test_a_grant_has_no_more_than_it_says() -> None:
    """What is sealed is a version and a time."""
    assert msgspec.to_builtins(Grant("v", 1)) == ["v", 1]
