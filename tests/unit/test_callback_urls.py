"""Allowed callbacks: malformed URLs are refused, and the addresses of the host decide."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deepoj.webhooks.callback_urls import MAX_CHARS, Callback, CallbackRules
from deepoj.words.webhooks import CallbackRefusal

PUBLIC = CallbackRules()
#: settings of an operator who allows services of the own network
AT_HOME = CallbackRules.of(enabled=True, hosts=(), networks=("127.0.0.0/8", "10.1.0.0/16", "fd00::/8"))


def test_an_ordinary_url_comes_in_its_one_form() -> None:
    found = PUBLIC.read("HTTPS://Hooks.Example.ORG.:443/Judge/%E4%BD%A0?a=B&c=%20")
    assert found == Callback(
        "https://hooks.example.org/Judge/%E4%BD%A0?a=B&c=%20",
        "https",
        "hooks.example.org",
        443,
        "/Judge/%E4%BD%A0?a=B&c=%20",
    )
    assert isinstance(found, Callback)
    assert found.target == "https://hooks.example.org"


@pytest.mark.parametrize(
    ("url", "form", "target"),
    [
        ("http://a.example", "http://a.example/", "http://a.example"),
        ("http://a.example?x=1", "http://a.example/?x=1", "http://a.example"),
        ("http://a.example:80/", "http://a.example/", "http://a.example"),
        ("http://a.example:443/", "http://a.example:443/", "http://a.example:443"),
        ("https://a.example:8443/x", "https://a.example:8443/x", "https://a.example:8443"),
        ("https://1.1.1.1/x", "https://1.1.1.1/x", "https://1.1.1.1"),
        ("https://[2606:4700:0::1111]:9000/x", "https://[2606:4700::1111]:9000/x", "https://[2606:4700::1111]:9000"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/", "https://xn--bcher-kva.example"),
        ("https://my_hooks.a.example/", "https://my_hooks.a.example/", "https://my_hooks.a.example"),
    ],
)
def test_forms_and_targets(url: str, form: str, target: str) -> None:
    found = PUBLIC.read(url)
    assert isinstance(found, Callback), found
    assert (found.url, found.target) == (form, target)
    assert PUBLIC.read(found.url) == found


@pytest.mark.parametrize(
    ("url", "refusal"),
    [
        ("", CallbackRefusal.MALFORMED),
        ("hooks.example.org/x", CallbackRefusal.MALFORMED),
        ("//hooks.example.org/x", CallbackRefusal.MALFORMED),
        ("https:///x", CallbackRefusal.MALFORMED),
        ("https://a.example/ x", CallbackRefusal.MALFORMED),
        ("https://a.example/\r\nX: y", CallbackRefusal.MALFORMED),
        ("https://a.example/\\x", CallbackRefusal.MALFORMED),
        ("https://a.example\\@b.example/", CallbackRefusal.MALFORMED),
        ("https://a.example/你", CallbackRefusal.MALFORMED),
        ("https://bücher.example/", CallbackRefusal.MALFORMED),
        ("https://a.example/#top", CallbackRefusal.MALFORMED),
        ("https://a.example:0/", CallbackRefusal.MALFORMED),
        ("https://a.example:65536/", CallbackRefusal.MALFORMED),
        ("https://a.example:x/", CallbackRefusal.MALFORMED),
        ("https://a..example/", CallbackRefusal.MALFORMED),
        ("https://-a.example/", CallbackRefusal.MALFORMED),
        ("https://%61.example/", CallbackRefusal.MALFORMED),
        ("https://[::1/", CallbackRefusal.MALFORMED),
        ("https://[fe80::1%25eth0]/", CallbackRefusal.MALFORMED),
        ("https://[1.1.1.1]/", CallbackRefusal.MALFORMED),
        ("https://[a.example]/", CallbackRefusal.MALFORMED),
        ("https://" + "a" * 64 + ".example/", CallbackRefusal.MALFORMED),
        ("https://a.example/" + "x" * MAX_CHARS, CallbackRefusal.MALFORMED),
        # addresses as old parsers read them
        ("http://2130706433/", CallbackRefusal.MALFORMED),
        ("http://0x7f000001/", CallbackRefusal.MALFORMED),
        ("http://0x7f.1/", CallbackRefusal.MALFORMED),
        ("http://127.1/", CallbackRefusal.MALFORMED),
        ("http://0177.0.0.1/", CallbackRefusal.MALFORMED),
        ("ftp://a.example/", CallbackRefusal.SCHEME),
        ("file:///etc/passwd", CallbackRefusal.SCHEME),
        ("gopher://a.example/", CallbackRefusal.SCHEME),
        ("javascript:alert(1)", CallbackRefusal.SCHEME),
        ("https://user@a.example/", CallbackRefusal.CREDENTIALS),
        ("https://user:pw@a.example/", CallbackRefusal.CREDENTIALS),
        ("https://@a.example/", CallbackRefusal.CREDENTIALS),
        ("http://a.example:22/", CallbackRefusal.PORT),
        ("http://a.example:25/", CallbackRefusal.PORT),
        ("http://a.example:1023/", CallbackRefusal.PORT),
        ("http://127.0.0.1/", CallbackRefusal.ADDRESS),
        ("http://127.9.9.9:8080/", CallbackRefusal.ADDRESS),
        ("http://0.0.0.0/", CallbackRefusal.ADDRESS),
        ("http://10.1.2.3/", CallbackRefusal.ADDRESS),
        ("http://192.168.1.1/", CallbackRefusal.ADDRESS),
        ("http://100.64.0.1/", CallbackRefusal.ADDRESS),
        ("http://169.254.169.254/latest/meta-data/", CallbackRefusal.ADDRESS),
        ("http://192.88.99.1/", CallbackRefusal.ADDRESS),
        ("http://[::ffff:192.88.99.255]/", CallbackRefusal.ADDRESS),
        ("http://224.0.0.1/", CallbackRefusal.ADDRESS),
        ("http://255.255.255.255/", CallbackRefusal.ADDRESS),
        ("http://[::1]/", CallbackRefusal.ADDRESS),
        ("http://[::]/", CallbackRefusal.ADDRESS),
        ("http://[::ffff:127.0.0.1]/", CallbackRefusal.ADDRESS),
        ("http://[::ffff:a00:1]/", CallbackRefusal.ADDRESS),
        ("http://[::127.0.0.1]/", CallbackRefusal.ADDRESS),
        ("http://[64:ff9b::7f00:1]/", CallbackRefusal.ADDRESS),
        ("http://[2002:7f00:1::]/", CallbackRefusal.ADDRESS),
        ("http://[fe80::1]/", CallbackRefusal.ADDRESS),
        ("http://[fec0::1]/", CallbackRefusal.ADDRESS),
        ("http://[fd00:ec2::254]/", CallbackRefusal.ADDRESS),
        ("http://[ff02::1]/", CallbackRefusal.ADDRESS),
        ("http://localhost/", CallbackRefusal.ADDRESS),
        ("http://a.localhost:8080/", CallbackRefusal.ADDRESS),
        ("http://metadata.google.internal/", CallbackRefusal.ADDRESS),
    ],
)
def test_malformed_callback_url_is_refused(url: str, refusal: CallbackRefusal) -> None:
    assert PUBLIC.read(url) is refusal


def test_only_hosts_and_networks_that_the_operator_allows_may_be_called() -> None:
    for url in ("http://localhost:8080/", "http://127.0.0.1:9999/x", "http://10.1.255.1/", "http://[fd00::7]/"):
        assert isinstance(AT_HOME.read(url), Callback), url
    for url in ("http://10.2.0.1/", "http://192.168.0.1/", "http://[::1]/", "http://169.254.169.254/"):
        assert AT_HOME.read(url) is CallbackRefusal.ADDRESS, url
    assert AT_HOME.permits("::ffff:127.0.0.1"), "mapped, it is that address"
    assert AT_HOME.permits("8.8.8.8")
    with pytest.raises(ValueError, match="not appear to be"):
        CallbackRules.of(enabled=True, hosts=(), networks=("10.0.0.0/33",))


def test_a_list_of_hosts_allows_these_and_no_others() -> None:
    hosts = (" Hooks.example.org ", "*.school.edu", "other.example:8443", "1.1.1.1")
    rules = CallbackRules.of(enabled=True, hosts=hosts, networks=())
    allowed = [
        "https://hooks.example.org/x", "http://hooks.example.org:9000/", "https://a.school.edu/",
        "https://a.b.school.edu/", "https://other.example:8443/", "https://1.1.1.1/",
    ]  # fmt: skip
    assert [url for url in allowed if not isinstance(rules.read(url), Callback)] == []
    others = [
        "https://example.org/", "https://hooks.example.org.evil.example/", "https://evilhooks.example.org/",
        "https://school.edu/", "https://evilschool.edu/", "https://other.example/", "https://8.8.8.8/",
    ]  # fmt: skip
    assert {rules.read(url) for url in others} == {CallbackRefusal.HOST}
    # a listed host with a private address is refused
    private = CallbackRules.of(enabled=True, hosts=("10.0.0.1",), networks=())
    assert private.read("http://10.0.0.1/") is CallbackRefusal.ADDRESS


def test_switched_off_nothing_is_taken() -> None:
    assert CallbackRules(enabled=False).read("https://a.example/") is CallbackRefusal.SWITCHED_OFF


@pytest.mark.parametrize("address", ["", "nonsense", "1.2.3", "fe80::1%eth0", "127.0.0.1\0", "::ffff:169.254.169.254"])
def test_address_that_is_not_public_is_not_called(address: str) -> None:
    assert not PUBLIC.permits(address)


@given(st.ip_addresses())
@example(ipaddress.ip_address("192.88.99.1"))
def test_nothing_private_is_permitted(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if PUBLIC.permits(str(address)):
        assert not (address.is_private or address.is_loopback or address.is_link_local or address.is_multicast)
        assert not (address.is_unspecified or address.is_reserved) or address in ipaddress.ip_network("64:ff9b::/96")
        mapped = getattr(address, "ipv4_mapped", None)
        assert mapped is None or PUBLIC.permits(str(mapped))


@given(st.one_of(st.text(max_size=60), st.text("htps:/.@#?[]%\\0127ax-", max_size=40).map("http://".__add__)))
@example("http://a.example:80")
def test_accepted_url_means_the_same_host_to_another_parser(url: str) -> None:
    """The sender uses another parser than the check: both must see the same host, port and path."""
    found = PUBLIC.read(url)
    if isinstance(found, Callback):
        parts = urlsplit(found.url)
        assert (parts.scheme, parts.hostname, parts.fragment, parts.username) == (found.scheme, found.host, "", None)
        assert (parts.port or {"http": 80, "https": 443}[parts.scheme]) == found.port
        assert parts.path + (f"?{parts.query}" if parts.query else "") == found.path
        assert found.url.isascii()
        assert found.url.isprintable()
        assert PUBLIC.read(found.url) == found
