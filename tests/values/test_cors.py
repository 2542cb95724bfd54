"""The rules of CORS, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from sanic_ms.values.cors import Cors
from sanic_ms.values.response_headers import SAFE_HEADERS, DefaultHeaders

SHOP = "https://shop.example"


def make(**given: Any) -> Cors:
    """Rules for one origin."""
    return Cors(**{"origins": frozenset((SHOP,)), "methods": ("GET", "PUT"), **given})


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (SHOP, True),
        ("https://shop.example.evil.org", False),
        ("https://evil-shop.example", False),
        ("http://shop.example", False),
        ("https://shop.example:8443", False),
        ("https://SHOP.example", False),
        ("null", False),
        ("", False),
        (None, False),
    ],
)
def test_origins_are_compared_whole(origin: str | None, allowed: bool) -> None:
    """No prefix, no suffix, no other port or scheme."""
    headers = dict(make().answer(origin))
    assert (headers.get("access-control-allow-origin") == origin and origin is not None) is allowed
    assert bool(make().preflight(origin, ["GET"])) is allowed


def test_a_preflight_names_what_is_allowed() -> None:
    """Of the methods those that the route has too; headers, and how long it may be remembered."""
    cors = make(headers=("X-Trace",), max_age=60)
    assert cors.preflight(SHOP, ["PUT", "DELETE"]) == {
        "access-control-allow-methods": "PUT",
        "access-control-allow-headers": "X-Trace",
        "access-control-max-age": "60",
    }


def test_answers_tell_what_a_page_may_read() -> None:
    """With credentials where they are allowed."""
    headers = dict(make(credentials=True, expose=("X-Total", "ETag")).answer(SHOP))
    assert headers == {
        "access-control-allow-origin": SHOP,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "X-Total, ETag",
    }


def test_every_origin_is_a_star_and_does_not_vary() -> None:
    """One answer for all, so caches need not tell them apart."""
    cors = make(origins=frozenset("*"))
    assert (cors.answer(None), cors.varies) == ([("access-control-allow-origin", "*")], False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"origins": frozenset("*"), "credentials": True}, "CORS_CREDENTIALS"),
        ({"origins": frozenset(("*", SHOP))}, "alone"),
        ({"origins": frozenset(("https://shop.example/",))}, "without a path"),
        ({"origins": frozenset(("https://*.example",))}, "an origin is written"),
        ({"origins": frozenset(("shop.example",))}, "an origin is written"),
        ({"origins": frozenset(("null",))}, "an origin is written"),
        ({"origins": frozenset(("https://a.example\r\nX-A: b",))}, "an origin is written"),
        ({"methods": ("GET, PUT",)}, "CORS_METHODS"),
        ({"headers": ("*",)}, "CORS_HEADERS"),
        ({"expose": ("a b",)}, "CORS_EXPOSE"),
    ],
)
def test_contradictions_are_refused(given: dict[str, Any], message: str) -> None:
    """At the start, with the setting's name."""
    with pytest.raises(ValueError, match=message):
        make(**given)


def missing(own: dict[str, str], status: int = 200, **given: Any) -> dict[str, str]:
    """What the defaults add to an answer."""
    defaults = DefaultHeaders(SAFE_HEADERS, given.pop("cors", None))
    return defaults.missing(status, own, secure=False, origin=None, **given)


def test_an_answer_that_is_kept_is_not_marked_no_store() -> None:
    """A handler that gives a validator wants its answer cached; 304 speaks of a kept answer."""
    assert missing({})["cache-control"] == "no-store"
    for own in ({"ETag": '"a"'}, {"Last-Modified": "x"}, {"expires": "x"}, {"Cache-Control": "x"}):
        assert "cache-control" not in missing(own)
    assert "cache-control" not in missing({}, status=304)


@pytest.mark.parametrize(
    ("own", "vary"),
    [
        ({}, "Origin"),
        ({"Vary": "Accept"}, "Accept, Origin"),
        ({"vary": "accept, origin"}, "accept, origin"),
        ({"Vary": "*"}, "*"),
    ],
)
def test_vary_is_added_to(own: dict[str, str], vary: str) -> None:
    """A cache must tell origins apart, and whatever else the handler names."""
    assert missing(own, cors=make())["vary"] == vary


def test_what_a_configuration_does_not_say_has_the_safe_default() -> None:
    """Without origins it is off; with them there are no credentials, no headers, and a preflight is
    remembered for ten minutes. What it says is taken, methods in upper case."""
    assert Cors.of({}) is Cors.of({"CORS_ORIGINS": []}) is None
    origins = frozenset((SHOP,))
    cors = Cors.of({"CORS_ORIGINS": [SHOP]})
    assert cors == Cors(origins=origins, methods=())
    assert cors == Cors(
        origins=origins, methods=(), headers=(), expose=(), credentials=False, max_age=600
    )
    given = {
        "CORS_ORIGINS": [SHOP],
        "CORS_METHODS": ["get"],
        "CORS_HEADERS": ["A"],
        "CORS_EXPOSE": ["B"],
        "CORS_CREDENTIALS": True,
        "CORS_MAX_AGE": 0,
    }
    assert Cors.of(given) == Cors(
        origins=origins,
        methods=("GET",),
        headers=("A",),
        expose=("B",),
        credentials=True,
        max_age=0,
    )


@pytest.mark.parametrize("secure", [True, False])
def test_only_a_tls_connection_is_told_to_stay_with_tls(secure: bool) -> None:
    """RFC 6797, section 7.2; everything else is the same on both."""
    found = DefaultHeaders(SAFE_HEADERS).missing(200, {}, secure=secure, origin=None)
    expected = {name.lower(): value for name, value in SAFE_HEADERS.items()}
    if not secure:
        del expected["strict-transport-security"]
    assert found == expected
