"""The pools and sessions that the peers open, each the usual one for asyncio at its best."""

from __future__ import annotations

from typing import Any

import aiohttp
import aiosqlite
import asyncpg
import orjson

from benchmarks.peers import shared


class Resources:
    """Opened when the server starts and closed when it stops; only what the case needs."""

    db: Any  # asyncpg.Pool
    lite: aiosqlite.Connection
    http: aiohttp.ClientSession

    async def open(self) -> None:
        """Open them. All connections of the pool at once: none is opened under load."""
        if shared.POSTGRES:
            self.db = await asyncpg.create_pool(
                shared.POSTGRES, min_size=shared.POOL_SIZE, max_size=shared.POOL_SIZE
            )
        if shared.SQLITE:
            self.lite = await aiosqlite.connect(shared.SQLITE)
        if shared.CITIES:
            # No limit of connections, no cookies kept.
            self.http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
            )

    async def close(self) -> None:
        """Close what was opened."""
        if shared.POSTGRES:
            await self.db.close()
        if shared.SQLITE:
            await self.lite.close()
        if shared.CITIES:
            await self.http.close()

    async def lite_row(self, id: int) -> dict[str, Any]:
        """One row of SQLite, by the thread that aiosqlite keeps for a connection."""
        async with self.lite.execute(shared.LITE_ROW, (id,)) as cursor:
            found = await cursor.fetchone()
        assert found is not None
        return dict(zip(shared.COLUMNS, found, strict=True))

    async def fetch(self, url: str) -> Any:
        """The JSON document of another service."""
        async with self.http.get(url) as answer:
            return orjson.loads(await answer.read())
