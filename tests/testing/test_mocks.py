"""The answers of other services: which call they fit, and how they reach the caller."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from sanic_ms.client import Client
from sanic_ms.client.transport.aiohttp import network
from sanic_ms.exception import NotFound, ServiceCallError, ServiceTimeout
from sanic_ms.testing import MockServices, UnansweredCall

BASE = "http://127.0.0.1:1/v1"


@pytest.fixture
async def mock() -> AsyncIterator[MockServices]:
    """Mocks in place of the network."""
    services = MockServices()
    token = network.set(services)
    yield services
    network.reset(token)


@pytest.fixture
def region() -> Client:
    """A real client; nothing listens at its address."""
    return Client("region-service", url=BASE)


async def test_an_answer_is_read_by_the_real_client(mock: MockServices, region: Client) -> None:
    """Status, headers, JSON and envelope, as from a service."""
    mock.get("/cities/1", payload={"code": 0, "data": {"id": 1}}, headers={"X-A": "b"})
    async with region.get("/cities/1") as res:
        assert (res.status, res.headers["x-a"]) == (200, "b")
        assert res.content_type == "application/json"
        assert await res.json() == {"id": 1}
    assert await region.get_json("/cities/1", type=dict[str, int]) == {"id": 1}
    assert (await region.head("/cities/1")).body == b"" if mock.head("/cities/1") else True


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options", "head"])
async def test_every_method(mock: MockServices, region: Client, method: str) -> None:
    """Each answers its own method only."""
    getattr(mock, method)("/x", status=202)
    assert (await getattr(region, method)("/x")).status == 202
    other = "post" if method == "get" else "get"
    with pytest.raises(UnansweredCall):
        await getattr(region, other)("/x")


async def test_errors_are_those_of_production(mock: MockServices, region: Client) -> None:
    """An error's document gives the class of its status; a body may be anything."""
    mock.get("/none", status=404, payload={"code": 10404, "message": "Not Found", "error": "no 7"})
    with pytest.raises(NotFound) as caught:
        await region.get_json("/none")
    assert caught.value.error == "no 7"
    mock.get("/html", body="<html>", content_type="text/html")
    with pytest.raises(ServiceCallError, match="text/html, not JSON"):
        await region.get_json("/html")
    mock.get("/big", body=b"x" * 11)
    with pytest.raises(ServiceCallError, match="more than 10 bytes"):
        await region.get("/big", max_size=10)


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (ConnectionRefusedError, ServiceCallError),
        (TimeoutError(), ServiceTimeout),
        (aiohttp.ServerDisconnectedError(), ServiceCallError),
        (NotFound(error="x"), NotFound),
        (ZeroDivisionError, ZeroDivisionError),
    ],
)
async def test_a_broken_network_becomes_the_error_of_production(
    mock: MockServices, region: Client, exception: Any, expected: type[Exception]
) -> None:
    """What a socket raises is translated by the client; everything else arrives as it is."""
    mock.get("/x", exception=exception)
    with pytest.raises(expected):
        await region.get("/x")


async def test_a_delay_counts_against_the_time_limit(mock: MockServices, region: Client) -> None:
    """Too late is a `ServiceTimeout`; in time is an answer."""
    mock.get("/slow", delay=5)
    with pytest.raises(ServiceTimeout, match=r"did not answer GET /slow within 0\.01 s"):
        await region.get("/slow", timeout=0.01)
    mock.get("/quick", delay=0.001, payload=1)
    assert await region.get_json("/quick") == 1


async def test_the_path_may_be_a_pattern(mock: MockServices, region: Client) -> None:
    """A whole path, one with ``{name}`` segments, a compiled pattern, a whole URL."""
    mock.get("/exact", payload="exact")
    mock.get("/cities/{id}/streets/{street}", payload="template")
    mock.get(re.compile(r"/roles/\d+"), payload="pattern")
    mock.get(f"{BASE}/whole", payload="whole")
    mock.get("/name/a b", payload="quoted")
    for path, payload in {
        "/exact": "exact",
        "/cities/1/streets/x": "template",
        "/roles/12": "pattern",
        "/whole": "whole",
        "/name/a%20b": "quoted",
    }.items():
        assert await region.get_json(path) == payload
    for path in ("/exact/1", "/cities/1/streets/x/y", "/roles/12/x", "/roles/x"):
        with pytest.raises(UnansweredCall):
            await region.get(path)


async def test_query_and_body_are_matched_where_they_are_given(
    mock: MockServices, region: Client
) -> None:
    """Wherever the query stands and in any order; the body as JSON."""
    mock.get("/x", payload="any")
    mock.get("/x", params={"a": 1, "b": ["x", "y"]}, payload="params")
    mock.get("/x?c=3", payload="path")
    assert await region.get_json("/x", params={"z": "1"}) == "any"
    assert await region.get_json("/x?b=x&b=y", params={"a": "1"}) == "params"
    assert await region.get_json("/x", params=[("c", "3")]) == "path"
    mock.post("/x", json={"id": 1, "at": None}, payload="json")
    assert (await region.post("/x", json={"at": None, "id": 1})).status == 200
    for body in ({"json": {"id": 2}}, {"data": b"{"}, {}):
        with pytest.raises(UnansweredCall):
            await region.post("/x", **body)


