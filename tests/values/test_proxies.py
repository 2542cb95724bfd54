"""Who the client is behind proxies."""

from __future__ import annotations

from typing import Any

import pytest

from sanic_ms.values.proxies import TrustedProxies, forwarded_by

PROXY = "10.0.0.1"
NETS = ["10.0.0.0/8", "2001:db8::/32"]


def told(
    trusted: Any, headers: dict[str, Any], *, peer: str = PROXY, kind: str = "x-forwarded"
) -> Any:
    """What is believed of a request."""
    values = {name: [value] if isinstance(value, str) else value for name, value in headers.items()}
    config = {"TRUSTED_PROXIES": trusted, "PROXY_HEADERS": kind}
    return forwarded_by(config, peer, lambda name: values.get(name, []))


@pytest.mark.parametrize("nobody", [[], None, 0])
def test_nobody_is_trusted_by_default(nobody: Any) -> None:
    """Whatever a client says of itself."""
    assert told(nobody, {"x-forwarded-for": "1.2.3.4"}) is None


@pytest.mark.parametrize(
    ("peer", "chain", "client"),
    [
        (PROXY, "203.0.113.7", "203.0.113.7"),
        (PROXY, "1.1.1.1, 203.0.113.7", "203.0.113.7"),
        (PROXY, "1.1.1.1, 203.0.113.7, 10.0.0.9", "203.0.113.7"),
        (PROXY, "10.0.0.5, 10.0.0.9", "10.0.0.5"),
        (PROXY, "203.0.113.7:4711", "203.0.113.7"),
        (PROXY, "[2a00::7]:4711", "2a00::7"),
        (PROXY, "2a00::7", "2a00::7"),
        (PROXY, "::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        (PROXY, "nonsense, 203.0.113.7", "203.0.113.7"),
        (PROXY, "203.0.113.7, nonsense, 10.0.0.9", "10.0.0.9"),
        (PROXY, "203.0.113.7, nonsense", None),
        (PROXY, "unknown", None),
        (PROXY, "fe80::1%<b>", None),
        (PROXY, "", None),
        (PROXY, ",,,", None),
        (PROXY, "999.1.1.1", None),
        ("203.0.113.9", "1.2.3.4", None),
        ("", "1.2.3.4", None),
    ],
)
def test_the_list_is_read_from_the_right(peer: str, chain: str, client: str | None) -> None:
    """Up to the first entry that no trusted proxy is: whatever stands further left is hearsay."""
    assert told(NETS, {"x-forwarded-for": chain}, peer=peer).get("for") == client


@pytest.mark.parametrize(
    ("hops", "chain", "client"),
    [
        (1, "1.1.1.1, 203.0.113.7", "203.0.113.7"),
        (2, "1.1.1.1, 203.0.113.7, 10.0.0.9", "203.0.113.7"),
        (2, "203.0.113.7", None),
        (1, "nonsense", None),
        (1, "", None),
    ],
)
def test_proxies_may_be_counted(hops: int, chain: str, client: str | None) -> None:
    """A request with fewer entries did not come through all of them, and nothing of it counts."""
    found = told(hops, {"x-forwarded-for": chain, "x-forwarded-proto": "https"}, peer="192.0.2.1")
    assert found == ({} if client is None else {"for": client, "proto": "https"})


def test_several_header_lines_are_one_list() -> None:
    """As RFC 9110 has it."""
    assert told(NETS, {"x-forwarded-for": ["1.1.1.1", "203.0.113.7, 10.0.0.9"]})["for"] == (
        "203.0.113.7"
    )


def test_scheme_host_and_port_are_those_of_the_outermost_trusted_proxy() -> None:
    """In a list the entry of that proxy; a single one where each proxy writes it anew."""
    chain = {"x-forwarded-for": "203.0.113.7, 10.0.0.9"}
    more = {"x-forwarded-proto": "http, https, http", "x-forwarded-host": "Shop.Example:8443"}
    assert told(NETS, {**chain, **more, "x-forwarded-port": "8443"}) == {
        "for": "203.0.113.7",
        "proto": "https",
        "host": "shop.example:8443",
        "port": 8443,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proto", "javascript"),
        ("proto", ""),
        ("host", "shop.example/path"),
        ("host", "a b"),
        ("host", "<script>"),
        ("port", "0"),
        ("port", "70000"),
        ("port", "8443x"),
        ("port", "9" * 5000),
        ("port", "٣"),
    ],
)
def test_garbage_is_ignored(name: str, value: str) -> None:
    """And never raises."""
    assert told(NETS, {f"x-forwarded-{name}": value}) == {}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("for=203.0.113.7;proto=https;host=Shop.Example", ("203.0.113.7", "https", "shop.example")),
        ('For="[2a00::7]:4711"', ("2a00::7", None, None)),
        ("for=1.1.1.1, for=203.0.113.7;proto=https, for=10.0.0.9", ("203.0.113.7", "https", None)),
        ('for="open, for=203.0.113.7', ("203.0.113.7", None, None)),
        ('for=1.1.1.1;"x, for=203.0.113.7;proto=https', ("203.0.113.7", "https", None)),
        ("for=203.0.113.7;;", (None, None, None)),
        ("for=_hidden", (None, None, None)),
        ("nonsense", (None, None, None)),
        ("=,=;=", (None, None, None)),
    ],
)
def test_forwarded_is_read_where_the_setting_says_so(value: str, found: tuple[Any, ...]) -> None:
    """And a client's open quote does not swallow what the proxy wrote."""
    forwarded = told(NETS, {"forwarded": value, "x-forwarded-for": "9.9.9.9"}, kind="forwarded")
    assert (forwarded.get("for"), forwarded.get("proto"), forwarded.get("host")) == found


def test_only_the_named_kind_of_header_counts() -> None:
    """The other kind is what a client sent and no proxy has touched."""
    assert told(NETS, {"forwarded": "for=9.9.9.9"}) == {}
    assert told(NETS, {"x-forwarded-for": "9.9.9.9"}, kind="forwarded") == {}


def test_a_unix_socket_has_a_word_of_its_own() -> None:
    """Its peer has no address."""
    assert told(["unix"], {"x-forwarded-for": "203.0.113.7"}, peer="") == {"for": "203.0.113.7"}
    assert told(["unix"], {"x-forwarded-for": "203.0.113.7"}) == {}


@pytest.mark.parametrize("entry", ["10.0.0.0/40", "proxy.example", "*", "", "1"])
def test_an_entry_that_is_no_network_is_refused(entry: str) -> None:
    """At the start, by name."""
    with pytest.raises(ValueError, match="TRUSTED_PROXIES names"):
        TrustedProxies([entry])
