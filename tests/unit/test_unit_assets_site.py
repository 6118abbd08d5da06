"""Which file answers, and how: html handling, not found, redirects, headers, ranges."""

import random
import time
from typing import Any

import pytest

from cloister.assets import Config, File, HeaderRule, Manifest, Redirect, Stored
from cloister.assets.coding import chosen, compressed
from cloister.assets.patterns import Glob, PatternInvalid, compiled
from cloister.assets.site import Answer, Site, asked_of

MODES = ("auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none")

MATRIX = """
/file                 200            /file/         200        404
/file.html            /file          /file/         /file      200
/file/                /file          200            /file      404
/file/index           /file          /file/         /file      404
/file/index.html      /file          /file/         /file      404
/folder               /folder/       /folder/       200        404
/folder.html          /folder/       /folder/       /folder    404
/folder/              200            200            /folder    404
/folder/index         /folder/       /folder/       /folder    404
/folder/index.html    /folder/       /folder/       /folder    200
/                     200            200            200        404
/index.html           /              /              /          200
/index                /              /              /          404
/data.bin             200            200            200        200
/data.bin/            404            404            404        404
"""


def site(*paths: str, variants: dict[str, tuple[int, int]] | None = None, **config: Any) -> Site:
    files = [
        File(path, "h", Stored(path, 100, f"e{path}", None, variants or {}), "text/html")
        for path in paths
    ]
    return Site(Manifest(files), Config(**config))


def ask(
    of: Site, path: str, method: str = "GET", host: str = "shop.test", **headers: str
) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return of.answer(asked_of(method, f"https://{host}{path}", named))


def field(answer: Answer, name: str) -> str | None:
    found = [value for key, value in answer.headers if key == name]
    assert len(found) < 2
    return found[0] if found else None


@pytest.mark.parametrize(("column", "mode"), list(enumerate(MODES)))
def test_html_handling(column: int, mode: Any) -> None:
    """Each mode does with each address what the product's table says."""
    of = site("/file.html", "/folder/index.html", "/index.html", "/data.bin", html_handling=mode)
    for row in MATRIX.strip().splitlines():
        path, *wanted = row.split()
        answer = ask(of, path)
        got = field(answer, "location") if answer.status == 307 else str(answer.status)
        assert got == wanted[column], (mode, path)


def test_file_of_that_very_name_comes_first() -> None:
    """Where several files could be meant, none becomes unreachable."""
    auto = site("/foo.html", "/foo")
    assert ask(auto, "/foo").blob == "/foo"
    assert ask(auto, "/foo.html").blob == "/foo.html"
    both = site("/foo.html", "/foo/index.html")
    assert ask(both, "/foo").blob == "/foo.html"
    assert ask(both, "/foo/").blob == "/foo/index.html"
    drop = site("/foo.html", "/foo/index.html", html_handling="drop-trailing-slash")
    assert ask(drop, "/foo").blob == "/foo.html"
    assert ask(drop, "/foo/index.html").blob == "/foo/index.html"


def test_one_spelling_serves() -> None:
    """Other encodings of an address are redirected to the one, with their query."""
    of = site("/[a].html", "/ä.txt", "/100%.txt", "/a?b.txt")
    assert field(ask(of, "/[a]?x=1"), "location") == "/%5Ba%5D?x=1"
    assert ask(of, "/%5Ba%5D").status == 200
    assert ask(of, "/%C3%A4.txt").status == 200
    assert field(ask(of, "/%c3%a4.txt"), "location") == "/%C3%A4.txt"
    assert ask(of, "/100%25.txt").status == 200
    assert field(ask(of, "/100%.txt"), "location") == "/100%25.txt"
    assert ask(of, "/a%3Fb.txt").status == 200
    assert ask(of, "/a?b.txt").status == 404


@pytest.mark.parametrize(
    "path",
    [
        *("/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/a%00.html"),
        *("/%ff%fe", "/%c0%ae%c0%ae/x", "/..\\..\\x", "/%5c%5cevil.test", "/.%00/index.html"),
    ],
)
def test_no_path_leads_out(path: str) -> None:
    """Whatever a path spells, it is only looked up among the site's files."""
    assert ask(site("/index.html", "/a.html"), path).status == 404


