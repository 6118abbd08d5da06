"""The egress guard: each refusal with an allowed twin beside it."""

import ipaddress

import pytest

from executor.egress.guard import (
    FetchInvalid,
    FetchRefused,
    HostRules,
    canonical_host,
    check_addresses,
    join,
    parse,
)

PORTS = (80, 443, 8080, 8443)

REFUSED_AND_ALLOWED_URLS = [
    # scheme
    ("ftp://example.com/", "http://example.com/"),
    ("file:///etc/passwd", "https://example.com/etc/passwd"),
    ("/relative", "https://example.com/relative"),
    ("http:///nohost", "http://nohost/"),
    ("gopher://example.com:80/", "http://example.com:80/"),
    # port
    ("http://example.com:22/", "http://example.com:8080/"),
    ("http://example.com:6379/", "https://example.com:8443/"),
    # user information
    ("http://user:pw@example.com/", "http://example.com/user:pw@"),
    ("http://example.com@127.0.0.1/", "http://example.com/@127.0.0.1"),
    ("http://@example.com/", "http://example.com/"),
    # addresses in spellings that only some software understands
    ("http://0177.1/", "http://1.0.0.1/"),
    ("http://2130706433/", "http://93.184.216.34/"),
    ("http://0x7f000001/", "http://0x7f000001.example.com/"),
    ("http://127.1/", "http://8.8.8.8/"),
    ("http://0x7f.0.0.1/", "http://9.9.9.9/"),
    ("http://1.2.3.04/", "http://1.2.3.4/"),
    ("http://127.0.0.1.2./x", "http://127.example.com./x"),
    # IPv6
    ("http://[fe80::1%25eth0]/", "http://[2606:4700::1111]/"),
    ("http://[::1/", "http://[2606:4700::1]/"),
    # characters
    ("http://exam ple.com/", "http://example.com/a%20b"),
    ("http://example.com\\@evil.com/", "http://example.com/%5C@evil.com/"),
    ("http://example.com/\r\nX: y", "http://example.com/%0D%0AX:%20y"),
    ("http://exa%6dple.com/", "http://example.com/%6d"),
    ("http://-bad-.com/", "http://not-bad.com/"),
    ("http://" + "a" * 64 + ".com/", "http://" + "a" * 63 + ".com/"),
    ("http://example.com/" + "a" * 17_000, "http://example.com/" + "a" * 10_000),
]


@pytest.mark.parametrize(("refused", "allowed"), REFUSED_AND_ALLOWED_URLS)
def test_urls(refused: str, allowed: str) -> None:
    """A URL that could mean something else to somebody is refused; its plain twin is not."""
    with pytest.raises(FetchRefused):
        parse(refused, PORTS)
    assert parse(allowed, PORTS).port in PORTS


def test_international_names_become_ascii() -> None:
    """A name in another script is looked up in ASCII; digits in disguise do not pass."""
    assert parse("http://bücher.example/", PORTS).host == "xn--bcher-kva.example"
    for disguised in (
        "http://①②⑦.⓪.⓪.①/",
        "http://127。0。0。1/",
        "http://\uff11\uff12\uff17.0.0.1/",
    ):
        with pytest.raises(FetchRefused):
            check_addresses([parse(disguised, PORTS).host], ())


def test_one_spelling_of_a_host() -> None:
    """Case and a final dot make no other host."""
    assert canonical_host("EXAMPLE.com.") == "example.com"
    assert canonical_host("127.0.0.1.") == "127.0.0.1"
    assert parse("HTTP://Example.COM./a?b=c#frag", PORTS).url == "http://example.com/a?b=c"


def test_empty_hosts_are_invalid() -> None:
    """A dot is no host."""
    for url in ("http://./", "http://../", "http://a..b/"):
        with pytest.raises(FetchInvalid):
            parse(url, PORTS)


