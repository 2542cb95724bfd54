"""The id of a request: the caller's or one that is made, whether the headers were read or not."""

from __future__ import annotations

import pickle
import random
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from sanic.config import Config

from sanic_ms.http.request import Request
from sanic_ms.server.http1.request import lazy

CALLERS = "5f0c9a4e-7c0e-4a53-9d0e-0b8f5a1f4a0e"


def made(*lines: str, header: str = "X-Request-ID", kind: type[Request] = Request) -> Any:
    """A request that parses itself when it is read."""
    found = lazy(kind)
    assert found is not None
    request: Any = found()
    request.app = SimpleNamespace(config=Config({"REQUEST_ID_HEADER": header}))
    request.head = "\r\n".join(["GET / HTTP/1.1", "Host: a", *lines]).encode()
    return request


@pytest.mark.parametrize("name", ["X-Request-ID", "x-request-id", "X-REQUEST-ID"])
def test_the_callers_id_is_taken(name: str) -> None:
    """In any case of letters; as a UUID or a number where it is one, as Sanic has it."""
    assert made(f"{name}: {CALLERS}").id == uuid.UUID(CALLERS)
    assert made(f"{name}: 17").id == 17
    assert made(f"{name}: r-1", "Accept: */*").id == "r-1"


def test_an_id_is_made_once_and_the_headers_are_not_parsed_for_it() -> None:
    """The first log line of a request asks; parsing costs more than the line."""
    request = made("Accept: x-request-id")
    first = request.id
    assert isinstance(first, uuid.UUID)
    assert request.id is first
    with pytest.raises(AttributeError):
        vars(Request.__mro__[1])["headers"].__get__(request)
    assert made().id != first


def test_a_made_id_is_a_random_uuid() -> None:
    """Of version 4 (RFC 9562); an application that seeds Python's generator changes nothing."""
    random.seed(1)
    first = made().id
    random.seed(1)
    second = made().id
    assert first != second
    assert {(one.version, one.variant) for one in (first, second)} == {(4, uuid.RFC_4122)}
    # It is not made by its own constructor, and nobody sees that.
    assert pickle.loads(pickle.dumps(first)) == uuid.UUID(str(first)) == first
    assert (first.is_safe, hash(first)) == (uuid.SafeUUID.unknown, hash(uuid.UUID(str(first))))


def test_an_application_may_make_none() -> None:
    """Sanic then asks once more, and has nothing either."""

    class Without(Request):
        @staticmethod
        def generate_id(*_: object) -> Any:
            return None

    assert made(kind=Without).id is None


def test_an_application_may_make_ids_of_its_own() -> None:
    """As in Sanic: by a request class with `generate_id`."""

    class Own(Request):
        @staticmethod
        def generate_id(*_: object) -> str:
            return "r-17"

    assert made(kind=Own).id == "r-17"


def test_what_the_application_has_put_into_the_headers_counts() -> None:
    """A middleware may set the id."""
    request = made()
    request.headers["x-request-id"] = "mine"
    assert request.id == "mine"


def test_the_header_may_have_another_name() -> None:
    """Sanic's REQUEST_ID_HEADER."""
    assert made("X-Trace: 17", header="X-Trace").id == 17


@pytest.mark.parametrize(
    "head",
    [
        b"", b"\n", b"\nx-request-id", b"\nX-Request-I", b"a\r\nX-Request-ID", b"\n\n\n",
        b"\nx-request-id-not: 1", b"\nx\rrequest\rid: 1", b"x-request-id: 1",
    ],
)  # fmt: skip
def test_the_end_of_a_head_is_not_passed(head: bytes) -> None:
    """However it breaks off; no such line has an id in it."""
    request = made()
    request.head = head
    if head:
        assert isinstance(request.id, uuid.UUID)
        assert request.id is request.id


@pytest.mark.parametrize("wrong", [None, 7, "text", object()])
def test_only_requests_have_an_id(wrong: Any) -> None:
    """Whatever else asks gets an error."""
    with pytest.raises(AttributeError):
        vars(Request)["id"].fget(wrong)


def test_an_id_that_is_nothing_is_replaced() -> None:
    """An empty one, say, as in Sanic."""
    request = made()
    request._id = ""
    assert isinstance(request.id, uuid.UUID)
    request._id = "mine"
    assert request.id == "mine"
