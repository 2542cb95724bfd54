"""The spans of calls, and the headers that carry a trace to the service that is called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from opentelemetry import baggage, context
from opentelemetry.trace import SpanKind
from tests.ports import free_port
from tests.telemetry.collected import recording

from sanic_ms.client import Client
from sanic_ms.exception import DeadlineExceeded, NotFound, ServiceCallError
from sanic_ms.resilience import Deadline, deadline_scope
from sanic_ms.utils import async_request

Serve = Callable[..., Awaitable[str]]

pytestmark = pytest.mark.usefixtures("make_transport")


async def heard(request: web.Request) -> web.Response:
    """Answer with the headers that came."""
    if request.path == "/missing":
        return web.json_response({"code": 10404, "message": "Not Found"}, status=404)
    return web.json_response({name.lower(): value for name, value in request.headers.items()})


async def test_a_call_is_a_span_and_the_parent_of_what_it_causes(serve: Serve) -> None:
    """Named by its method, with the conventions' attributes; the callee is told of this very
    span. The URL has neither credentials nor secret values."""
    url = await serve(heard)
    host, port = url.removeprefix("http://").split(":")
    with recording() as spans:
        async with Client("region", url=url.replace("//", "//user:hunter2@")) as client:
            headers = await client.get_json("/cities/1?a=1", params={"token": "hunter2", "b": "2"})
    span = spans.named("GET")
    assert span.kind is SpanKind.CLIENT
    assert span.parent_id == spans.named("root").span_id
    assert span.attributes == {
        "http.request.method": "GET",
        "server.address": host,
        "server.port": int(port),
        "url.full": f"{url}/cities/1?a=1&token=***&b=2",
        "peer.service": "region",
        "http.response.status_code": 200,
    }
    assert headers["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"


@pytest.mark.parametrize(
    ("formats", "names"),
    [
        (["w3c"], {"traceparent"}),
        (["b3"], {"b3"}),
        (["b3multi", "w3c"], {"traceparent", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"}),
        ([], set()),
    ],
)
@pytest.mark.parametrize("ratio", [0, 1])
async def test_a_trace_goes_along_recorded_or_not(
    serve: Serve, formats: list[str], names: set[str], ratio: float
) -> None:
    """In the forms that were chosen, with the decision."""
    with recording(ratio, formats=formats) as spans:
        async with Client("region", url=await serve(heard)) as client:
            headers = await client.get_json("/")
    assert {name for name in headers if "b3" in name or "trace" in name} == names
    for name, value in headers.items():
        if name in ("traceparent", "b3", "x-b3-sampled"):
            assert value.rpartition("-")[2] == {"traceparent": "0"}.get(name, "") + str(ratio)
    assert len(spans) == 2 * ratio


async def test_a_callers_own_header_wins(serve: Serve) -> None:
    """Who continues another trace by hand knows why."""
    mine = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    with recording():
        async with Client("region", url=await serve(heard)) as client:
            headers = await client.get_json("/", headers=mine)
    assert headers["traceparent"] == mine["traceparent"]


@pytest.mark.parametrize("ratio", [0, 1])
async def test_baggage_goes_along_and_a_callers_own_wins(serve: Serve, ratio: float) -> None:
    """The current baggage and the trace are independent: a call may bring either of its own."""
    mine = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    token = context.attach(baggage.set_baggage("tenant", "7"))
    try:
        with recording(ratio):
            async with Client("region", url=await serve(heard)) as client:
                both = await client.get_json("/")
                own_trace = await client.get_json("/", headers=mine)
                own_baggage = await client.get_json("/", headers={"Baggage": "x=1"})
                none = await client.get_json("/", headers={"baggage": ""})
        async with Client("region", url=await serve(heard)) as client:
            outside = await client.get_json("/")
    finally:
        context.detach(token)
    assert both["baggage"] == own_trace["baggage"] == outside["baggage"] == "tenant=7"
    assert own_trace["traceparent"] == mine["traceparent"]
    assert (own_baggage["baggage"], none["baggage"]) == ("x=1", "")
    assert all("traceparent" in headers for headers in (both, own_baggage, none))
    assert "traceparent" not in outside


async def test_without_a_trace_nothing_is_sent(serve: Serve) -> None:
    """A call that belongs to no request begins no trace."""
    async with Client("region", url=await serve(heard)) as client:
        assert "traceparent" not in await client.get_json("/")


async def test_errors_are_told(serve: Serve) -> None:
    """A status of 400 or more, and a call without an answer, are errors of the call."""
    with recording() as spans:
        async with Client("region", url=await serve(heard)) as client:
            with pytest.raises(NotFound):
                await client.get_json("/missing")
        async with Client("nobody", url=f"http://127.0.0.1:{free_port()}") as client:
            with pytest.raises(ServiceCallError):
                await client.post("/")
    missing, refused = spans.named("GET"), spans.named("POST")
    assert (missing.status, missing.attributes["error.type"]) == (2, "404")
    assert missing.attributes["http.response.status_code"] == 404
    assert refused.status == 2
    assert refused.attributes["error.type"] == "sanic_ms.exception.ServiceCallError"
    assert "http.response.status_code" not in refused.attributes


async def test_the_deadline_is_an_error_of_its_own(serve: Serve) -> None:
    """A span tells a call that the deadline has ended from one that took too long."""

    async def never(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    url = await serve(never)
    with recording() as spans, deadline_scope(Deadline.after(0.05)):
        async with Client("region", url=url) as client:
            with pytest.raises(DeadlineExceeded):
                await client.get("/")
    span = spans.named("GET")
    assert (span.status, span.attributes["error.type"]) == (
        2,
        "sanic_ms.exception.DeadlineExceeded",
    )


async def test_calls_in_parallel_have_the_same_parent(serve: Serve) -> None:
    """`async_request` runs its calls in tasks, and each is below the span that asked."""
    user: dict[str, Any] = {}
    with recording() as spans:
        async with Client("region", url=await serve(heard)) as client:
            await async_request(
                [[user, "city", client.get_json("/1")], [user, "role", client.get_json("/2")]]
            )
    root = spans.named("root")
    calls = [span for span in spans if span is not root]
    assert [span.parent_id for span in calls] == [root.span_id] * 2
    sent = {user[key]["traceparent"].split("-")[2] for key in ("city", "role")}
    assert sent == {span.span_id for span in calls}