REFUSED_AND_ALLOWED_ADDRESSES = [
    ("0.0.0.0", "1.0.0.1"),
    ("10.0.0.1", "11.0.0.1"),
    ("100.64.0.1", "100.128.0.1"),
    ("100.100.100.200", "100.63.0.1"),
    ("127.0.0.1", "128.0.0.1"),
    ("127.255.255.254", "126.0.0.1"),
    ("168.63.129.16", "168.63.129.17"),
    ("169.254.169.254", "169.253.1.1"),
    ("172.16.0.1", "172.32.0.1"),
    ("172.31.255.255", "172.15.0.1"),
    ("192.0.0.192", "192.0.1.1"),
    ("192.0.2.1", "192.0.3.1"),
    ("192.88.99.1", "192.88.98.1"),
    ("192.168.1.1", "192.169.1.1"),
    ("198.18.0.1", "198.20.0.1"),
    ("198.51.100.1", "198.51.101.1"),
    ("203.0.113.1", "203.0.114.1"),
    ("224.0.0.1", "223.255.255.1"),
    ("240.0.0.1", "8.8.8.8"),
    ("255.255.255.255", "9.9.9.9"),
    ("::", "2606:4700::1111"),
    ("::1", "2a00:1450:4001::1"),
    ("::ffff:127.0.0.1", "2606:4700::1"),
    ("::ffff:8.8.8.8", "8.8.8.8"),
    ("::127.0.0.1", "2607:f8b0::1"),
    ("64:ff9b::7f00:1", "2a00::1"),
    ("64:ff9b::808:808", "8.8.8.8"),
    ("64:ff9b:1::1", "2620:fe::fe"),
    ("2001::1", "2001:4860:4860::8888"),
    ("2001:db8::1", "2001:db9::1"),
    ("2002:7f00:1::", "2003::1"),
    ("3fff::1", "3ffe::1"),
    ("fc00::1", "2a01::1"),
    ("fd00:ec2::254", "2a02::1"),
    ("fe80::1", "2a03::1"),
    ("fec0::1", "2a04::1"),
    ("ff02::1", "2a05::1"),
]


@pytest.mark.parametrize(("refused", "allowed"), REFUSED_AND_ALLOWED_ADDRESSES)
def test_addresses(refused: str, allowed: str) -> None:
    """Only public unicast addresses pass, and none that carries another address inside."""
    with pytest.raises(FetchRefused):
        check_addresses([refused], ())
    check_addresses([allowed], ())


def test_one_bad_address_refuses_the_host() -> None:
    """A name that resolves to a public and a private address is refused as a whole."""
    with pytest.raises(FetchRefused):
        check_addresses(["8.8.8.8", "127.0.0.1"], ())
    with pytest.raises(FetchRefused):
        check_addresses([], ())
    check_addresses(["8.8.8.8", "2606:4700::1111"], ())


def test_the_operator_may_open_a_private_network() -> None:
    """An opened network passes, its neighbour and its IPv6 disguise do not."""
    opened = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("127.0.0.0/8"))
    check_addresses(["10.1.2.3", "127.0.0.1"], opened)
    for address in ("10.2.0.1", "::ffff:10.1.2.3", "::1"):
        with pytest.raises(FetchRefused):
            check_addresses([address], opened)


def test_redirect_targets_are_parsed_like_any_other() -> None:
    """A Location is joined to its base, and refused where a URL would be."""
    base = parse("https://example.com/a/b?c", PORTS)
    assert join(base, "../d", PORTS).url == "https://example.com/d"
    assert join(base, "//other.example/x", PORTS).origin == ("https", "other.example", 443)
    for location in ("ftp://example.com/", "http://example.com:22/", "http://u:p@h/", "a\r\nb"):
        with pytest.raises(FetchRefused):
            join(base, location, PORTS)


@pytest.mark.parametrize(
    ("rules", "refused", "allowed"),
    [
        (HostRules(deny=("evil.example",)), "evil.example", "sub.evil.example"),
        (HostRules(deny=("*.evil.example",)), "a.b.evil.example", "notevil.example"),
        (HostRules(allow=("api.example",)), "other.example", "api.example"),
        (HostRules(allow=("*.example",)), "example", "a.example"),
        (HostRules(allow=("*",), deny=("b.example",)), "b.example", "a.example"),
        (HostRules(deny=("BÜCHER.example",)), "xn--bcher-kva.example", "bucher.example"),
        (HostRules(allow=("192.0.2.7",)), "192.0.2.8", "192.0.2.7"),
    ],
)
def test_a_namespace_own_rules(rules: HostRules, refused: str, allowed: str) -> None:
    """Deny wins over allow; patterns match whole labels."""
    with pytest.raises(FetchRefused):
        rules.check(refused)
    rules.check(allowed)


def test_a_pattern_that_is_none_denies_and_never_allows() -> None:
    """What we do not understand of an operator's list errs on the safe side."""
    with pytest.raises(FetchRefused):
        HostRules(deny=("ev*il.example",)).check("other.example")
    with pytest.raises(FetchRefused):
        HostRules(allow=("ev*il.example",)).check("evil.example")
    HostRules(allow=("ev*il.example", "good.example")).check("good.example")
