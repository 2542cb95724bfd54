"""Redaction: no secret leaves, ordinary text stays, and a hostile text costs little."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sanic_ms.telemetry.redaction import Redactor

SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://app:hunter2@db:5432/users?x=1",
        "mysql://u:p@ss/hunter2@h/d",
        "redis://:hunter2@h/0",
        "https://hunter2@github.com/x",
        "Authorization: Bearer hunter2hunter2",
        "authorization: AWS4-HMAC-SHA256 Credential=hunter2, Signature=hunter2",
        "proxy-authorization: Basic hunter2",
        "sent Bearer hunter2hunter2 along",
        "{'authorization': 'Basic hunter2', 'a': 1}",
        "Cookie: a=hunter2; b=hunter2",
        "set-cookie: sid=hunter2; Path=/",
        "[('cookie', 'hunter2'), ('x', 'y')]",
        "(b'authorization', b'hunter2')",
        '{"password": "say \\"hunter2\\"", "user": "bob"}',
        '"{\\"password\\": \\"hunter2\\", \\"a\\": 1}"',
        "password='hunter2 with spaces'",
        "dsn host=db user=app password=hunter2 dbname=x",
        "call(user='bob', password=hunter2)",
        "apiKey=hunter2, api-key: hunter2, X_API_KEY=hunter2",
        "AWS_SECRET_ACCESS_KEY=hunter2",
        "/search?key=hunter2&sig=hunter2",
        "/search?q=1&access_token=hunter2",
        "/search?auth=hunter2&otp=hunter2",
        "/search?a=1&sid=hunter2",
        "session_id=hunter2 csrf_token=hunter2 jwt=hunter2",
        "GET /login/callback?code=hunter2&state=1",
        "GET /acs?SAMLResponse=hunter2",
        "/pay?a=1&cvv=hunter2&pin=hunter2",
        "cannot reach postgresql//app:hunter2@db/x",
        "cannot reach postgresql:/app:hunter2@db/x",
        "cannot reach https//hunter2@db/x",
        "eyJhbGciOi.eyJzdWIhunter2IiOiIx.abc-hunter2",
    ],
)
def test_secrets_are_taken_out_of_text(text: str) -> None:
    """By the name before them, or by their shape."""
    redacted = Redactor().text(text)
    assert SECRET not in redacted
    assert "***" in redacted


@pytest.mark.parametrize(
    "name",
    [
        "password", "passwd", "passphrase", "passcode", "pwd", "secret", "client_secret", "token",
        "credential", "credentials", "db-credentials", "private", "private_key", "authorization",
        "cookie", "set-cookie", "signature", "csrf", "csrfmiddleware", "jwt", "session_id",
        "sessionid", "sess_id", "api_key", "api-key", "apikey", "access_key", "auth_key",
        "account_key", "client_key", "encryption_key", "master_key", "service_key", "signing_key",
        "ssh_key",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["{}=hunter2", "{}: hunter2", "{{'{}': 'hunter2'}}"])
def test_each_name_is_known_by_itself(name: str, form: str) -> None:
    """Where it is the only one in a text, in any case; the name stays."""
    redact = Redactor().text
    for written in (name, name.upper(), name.title()):
        redacted = redact(form.format(written))
        assert SECRET not in redacted
        assert redacted.count("***") == redacted.count(written) == 1


@pytest.mark.parametrize(
    "name",
    [
        "key", "code", "authCode", "code_verifier", "assertion", "auth", "bearer", "cvc", "cvv",
        "cvv2", "mfa", "otp", "pass", "pin", "pw", "refresh", "SAMLRequest", "SAMLResponse",
        "session", "sid", "sig", "totp",
    ],
)  # fmt: skip
def test_each_name_of_a_query_is_known_by_itself(name: str) -> None:
    """In a query that stands alone, and in one within a text."""
    assert Redactor().query(f"{name}=hunter2") == f"{name}=***"
    for text in (f"/x?{name}=hunter2", f"GET /x?a=1&{name}=hunter2 HTTP/1.1"):
        assert Redactor().text(text) == text.replace(SECRET, "***")


@pytest.mark.parametrize(
    "text",
    [
        "user-service serves at http://127.0.0.1:8001, documents at /docs",
        "http://127.0.0.1:8001, mail to ann@example.com",
        "http://127.0.0.1:8001/x?mail=ann@example.com",
        "created user 17 in 2.3 ms",
        "cache key=users:7 was not found",
        "Key (email)=(ann@example.com) already exists",
        "the password is wrong",
        "/books?author=ann&keyword=x",
        "auth: user 7 came back",
        "",
        "Ünïcode = ja",
        "AssertionError: 5 orders",
        "code=404 for /x?zip_code=12345&shipping=1",
        "the session=17 was refreshed, pin: none",
        "//cdn.example.com/@scope/package and a/b@c",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    """Ports, addresses of people, prose about secrets."""
    assert Redactor().text(text) is text


def test_what_stands_beside_a_secret_stays() -> None:
    """The rest of a line is what the line is for."""
    redact = Redactor().text
    assert redact("token=x, other=5") == "token=***, other=5"
    assert redact("postgres://app:x@db:1/users") == "postgres://app:***@db:1/users"
    assert redact("cookie: a=1\nhost: b") == "cookie: ***\nhost: b"


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("key=x&page=1&token=y", "key=***&page=1&token=***"),
        ("auth=x&sid=y&otp=z&sig=w&X-Auth=v", "auth=***&sid=***&otp=***&sig=***&X-Auth=***"),
        ("sessionid=x&PHPSESSID=y&api_key=z", "sessionid=***&PHPSESSID=***&api_key=***"),
        ("%74oken=x&a=1", "%74oken=***&a=1"),
        ("next=https%3A%2F%2Fu%3Ahunter2%40h&a=1", "next=***&a=1"),
        ("next=https://u:hunter2@h&a=1", "next=https://u:***@h&a=1"),
        ("a=1;token=x", "a=1;token=***"),
        ("eyJhbGciOi.eyJzdWIiOiIx.abc", "***"),
        (
            "code=x&pass=x&pw=x&pin=x&session=x&refresh=x&bearer=x&mfa=x&cvv=x&assertion=x"
            "&SAMLResponse=x&samlresponse=x",
            "code=***&pass=***&pw=***&pin=***&session=***&refresh=***&bearer=***&mfa=***&cvv=***"
            "&assertion=***&SAMLResponse=***&samlresponse=***",
        ),
        (
            "auth_code=x&userPin=x&card[cvv]=x&card.cvc=x&code_verifier=x&Code=x&deviceCode=x",
            "auth_code=***&userPin=***&card[cvv]=***&card.cvc=***&code_verifier=***&Code=***"
            "&deviceCode=***",
        ),
        ("c%6Fde=x&SAML%52esponse=x", "c%6Fde=***&SAML%52esponse=***"),
        (
            "zip_code=a&status_code=b&postcode=c&codes=d&shipping=e&passenger=f&spin=g&compass=h",
            "zip_code=a&status_code=b&postcode=c&codes=d&shipping=e&passenger=f&spin=g&compass=h",
        ),
        # These only sound like the short names, or are harmless but for their letters.
        ("author=a&keyword=b&inside=c&signal=d", "author=a&keyword=b&inside=c&signal=d"),
        ("name=J%C3%BCrgen&q=a%20b", "name=J%C3%BCrgen&q=a%20b"),
        ("", ""),
    ],
)
def test_the_query_of_a_url(query: str, shown: str) -> None:
    """Only the values of secret parameters, however they are written; `key` is one in a query."""
    assert Redactor().query(query) == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/http://u:hunter2@h/x", "/http://u:***@h/x"),
        ("/proxy/https://user:hunter2@host", "/proxy/https://user:***@host"),
        ("/proxy/https:/user:hunter2@host/x", "/proxy/https:/user:***@host/x"),
        ("/proxy/https:/hunter2@host/x", "/proxy/https:/***@host/x"),
        ("/proxy/https%3A%2F%2Fu%3Ahunter2%40h/x", "/proxy/https://u:***@h/x"),
        ("/proxy/https%253A%252F%252Fu%253Ahunter2%2540h", "/proxy/https://u:***@h"),
        ("/a;token=hunter2&b", "/a;token=***&b"),
        ("/verify/eyJhbGciOi.eyJzdWIhunter2.abc", "/verify/***"),
        ("/proxy/http://host:8000/x@y", "/proxy/http://host:8000/x@y"),
        ("/proxy/http:/host:8000/x@y", "/proxy/http:/host:8000/x@y"),
        ("/users/7", "/users/7"),
        ("/caf%C3%A9/100%25", "/caf%C3%A9/100%25"),
        ("/" + "%25" * 5000, "/" + "%25" * 5000),
    ],
    ids=lambda text: text[:40],
)
def test_the_path_of_a_url(path: str, shown: str) -> None:
    """A proxy's path may hold a whole URL with its credentials; one without a secret stays."""
    assert Redactor().path(path) == shown


