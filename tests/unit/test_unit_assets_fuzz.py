"""Whatever tenants write and visitors ask for: an answer, and one that is HTTP."""

import re
from string import printable

from hypothesis import given, settings
from hypothesis import strategies as st

from cloister.assets import Config, File, Manifest, Stored
from cloister.assets.site import READING, Site, asked_of
from control.errors import Refused
from control.rules import header_rules, redirect_rules

VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
PATHS = ("/index.html", "/404.html", "/a.html", "/a/index.html", "/ä b.txt", "/b/c.bin", "/%41")
FILES = [
    File(path, "h", Stored("x", 10, "e", None, {"br": (10, 5)}), "text/html") for path in PATHS
]

piece = st.one_of(
    st.sampled_from(
        ["/", "//", "..", ".", "%", "%2f", "%00", "%C3%A4", "index", ".html", "a", "b"]
    ),
    st.sampled_from(["\\", ":", "*", ":x", "@", "evil.test", " ", "\x85", "é", "%41", "[", "404"]),
)
path = st.lists(piece, max_size=8).map(lambda pieces: "/" + "".join(pieces))
rule = st.lists(piece, min_size=1, max_size=6).map("".join)
line = st.one_of(
    st.tuples(rule, rule, st.sampled_from(["", "200", "301", "308", "9"])).map(" ".join),
    st.text(printable, max_size=40),
)
lines = st.lists(line, max_size=8).map("\n".join)
header_line = st.one_of(rule, st.tuples(rule, st.text(max_size=20)).map(": ".join), line)
header_lines = st.lists(header_line, max_size=10).map(lambda found: "/*\n" + "\n".join(found))
sent = st.fixed_dictionaries(
    {},
    optional={
        "range": st.sampled_from(["bytes=0-", "bytes=-0", "bytes=5-1", "bytes=1-2,3-4", "x", ""]),
        "if-none-match": st.sampled_from(['"e"', "*", "W/", ","]),
        "if-range": st.sampled_from(['"e"', "x"]),
        "accept-encoding": st.text(printable, max_size=30),
        "sec-fetch-mode": st.just("navigate"),
    },
)


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    html=st.sampled_from(
        ["auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"]
    ),
    not_found=st.sampled_from(["none", "404-page", "single-page-application"]),
    base=st.sampled_from(["/", "/a/"]),
)
def test_any_rules_and_any_request(
    data: st.DataObject, html: str, not_found: str, base: str
) -> None:
    """Rules are taken or refused; then each request has an answer of valid fields, a body that lies
    within the file, and no redirect to a host that no rule names."""
    try:
        redirects = redirect_rules.parse(data.draw(lines), html)
        headers = header_rules.parse(data.draw(header_lines))
    except Refused:
        return
    config = Config(
        html_handling=html,
        not_found_handling=not_found,
        base_path=base,
        static=redirects.static,
        dynamic=redirects.dynamic,
        headers=headers.rules,
    )
    site = Site(Manifest(FILES), config)
    named = any(each.target.startswith("https://") for each in config.static + config.dynamic)
    for _ in range(4):
        method = data.draw(st.sampled_from([*READING, "POST"]))
        request = asked_of(method, f"http://x.test{data.draw(path)}?q", data.draw(sent))
        answer = site.answer(request)
        assert 200 <= answer.status <= 416
        assert answer.span.start >= 0
        assert answer.span.start + answer.span.length <= 15
        for name, value in answer.headers:
            assert VALUE.fullmatch(value), (name, value)
            if name == "location" and not named and not any(r.set for r in headers.rules):
                assert value.startswith("/"), value
                assert not value.startswith(("//", "/\\")), value


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=300))
def test_any_text_as_rules(text: str) -> None:
    """No text is more than a refusal or some warnings, with a line for each."""
    for parse in (lambda: redirect_rules.parse(text, "none"), lambda: header_rules.parse(text)):
        try:
            warnings = parse().warnings
        except Refused:
            continue
        assert all(" line " in warning for warning in warnings)
