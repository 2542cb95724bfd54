"""Traces of a whole service: its settings, its routes, and what its handlers see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from tests.calls import call_asgi
from tests.service.test_service import make
from tests.telemetry.tracing.export.receiver import Receiver, receiver

from sanic_ms import Service
from sanic_ms.exception import LifecycleError
from sanic_ms.telemetry.logging import reset_logging
from sanic_ms.telemetry.tracing import current_ids


def traced(app: Service, collector: Receiver, **settings: Any) -> Service:
    """The service with its spans going to a collector."""
    app.configure(zipkin_server=collector.url, **settings)
    return app


def names(collector: Receiver) -> list[str]:
    return sorted(span["name"] for received in collector.received for span in received.json)


async def test_every_request_of_a_service_is_a_span() -> None:
    """Also those that no handler sees; what operators ask for is not among them."""
    app = make()

    @app.get("/users/<id:int>")
    async def user(request: Any, id: int) -> Any:
        return {"id": id, "span": request["span"].is_recording()}

    @app.get("/fails")
    async def fails(request: Any) -> Any:
        raise RuntimeError("no")

    async with receiver() as collector:
        traced(app, collector)
        assert (await call_asgi(app, "get", "/users/7")).json["data"] == {"id": 7, "span": True}
        for path in ("/fails", "/nothing", "/health/live"):
            await call_asgi(app, "get", path)
    assert names(collector) == ["GET", "GET /fails", "GET /users/{id}"]
    (failed,) = [
        span for received in collector.received for span in received.json if "fails" in span["name"]
    ]
    assert failed["tags"]["error.type"] == "RuntimeError"
    assert "exception" in failed["annotations"][0]["value"]


@pytest.fixture
def names_forgotten() -> Iterator[None]:
    """What a service of the test redacts is shown again after it."""
    yield
    reset_logging()


@pytest.mark.usefixtures("names_forgotten")
async def test_what_redact_names_is_hidden_in_spans() -> None:
    """As in logs: one setting for both."""
    app = make()

    @app.get("/pay")
    async def pay(request: Any) -> Any:
        request["span"].set_attribute("customer.iban", "DE12")

    async with receiver() as collector:
        traced(app, collector, redact=["iban"])
        await call_asgi(app, "get", "/pay?iban=DE12&page=1")
    (span,) = [span for received in collector.received for span in received.json]
    assert span["tags"]["url.query"] == "iban=***&page=1"
    assert span["tags"]["customer.iban"] == "***"


async def test_a_route_has_a_share_of_its_own() -> None:
    """`ctx_trace_sample` wins over TRACE_SAMPLE."""
    app = make()

    async def answer(request: Any) -> Any:
        return [request["span"].is_recording(), current_ids() is not None]

    app.add_route(answer, "/always", name="always", ctx_trace_sample=1)
    app.add_route(answer, "/never", name="never", ctx_trace_sample=0)
    app.add_route(answer, "/usual", name="usual")
    async with receiver() as collector:
        traced(app, collector, trace_sample=0)
        assert (await call_asgi(app, "get", "/always")).json["data"] == [True, True]
        assert (await call_asgi(app, "get", "/never")).json["data"] == [False, True]
        assert (await call_asgi(app, "get", "/usual")).json["data"] == [False, True]
    assert names(collector) == ["GET /always"]


@pytest.mark.parametrize("share", [2, -1, "much", True])
def test_a_share_that_is_none_stops_the_start(share: object) -> None:
    """With the route and what it may be."""
    app = make()

    @app.get("/users", ctx_trace_sample=share)
    async def users(request: Any) -> Any:
        return []

    with pytest.raises(LifecycleError, match=r"/users: ctx_trace_sample=.*from 0 to 1"):
        app.compile()


async def test_background_tasks_stay_in_the_trace_of_their_request() -> None:
    """Those of asyncio and those of Sanic, although they end after the answer."""
    app = make()
    done = asyncio.Event()

    async def work(name: str, go: Callable[[], None]) -> None:
        await asyncio.sleep(0)
        with trace.get_tracer("app").start_as_current_span(name):
            go()

    @app.get("/start")
    async def start(request: Any) -> Any:
        app.ctx.task = asyncio.create_task(work("asyncio's", done.set))
        request.app.add_task(work("sanic's", lambda: None))
        return current_ids()

    @app.after_server_stop
    async def wait(app: Service) -> None:
        await asyncio.wait_for(done.wait(), 5)

    async with receiver() as collector:
        traced(app, collector)
        trace_id, span_id = (await call_asgi(app, "get", "/start")).json["data"]
    spans = [span for received in collector.received for span in received.json]
    assert names(collector) == ["GET /start", "asyncio's", "sanic's"]
    assert {span["traceId"] for span in spans} == {trace_id}
    assert {span.get("parentId") for span in spans} == {None, span_id}


async def test_a_request_without_traces_has_a_span_that_does_nothing() -> None:
    """Handlers may note things on it whatever the settings."""
    app = make()

    @app.get("/")
    async def handler(request: Any) -> Any:
        request["span"].set_attribute("a", 1)
        request.get("span").add_event("b")
        request["span"].end()
        return ["span" in request, request["span"].is_recording()]

    assert (await call_asgi(app, "get", "/")).json["data"] == [True, False]
