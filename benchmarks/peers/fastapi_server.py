"""FastAPI on uvicorn.

Return types are declared, because pydantic then writes the JSON itself; FastAPI calls that its
fastest way, and has deprecated the response class with orjson. Other services are called with
httpx, as FastAPI's documents do; BENCH_CLIENT=aiohttp takes aiohttp.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import orjson
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from benchmarks.peers import shared, uvicorn_run
from benchmarks.peers.resources import Resources
from benchmarks.peers.shared import Fan, Item, Message, Person, Visits

resources = Resources()
WITH_AIOHTTP = os.environ.get("BENCH_CLIENT") == "aiohttp"
# httpcore looks at every connection for every request, so that few are faster than many: 10 take
# 10 ms of CPU for a request of this case, 100 take 26.
LIMITS = httpx.Limits(max_connections=10)
clients: dict[str, httpx.AsyncClient]  # one a service: a pool gets slow with its size


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    global clients
    await resources.open()
    bases = [url for url in (shared.CITIES, shared.ROLES) if url]
    clients = {base: httpx.AsyncClient(base_url=base, limits=LIMITS) for base in bases}
    yield
    for client in clients.values():
        await client.aclose()
    await resources.close()


app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)


class NewPerson(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    age: Annotated[int, Field(ge=0, le=150)]
    score: float
    active: bool
    email: Annotated[str, Field(pattern=shared.EMAIL)]
    tags: list[str]


@app.get("/plain", response_class=PlainTextResponse)
async def plain() -> PlainTextResponse:
    return PlainTextResponse(shared.PLAIN)


@app.get("/json")
async def document() -> Message:
    return {"message": shared.PLAIN}


@app.get("/items/{id}")
async def item(id: int) -> Item:
    return {"id": id, "name": f"item {id}"}


@app.post("/people")
async def create(body: NewPerson) -> NewPerson:
    return body


@app.get("/row/{id}")
async def row(id: int) -> Person:
    async with resources.db.acquire() as db:
        return dict(await db.fetchrow(shared.ROW, id))  # type: ignore[return-value]


@app.get("/rows/{id}")
async def rows(id: int) -> list[Person]:
    async with resources.db.acquire() as db:
        return [dict(one) for one in await db.fetch(shared.ROWS, id)]  # type: ignore[misc]


@app.get("/queries/{id}")
async def queries(id: int) -> list[Person]:
    async with resources.db.acquire() as db:
        return [
            dict(await db.fetchrow(shared.ROW, key))  # type: ignore[misc]
            for key in shared.keys_of(id)
        ]


@app.put("/update/{id}")
async def update(id: int) -> Visits:
    async with resources.db.acquire() as db, db.transaction():
        return dict(await db.fetchrow(shared.UPDATE, id))  # type: ignore[return-value]


@app.get("/lite/{id}")
async def lite(id: int) -> Person:
    return await resources.lite_row(id)  # type: ignore[return-value]


async def fetch(base: str, path: str) -> Any:
    if WITH_AIOHTTP:
        return await resources.fetch(f"{base}{path}")
    return orjson.loads((await clients[base].get(path)).content)


@app.get("/fan/{id}")
async def fan(id: int) -> Fan:
    city, role = await asyncio.gather(
        fetch(shared.CITIES, f"/cities/{id}"), fetch(shared.ROLES, f"/roles/{id}")
    )
    return {"id": id, "city": city, "role": role}


if __name__ == "__main__":
    uvicorn_run.serve(app)