@pytest.mark.parametrize("not_found", ["single-page-application", "404-page", "none"])
def test_no_redirect_leaves_the_host(not_found: Any) -> None:
    """An address that begins with two slashes makes no Location that is another host."""
    of = site(
        *("/index.html", "/404.html", "/evil.test/index.html"),
        not_found_handling=not_found,
        dynamic=[Redirect("/go/*", "/:splat", 302), Redirect("/x*", ":splat", 302)],
    )
    for path in ("//evil.test", "//evil.test/[", "//evil.test/index.html", "/go//evil.test"):
        location = field(ask(of, path), "location")
        assert location is None or (location[0] == "/" and location[1:2] not in ("/", "\\")), path
    for path in ("/x//evil.test", "/x/\\evil.test", "/x\\\\evil.test", "/go/\\evil.test"):
        location = field(ask(of, path), "location")
        assert location is not None
        assert location[0] == "/"
        assert location[1:2] not in ("/", "\\")


def test_not_found_handling() -> None:
    """Nothing, the nearest 404.html, or the front page."""
    files = ("/index.html", "/404.html", "/docs/404.html")
    assert ask(site(*files), "/docs/a/b") == Answer(404, [])
    pages = site(*files, not_found_handling="404-page")
    assert (ask(pages, "/docs/a/b").status, ask(pages, "/docs/a/b").blob) == (404, "/docs/404.html")
    assert ask(pages, "/other/a").blob == "/404.html"
    assert ask(site("/a"), "/b").blob == ""
    spa = site(*files, not_found_handling="single-page-application")
    assert (ask(spa, "/any/thing").status, ask(spa, "/any/thing").blob) == (200, "/index.html")
    assert ask(site("/a", not_found_handling="single-page-application"), "/b").status == 404


def test_base_path() -> None:
    """Files are below it, and redirects stay below it."""
    of = site("/index.html", "/a.html", base_path="/docs/")
    assert ask(of, "/docs/").status == 200
    assert ask(of, "/docs/a").status == 200
    assert field(ask(of, "/docs/a.html"), "location") == "/docs/a"
    assert {ask(of, path).status for path in ("/", "/a", "/docsa", "/docs-a/")} == {404}


def test_methods() -> None:
    """Files are read; HEAD has a GET's fields and no body."""
    of = site("/a.txt")
    assert ask(of, "/a.txt", "POST").status == 405
    assert field(ask(of, "/a.txt", "POST"), "allow") == "GET, HEAD"
    assert ask(of, "/b.txt", "POST").status == 404
    head = ask(of, "/a.txt", "HEAD")
    assert (field(head, "content-length"), head.span.length) == ("100", 0)


def test_conditional() -> None:
    """A client that has the file is told so, however it writes the tag."""
    of = site("/a.txt", not_found_handling="404-page")
    etag = str(field(ask(of, "/a.txt"), "etag"))
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = ask(of, "/a.txt", if_none_match=known)
        assert (answer.status, answer.span.length, field(answer, "etag")) == (304, 0, etag)
    assert ask(of, "/a.txt", if_none_match='"other"').status == 200


@pytest.mark.parametrize(
    ("said", "status", "part"),
    [
        *(("bytes=0-9", 206, (0, 10)), ("bytes=90-", 206, (90, 10)), ("bytes=-5", 206, (95, 5))),
        *(("bytes=50-500", 206, (50, 50)), ("bytes=-500", 206, (0, 100))),
        *(("bytes=100-", 416, (0, 0)), ("bytes=-0", 416, (0, 0))),
        *(
            ("bytes=9-3", 200, (0, 100)),
            ("bytes=0-1,5-6", 200, (0, 100)),
            ("lines=1-2", 200, (0, 100)),
        ),
        *(("bytes=-", 200, (0, 100)), (f"bytes=0-{'9' * 99}", 200, (0, 100))),
    ],
)
def test_ranges(said: str, status: int, part: tuple[int, int]) -> None:
    """A part of a file, or the whole where the range is none."""
    answer = ask(
        site("/a.txt", variants={"br": (100, 5)}), "/a.txt", range=said, accept_encoding="br"
    )
    assert (answer.status, tuple(answer.span)) == (status, part)
    assert field(answer, "cache-control") is None
    if status == 206:
        assert field(answer, "content-range") == f"bytes {part[0]}-{sum(part) - 1}/100"
    if status == 416:
        assert field(answer, "content-range") == "bytes */100"


def test_range_of_what_it_was() -> None:
    """If-Range: a part only of the very bytes that the client has the rest of."""
    of = site("/a.txt")
    etag = str(field(ask(of, "/a.txt"), "etag"))
    assert ask(of, "/a.txt", range="bytes=0-9", if_range=etag).status == 206
    assert ask(of, "/a.txt", range="bytes=0-9", if_range=f"W/{etag}").status == 200


