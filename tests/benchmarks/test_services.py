"""The small services that stand around a measured server."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from benchmarks import backend, collector
from benchmarks.databases import Missing, surroundings
from benchmarks.machine import Cores


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client."""
    async with aiohttp.ClientSession() as session:
        yield session


async def test_the_services_of_the_fan_answer_by_their_path(http: aiohttp.ClientSession) -> None:
    """Several requests on one connection, and two that come in one piece."""
    server = await asyncio.get_running_loop().create_server(backend.Answering, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for id in (1, 10_000):
            async with http.get(f"http://127.0.0.1:{port}/cities/{id}") as answer:
                assert json.loads(await answer.read()) == {"id": id, "name": f"city {id}"}
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /roles/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /roles/2 HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(5):
            await reader.readuntil(b'"role 1"}')
            await reader.readuntil(b'"role 2"}')
        writer.close()
        await writer.wait_closed()


async def test_the_collector_counts_spans_packed_or_not(http: aiohttp.ClientSession) -> None:
    """And says how many it has got."""
    server = await asyncio.start_server(collector.answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    body = b'[{"traceId":"a","id":"1"},{"traceId":"a","id":"2"}]'
    async with server:
        before = await asyncio.to_thread(collector.spans_of, url)
        async with http.post(f"{url}/api/v2/spans", data=body) as answer:
            assert answer.status == 202
        packed = {"Content-Encoding": "gzip"}
        async with http.post(url, data=gzip.compress(body), headers=packed) as answer:
            assert answer.status == 202
        assert await asyncio.to_thread(collector.spans_of, url) == before + 4


def test_a_postgresql_that_is_not_there_is_said_in_one_line() -> None:
    """With what to do."""
    cores = Cores(0, 0, frozenset({0}))
    nobody = "postgresql://postgres@127.0.0.1:1/postgres"
    with (
        pytest.raises(Missing, match="give --postgres"),
        surroundings(frozenset({"postgres"}), cores, nobody),
    ):
        pass
