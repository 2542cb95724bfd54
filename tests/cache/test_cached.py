"""The decorator: on functions, methods of services, and handlers."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from sanic_ms import Depends, Request, Service, doc
from sanic_ms.cache import Cache, cached
from sanic_ms.cache.keys import CallKey
from sanic_ms.context import service_context
from sanic_ms.exception import LifecycleError, NotFound
from sanic_ms.testing import TestClient


class City(msgspec.Struct):
    id: int
    name: str


class Source:
    """A service that is injected, and is no part of a key."""

    calls = 0


calls: list[Any] = []


@cached(ttl=60, tags=["cities", "city:{city_id}"])
async def city(city_id: int, *, language: str = "en") -> City:
    """A function."""
    calls.append((city_id, language))
    return City(city_id, language)


@cached(ttl=60)
async def anything(*values: Any, **named: Any) -> str:
    """A function of all kinds of values."""
    calls.append((values, named))
    return repr((values, named))


class Cities:
    """A service with a cached method."""

    @cached(ttl=60)
    async def count(self, country: str, source: Source) -> int:
        """A method."""
        source.calls += 1
        return source.calls


@pytest.fixture
def app() -> Service:
    """A service that no other test has."""
    app = Service(f"service_{uuid.uuid4().hex}", configure_logging=False)
    app.provide(Source)
    return app


@pytest.fixture
async def running(app: Service) -> AsyncIterator[Service]:
    """A service that runs, and is the current one."""
    calls.clear()
    async with TestClient(app):
        yield app


async def test_calls_with_the_same_values_are_one(running: Service) -> None:
    """However they are written; other values are other calls."""
    assert await city(7) == await city(city_id=7) == await city(7, language="en") == City(7, "en")
    assert await city(7, language="nl") == City(7, "nl")
    assert await city(8) == City(8, "en")
    assert calls == [(7, "en"), (7, "nl"), (8, "en")]
    assert running.cache.counts.of("hit", f"{__name__}.city") == 2


async def test_a_value_is_dropped_alone_or_by_its_tags(running: Service) -> None:
    """A tag may hold the value of a parameter."""
    await city(7)
    await city(8)
    await city.invalidate(7)  # type: ignore[attr-defined]
    await city(7)
    await city(8)
    assert len(calls) == 3
    await running.cache.invalidate("city:8")
    await city(7)
    await city(8)
    assert len(calls) == 4
    await running.cache.invalidate("cities")
    await city(7)
    await city(8)
    assert len(calls) == 6
    assert await running.cache.get(city.key(7)) == City(7, "en")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((1,), ("1",)), ((1,), (True,)), ((1,), (1.0,)), ((None,), ("null",)),
        (("a", "b"), ("a,b",)),
        (('a","b',), ("a", "b")), (({"a": 1},), ({"a": 2},)), (([1, 2],), ([1], [2])),
        (("x" * 300,), ("x" * 301,)), ((), ("",)),
    ],
)  # fmt: skip
async def test_other_values_never_meet(
    running: Service, first: tuple[Any, ...], second: tuple[Any, ...]
) -> None:
    """Not by their type, nor by what stands in a text, nor where they are long."""
    assert await anything(*first) == repr((first, {}))
    assert await anything(*second) == repr((second, {}))
    assert await anything(x=1) != await anything(y=1)


async def test_equal_values_meet(running: Service) -> None:
    """The order of a dict does not matter."""
    assert await anything({"a": 1, "b": 2}) == await anything({"b": 2, "a": 1})
    assert await anything(a=1, b=2) == await anything(b=2, a=1)
    assert len(calls) == 2


async def test_self_and_services_are_no_part(running: Service) -> None:
    """Two objects of a class have the same values."""
    source = Source()
    assert await Cities().count("be", source) == 1
    assert await Cities().count("be", Source()) == 1
    assert await Cities().count("nl", source) == 2


async def test_a_value_that_is_no_data_is_an_error(running: Service) -> None:
    """The text names the function and the parameter; nothing is cached."""
    with pytest.raises(TypeError, match=r"anything.*'values' is no data.*key="):
        await anything(object())
    with pytest.raises(TypeError):
        await city()  # type: ignore[call-arg]
    assert calls == []


async def test_a_key_of_ones_own(running: Service) -> None:
    """A text with parameters, or a function of the same arguments."""

    @cached(ttl=60, key="{a}")
    async def by_text(a: int, b: int) -> int:
        return b

    @cached(ttl=60, key=lambda a, b: f"f{a}")
    async def by_function(a: int, b: int) -> int:
        return b

    @cached(ttl=60, key="{c}")
    async def wrong(a: int) -> int:
        return a

    @cached(ttl=60, key=lambda a: a)
    async def no_text(a: int) -> int:
        return a

    assert [await by_text(1, 2), await by_text(1, 3), await by_text(2, 3)] == [2, 2, 3]
    assert [await by_function(1, 2), await by_function(1, 3), await by_function(2, 3)] == [2, 2, 3]
    with pytest.raises(TypeError, match="cannot be written"):
        await wrong(1)
    with pytest.raises(TypeError, match="no text"):
        await no_text(1)


async def test_the_values_of_a_written_key_keep_apart(running: Service) -> None:
    """One that holds the separator is not taken for two."""

    @cached(ttl=60, key="{tenant}:{item:>3}")
    async def of_tenant(tenant: str, item: str) -> list[str]:
        return [tenant, item]

    for call in (["a:b", "c"], ["a", "b:c"], ['a":"b', "c"], ["a", 'b":"c'], ["a", "  c"]):
        assert await of_tenant(*call) == call
    assert await of_tenant("a", "c") == ["a", "  c"]  # the same text


class Named:
    """A base class whose methods its heirs answer in their own way."""

    name = "named"

    @cached(ttl=60)
    async def get(self, number: int) -> str:
        return f"{self.name} {number}"

    @cached(ttl=60, key="{number}")
    async def read(self, number: int) -> str:
        return f"{self.name} {number}"

    @classmethod
    @cached(ttl=60)
    async def make(cls, number: int) -> str:
        return f"{cls.name} {number}"


class Heir(Named):
    name = "heir"


async def test_an_inherited_method_has_values_of_its_own(running: Service) -> None:
    """Each class that inherits it has its keys; objects of one class share theirs."""
    for kind in (Named, Heir, Named, Heir):
        assert await kind().get(1) == f"{kind.name} 1"
        assert await kind().read(1) == f"{kind.name} 1"
        assert await kind.make(1) == f"{kind.name} 1"
    assert running.cache.counts.of("load") == 6
    key = Named.get.key(None, 1)  # type: ignore[attr-defined]
    assert await running.cache.get(key) == "named 1"


async def test_the_key_of_a_handler_is_that_of_no_request(app: Service) -> None:
    """Annotated or not."""

    @app.get("/a/<number:int>")
    @cached(ttl=60)
    async def a(request, number: int) -> int:  # type: ignore[no-untyped-def]
        return number

    async with TestClient(app) as client:
        await client.get("/a/7")
        assert await app.cache.get(a.key(None, 7)) == 7  # type: ignore[attr-defined]


async def test_it_needs_a_service() -> None:
    """Outside of one there is no cache."""
    with pytest.raises(LifecycleError, match="no service runs here"):
        await city(1)


async def test_what_can_be_decorated() -> None:
    """Async functions; options are checked at once."""
    with pytest.raises(TypeError, match="no async function"):
        cached(ttl=1)(lambda: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="ttl"):
        cached(ttl=0)
    with pytest.raises(TypeError, match="list of texts"):
        cached(ttl=1, tags="abc")
    long = cached(ttl=30 * 86400)(anything)
    assert long.__name__ == "anything"
    assert long.__doc__ == "A function of all kinds of values."


async def test_a_handler(app: Service) -> None:
    """Its declared parameters are the key; others in the URL do not matter, and errors are not
    kept."""

    @app.get("/cities/<city_id:int>")
    @cached(ttl=60)
    async def read(
        request: Request, city_id: int, source: Source, size: Annotated[int, Meta(ge=1)] = 1
    ) -> City:
        source.calls += 1
        if city_id == 404:
            raise NotFound(error="no city")
        return City(city_id, f"{size} {source.calls}")

    async with TestClient(app) as client:

        async def get(path: str) -> Any:
            return (await client.get(path)).json.get("data")

        first = {"id": 1, "name": "1 1"}
        assert [await get("/cities/1"), await get("/cities/1?size=1&x=2")] == [first, first]
        assert await get("/cities/1?size=2") == {"id": 1, "name": "2 2"}
        assert (await client.get("/cities/1?size=0")).status == 422
        for _ in range(2):
            assert (await client.get("/cities/404")).status == 404
        assert (await app.resolve(Source)).calls == 4
        metrics = (await client.get("/metrics")).text
        assert re.search(r'cache_events_total\{space="[^"]*read",event="load"\} 4', metrics)


async def test_a_handler_that_declares_nothing_stops_the_start(app: Service) -> None:
    """It may read the request, which is no part of the key; ``key=`` says that it does not."""

    @app.get("/a")
    @cached(ttl=60)
    async def a(request: Request, source: Source) -> Any:
        return request.args.get("x")

    with pytest.raises(LifecycleError, match=r"declares no parameters.*key="):
        app.compile()


async def test_declared_parts_stop_the_start(app: Service) -> None:
    """``request['data']`` is no part of the key."""

    @app.post("/a/<number:int>")
    @doc.consumes({"x": int})
    @cached(ttl=60)
    async def a(request: Request, number: int) -> Any:
        return request["data"]

    with pytest.raises(LifecycleError, match=r"take it as parameters, or give key="):
        app.compile()


class Caller(msgspec.Struct):
    """A service of the request: who asks."""

    name: str


async def caller_of(request: Request) -> Caller:
    return Caller(request.token or "nobody")


async def name_of(caller: Caller) -> str:
    return caller.name


async def test_a_service_of_the_request_stops_the_start(app: Service) -> None:
    """It may be that of one caller, and is no part of the key."""
    app.provide(Caller, caller_of, scope="request")

    @app.get("/a")
    @cached(ttl=60)
    async def a(request: Request, caller: Caller, size: int = 1) -> Any:
        return caller.name

    with pytest.raises(LifecycleError, match=r"'caller' is made for each request.*key="):
        app.compile()


async def test_each_caller_has_responses_of_their_own(app: Service) -> None:
    """What `Depends` gives is part of the key; ``key=`` may name it; elsewhere a service of the
    request is an error of the call, and nothing is kept."""
    app.provide(Caller, caller_of, scope="request")

    @cached(ttl=60)
    async def load(caller: Caller, size: int) -> str:
        return caller.name

    @app.get("/a")
    @cached(ttl=60)
    async def a(request: Request, name: Annotated[str, Depends(name_of)], size: int = 1) -> Any:
        return name

    @app.get("/b")
    @cached(ttl=60, key="{caller.name}")
    async def b(request: Request, caller: Caller, size: int = 1) -> Any:
        return caller.name

    @app.get("/c")
    async def c(request: Request, caller: Caller) -> Any:
        return await load(caller, 1)

    async with TestClient(app) as client:
        for path in ("/a", "/b"):
            for name in ("ann", "bob", "ann"):
                answer = await client.get(path, headers={"Authorization": f"Bearer {name}"})
                assert answer.json["data"] == name
        assert app.cache.counts.of("load") == 4
        assert (await client.get("/c")).status == 500
        assert app.cache.counts.of("load") == 4


async def test_a_key_lets_the_handler_through(app: Service) -> None:
    """One response for all."""

    @app.get("/a")
    @cached(ttl=60, key="all")
    async def a(request: Request) -> Any:
        return request.args.get("x")

    async with TestClient(app) as client:
        assert (await client.get("/a?x=1")).json["data"] == "1"
        assert (await client.get("/a?x=2")).json["data"] == "1"


async def test_each_test_has_an_empty_cache(app: Service, redis_url: str) -> None:
    """Also in Redis, where nothing is left behind."""
    app.configure(redis_url=redis_url)
    for _ in range(2):
        calls.clear()
        async with TestClient(app):
            assert isinstance(await app.resolve(Cache), Cache)
            for _ in range(2):
                assert await city(7) == City(7, "en")
            assert len(calls) == app.cache.counts.of("load") == 1
            assert await app.redis.keys(f"{app.name}*")
    async with TestClient(app):
        assert await app.redis.keys(f"{app.name}*") == []


def test_services_of_two_processes_have_the_same_keys(app: Service) -> None:
    """A key says nothing of an object's place in memory."""
    with service_context(app):
        key = CallKey(Cities.count.__wrapped__, None)  # type: ignore[attr-defined]
        arguments = key.arguments((Cities(), "be", Source()), {})
        assert key.key(arguments, app) == f'{__name__}.Cities.count:"be"'