async def test_a_mock_may_belong_to_one_client(mock: MockServices, region: Client) -> None:
    """Two services with the same paths."""
    role = Client("role-service", url=BASE)
    mock.get("/1", payload="region", service="region-service")
    mock.get("/1", payload="role", service="role-service")
    assert await region.get_json("/1") == "region"
    assert await role.get_json("/1") == "role"


async def test_a_sequence_is_written_in_order(mock: MockServices, region: Client) -> None:
    """`times` first, in order; then the last one that has none: it replaces those before it."""
    mock.get("/x", payload="of setUp")
    mock.get("/x", status=503, times=1)
    mock.get("/x", payload="second", times=2)
    mock.get("/x", payload="of the test")
    answers = [await region.get("/x") for _ in range(5)]
    assert [answer.status for answer in answers] == [503, 200, 200, 200, 200]
    data = [await answer.json() for answer in answers[1:]]
    assert data == ["second", "second", "of the test", "of the test"]
    with pytest.raises(AssertionError, match=r"not used:\n  GET /x \(answered 0\)$"):
        mock.assert_all_used()


async def test_calls_are_recorded(mock: MockServices, region: Client) -> None:
    """All of them, and those of each mock; with what was sent."""
    posted = mock.post("/cities", status=201)
    mock.get("/cities")
    await region.get("/cities", params={"page": "2"}, headers={"X-A": "b"})
    await region.post("/cities", json={"name": "Rome"})
    assert [str(call) for call in mock.calls] == [
        "GET /cities?page=2 to region-service",
        'POST /cities to region-service with {"name":"Rome"}',
    ]
    assert mock.calls[0].query == [("page", "2")]
    assert mock.calls[0].headers["x-a"] == "b"
    assert mock.calls[0].url == f"{BASE}/cities"
    assert mock.calls[0].json is None
    assert posted.calls == mock.calls[1:]
    assert posted.calls[0].json == {"name": "Rome"}
    mock.assert_all_used()


async def test_a_call_that_no_mock_answers_names_itself_and_the_mocks(
    mock: MockServices, region: Client
) -> None:
    """At the call, and once more for whoever asks afterwards, though the application hid it."""
    with pytest.raises(UnansweredCall, match="registered: none"):
        await region.get("/x")
    mock.get("/y", params={"a": 1}, json=[1], service="s", times=2)
    with pytest.raises(UnansweredCall) as caught:
        await region.post("/x", json={"a": 1})
    assert str(caught.value) == (
        'no mock answers POST /x to region-service with {"a":1}\n'
        "registered:\n  GET /y params={'a': '1'} json=[1] service='s' (answered 0 of 2): "
        "no client of that name called, but region-service"
    )
    with pytest.raises(UnansweredCall, match=r"GET /x to .*; POST /x to "):
        mock.assert_all_answered()
    mock.assert_all_answered()
    with pytest.raises(AssertionError, match="answered 0 of 2"):
        mock.assert_all_used()


async def test_a_limit_holds_for_calls_at_once(mock: MockServices, region: Client) -> None:
    """`times=1` answers one of them, delay or not."""
    mock.get("/x", payload=1, times=1, delay=0.01)
    mock.get("/x", payload=2)
    assert sorted(await asyncio.gather(*(region.get_json("/x") for _ in range(3)))) == [1, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"payload": 1, "body": b""}, "payload= or body="),
        ({"times": 0}, "at least 1"),
        ({"delay": -1}, "not below 0"),
        ({"status": 99}, "no HTTP status"),
        ({"path": "cities"}, "begin it with '/'"),
        ({"path": "/x?a=1", "params": {}}, "in the path or as params="),
        ({"payload": object()}, "object"),
        ({"statsu": 1}, "statsu"),
        ({"path": None}, "path None: give a text"),
        ({"times": "2"}, "times='2': give a whole number"),
        ({"times": True}, "times=True: give a whole number"),
        ({"status": "200"}, "status='200': give a whole number"),
        ({"delay": "1"}, "delay='1': give seconds"),
        ({"body": 3}, r"body=3: give bytes or text \(payload= "),
        ({"headers": "x"}, "headers='x': give a mapping"),
        ({"params": "a=1"}, "params='a=1': give a mapping, or pairs"),
        ({"content_type": 3}, "content_type=3: give a text"),
        ({"service": 3}, "service=3: give the name"),
        ({"exception": "x"}, "exception='x': give an exception"),
        ({"exception": int}, "exception=<class 'int'>: give an exception"),
    ],
)
def test_mistakes_are_found_when_a_mock_is_registered(
    arguments: dict[str, Any], match: str
) -> None:
    """Not when it is called."""
    with pytest.raises((TypeError, ValueError), match=match):
        MockServices().get(arguments.pop("path", "/x"), **arguments)