def test_a_whole_url() -> None:
    """Without credentials and fragment; what is no URL is nothing."""
    redactor = Redactor()
    url = "https://u:hunter2@h:1/p/http://v:hunter2@i?token=hunter2&a=1#hunter2"
    assert redactor.url(url) == "https://h:1/p/http://v:***@i?token=***&a=1"
    assert redactor.url("http://[::1") == ""


def test_values_are_copied_and_hidden_by_name_at_any_depth() -> None:
    """The copy holds plain values only; the original is as it was."""

    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    value = {"headers": {"Authorization": "x", "a": 1}, "rows": [{"api_key": 5}], "b": b"token=x"}
    copy = Redactor().value("", {**value, "odd": Odd(), "none": None, 3: (1.5, True)})
    assert copy == {
        "headers": {"Authorization": "***", "a": 1},
        "rows": [{"api_key": "***"}],
        "b": "token=***",
        "odd": "<Odd: RuntimeError in its text>",
        "none": None,
        "3": [1.5, True],
    }
    assert value["headers"] == {"Authorization": "x", "a": 1}
    assert Redactor().value("password", True) is True  # that there is one is no secret


def test_a_value_that_holds_itself_has_an_end() -> None:
    """Depth and width are limited."""
    loop: list[Any] = []
    loop.append(loop)
    assert Redactor().value("", loop) == [[[[[["…"]]]]]]
    assert len(Redactor().value("", list(range(1000)))) == 200