def test_default_fields() -> None:
    """What every file comes with; and no shared cache keeps what was asked for with a password."""
    of = site("/a.txt")
    fields = dict(ask(of, "/a.txt").headers)
    assert fields["cache-control"] == "public, max-age=0, must-revalidate"
    assert fields["x-content-type-options"] == "nosniff"
    assert fields["content-type"] == "text/html"
    assert field(ask(of, "/a.txt", authorization="Basic x"), "cache-control") is None


def test_codings() -> None:
    """The coding that the client likes best, else the file as it is; always with Vary."""
    of = site("/a.txt", variants={"gzip": (100, 50), "br": (150, 40), "zstd": (190, 45)})
    for accepted, coding in (
        ("gzip, br;q=0.5", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("zstd;q=0.9, gzip;q=0.8", "zstd"),
        ("*", "br"),
        ("br;q=0, *", "zstd"),
        ("identity, gzip;q=0.5", None),
        ("deflate", None),
        ("", None),
    ):
        answer = ask(of, "/a.txt", accept_encoding=accepted)
        assert field(answer, "content-encoding") == coding, accepted
        assert field(answer, "vary") == "Accept-Encoding"
        assert str(field(answer, "etag")).startswith("W/") == (coding is not None)
    assert ask(of, "/a.txt", accept_encoding="br").span == (150, 40)
    assert field(ask(of, "/a.txt", "HEAD", accept_encoding="br"), "content-length") == "40"


def test_what_is_worth_compressing() -> None:
    """Text becomes smaller in every coding; noise and crumbs stay as they are."""
    assert set(compressed(b"hello " * 1000)) == {"br", "zstd", "gzip"}
    assert compressed(random.Random(1).randbytes(2000)) == {}
    assert compressed(b"hello") == {}
    assert chosen("br", {}) is None


def test_redirects() -> None:
    """The rules without wildcards first, then the others by their order; queries go along."""
    of = site(
        *("/index.html", "/users/id.html", "/a.html"),
        static=[
            Redirect("/a", "/new?x=1#there", 301),
            Redirect("/b", "https://other.test/b", 302),
            Redirect("/c", "/a.html", 200),
        ],
        dynamic=[
            Redirect("/blog/:year/:slug", "/posts/:slug-:year", 308),
            Redirect("/users/*", "/users/id.html", 200),
            Redirect("/old/*", "https://old.test/:splat", 303),
            Redirect("/gone/*", "/missing", 200),
        ],
    )
    assert [field(ask(of, path), "location") for path in ("/a", "/a?y=2", "/b?y=2")] == [
        *("/new?x=1#there", "/new?x=1#there", "https://other.test/b?y=2"),
    ]
    moved = ask(of, "/blog/2024/hi?z=1")
    assert (moved.status, field(moved, "location")) == (308, "/posts/hi-2024?z=1")
    assert field(ask(of, "/old/a/b"), "location") == "https://old.test/a/b"
    assert field(ask(of, "/users/7"), "location") == "/users/id"
    assert ask(of, "/c").status == 307
    assert ask(of, "/gone/x").status == 404
    assert ask(of, "/a", "POST").status == 301
    assert ask(of, "/blog/2024").status == 404


def test_rewrites_go_one_hop() -> None:
    """A 200 serves another file under this address; no rule is applied to that one."""
    of = site(
        "/page.txt",
        static=[Redirect("/a", "/page.txt", 200), Redirect("/page.txt", "/b", 302)],
        dynamic=[Redirect("/loop/*", "/loop/:splat", 200)],
    )
    assert (ask(of, "/a").status, ask(of, "/a").blob) == (200, "/page.txt")
    assert ask(of, "/loop/x").status == 404


def test_headers_of_rules() -> None:
    """All rules that match add up; one can take away what we or others say."""
    of = site(
        *("/a.txt", "/secret/b.txt"),
        headers=[
            HeaderRule("/*", [("x-frame-options", "DENY"), ("cache-control", "no-store")]),
            HeaderRule("/secret/*", [("x-robots-tag", "noindex"), ("x-path", "of :splat")]),
            HeaderRule("/secret/:file", [("x-robots-tag", ":file")], ["x-frame-options"]),
            HeaderRule("https://:sub.example.com/*", [("x-sub", ":sub")]),
            HeaderRule("/a.txt", [], ["etag", "x-content-type-options"]),
        ],
    )
    plain = dict(ask(of, "/a.txt").headers)
    assert plain["cache-control"] == "no-store"
    assert "etag" not in plain
    assert "x-content-type-options" not in plain
    secret = dict(ask(of, "/secret/b.txt", host="eu.example.com:8787").headers)
    assert secret["x-robots-tag"] == "noindex, b.txt"
    assert secret["x-path"] == "of b.txt"
    assert "x-frame-options" not in secret
    assert secret["x-sub"] == "eu"
    assert "x-sub" not in dict(ask(of, "/a.txt", host="a.b.example.com").headers)


def test_own_content_encoding_switches_ours_off() -> None:
    """A file that its owner says is encoded is never encoded once more."""
    of = site(
        "/a.txt",
        variants={"br": (100, 5)},
        headers=[HeaderRule("/*", [("content-encoding", "gzip")])],
    )
    assert field(ask(of, "/a.txt", accept_encoding="br"), "content-encoding") == "gzip"
    assert ask(of, "/a.txt", accept_encoding="br").span.length == 100


def test_visitors_cannot_blow_up_or_inject_fields() -> None:
    """What stands for a wildcard is encoded, and bounded however often it is repeated."""
    of = site(
        "/index.html",
        not_found_handling="single-page-application",
        headers=[HeaderRule("/*", [(f"x-{number}", ":splat" * 300)]) for number in range(100)],
        dynamic=[Redirect("/r/*", "/" + ":splat" * 160, 302)],
    )
    answer = ask(of, "/" + "x" * 16_000)
    assert sum(len(value) for _, value in answer.headers) < 100_000
    assert len(str(field(ask(of, "/r/" + "x" * 16_000), "location"))) < 17_000
    values = [value for _, value in ask(of, "/a\x85\u00e4").headers]
    assert all(value.isascii() and value.isprintable() for value in values)


def test_worker_first() -> None:
    """Before files the worker, always or where a pattern says so and none forbids it."""

    def by_worker(of: Site, path: str, *, prefers: bool = False, **headers: str) -> bool:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return of.route(asked_of("GET", f"http://x{path}", named), prefers_assets=prefers) is None

    files = ("/index.html", "/api/docs.html")
    assert by_worker(site(*files, worker_first=True), "/")
    some = site(*files, worker_paths=["/api/*"], asset_paths=["/api/docs*"])
    assert by_worker(some, "/api/x")
    assert not by_worker(some, "/api/docs")
    assert not by_worker(some, "/api/docs/nothing")
    assert not by_worker(some, "/")
    assert by_worker(some, "/other")
    spa = site(*files, not_found_handling="single-page-application")
    assert by_worker(spa, "/route")
    assert by_worker(spa, "/route", prefers=True)
    assert not by_worker(spa, "/route", prefers=True, sec_fetch_mode="navigate")
    assert by_worker(spa, "/route", sec_fetch_mode="navigate")
    listed = site(*files, not_found_handling="single-page-application", worker_paths=["/api/*"])
    assert by_worker(listed, "/route", prefers=True, sec_fetch_mode="navigate")


def test_globs() -> None:
    """A star is any text, and there may be several."""
    for pattern, path, matches in (
        ("/a/*", "/a/b/c", True),
        ("/a/*", "/a", False),
        ("/*/x/*.js", "/1/x/2.js", True),
        ("/*/x/*.js", "/1/y/2.js", False),
        ("/ab*ba", "/aba", False),
        ("/a", "/a", True),
        ("*", "", True),
    ):
        assert Glob.of(pattern).match(path) is matches, (pattern, path)


@pytest.mark.parametrize("pattern", ["/:a/:a", "/*/*", "/:a-:b", "/x*:a", "https://*.x/*"])
def test_patterns_that_are_refused(pattern: str) -> None:
    """A name twice, or two wildcards where it would be unclear which has what."""
    with pytest.raises(PatternInvalid):
        compiled(pattern)


def test_matching_takes_no_time() -> None:
    """No pattern and path together cost more than their lengths: nothing is tried twice."""
    path = "/" + "a/" * 8_000
    patterns = [compiled("/*/" + "/".join(f":p{i}" for i in range(300)) + "/b") for _ in range(100)]
    globs = [Glob.of("/" + "*a" * 49 + "b") for _ in range(100)]
    began = time.process_time()
    assert not any(each.match("x.test", path) for each in patterns)
    assert not any(each.match(path) for each in globs)
    assert time.process_time() - began < 2