def test_further_names_count_like_the_usual_ones() -> None:
    """In text, in fields, as a part of a name, in any case."""
    redactor = Redactor(["IBAN", "social number"])
    assert redactor.text("customer_iban=DE12 x") == "customer_iban=*** x"
    assert redactor.is_secret("IbanNumber")
    assert not Redactor().is_secret("iban")
    assert redactor.query("page=1&iban=DE12") == "page=1&iban=***"
    redactor.use([])
    assert redactor.text("iban=DE12") == "iban=DE12"
    assert not redactor.is_secret("IbanNumber")  # nothing is remembered of the names before


def test_names_that_would_hide_everything_are_refused() -> None:
    """An empty name, or one text where names are meant."""
    with pytest.raises(ValueError, match="empty name"):
        Redactor(["a", " "])
    with pytest.raises(TypeError, match="give a list"):
        Redactor("iban")


@pytest.mark.parametrize(
    "text",
    [
        "://:" * 8000 + "@",
        "password" * 4000,
        "password: " + "\\" * 32000,
        "bearer " * 4000,
        "eyJ" * 10000 + ".",
        "password='" * 3200,
        "x" * 32000 + "key",
        "//" * 16000 + "@",
        "/x?code" * 4000 + "code=",
    ],
    ids=lambda text: text[:10],
)
def test_a_hostile_text_does_not_stop_the_process(text: str) -> None:
    """32 kB take milliseconds; a search that went back and forth would take minutes."""
    begin = time.process_time()
    Redactor().text(text)
    assert time.process_time() - begin < 2
