"""Litestar on uvicorn: msgspec, no OpenAPI document, no log lines."""

from __future__ import annotations

import asyncio

from litestar import Litestar, MediaType, get, post, put

from benchmarks.peers import shared, uvicorn_run
from benchmarks.peers.resources import Resources
from benchmarks.peers.shared import Fan, Item, Message, NewPerson, Person, Visits

resources = Resources()


@get("/plain", media_type=MediaType.TEXT)
async def plain() -> str:
    return shared.PLAIN


@get("/json")
async def document() -> Message:
    return {"message": shared.PLAIN}


@get("/items/{id:int}")
async def item(id: int) -> Item:
    return {"id": id, "name": f"item {id}"}


@post("/people", status_code=200)
async def create(data: NewPerson) -> NewPerson:
    return data


@get("/row/{id:int}")
async def row(id: int) -> Person:
    async with resources.db.acquire() as db:
        return dict(await db.fetchrow(shared.ROW, id))  # type: ignore[return-value]


@get("/rows/{id:int}")
async def rows(id: int) -> list[Person]:
    async with resources.db.acquire() as db:
        return [dict(one) for one in await db.fetch(shared.ROWS, id)]  # type: ignore[misc]


@get("/queries/{id:int}")
async def queries(id: int) -> list[Person]:
    async with resources.db.acquire() as db:
        return [
            dict(await db.fetchrow(shared.ROW, key))  # type: ignore[misc]
            for key in shared.keys_of(id)
        ]


@put("/update/{id:int}")
async def update(id: int) -> Visits:
    async with resources.db.acquire() as db, db.transaction():
        return dict(await db.fetchrow(shared.UPDATE, id))  # type: ignore[return-value]


@get("/lite/{id:int}")
async def lite(id: int) -> Person:
    return await resources.lite_row(id)  # type: ignore[return-value]


@get("/fan/{id:int}")
async def fan(id: int) -> Fan:
    city, role = await asyncio.gather(
        resources.fetch(f"{shared.CITIES}/cities/{id}"),
        resources.fetch(f"{shared.ROLES}/roles/{id}"),
    )
    return {"id": id, "city": city, "role": role}


app = Litestar(
    route_handlers=[plain, document, item, create, row, rows, queries, update, lite, fan],
    on_startup=[resources.open],
    on_shutdown=[resources.close],
    openapi_config=None,
    logging_config=None,
)

if __name__ == "__main__":
    uvicorn_run.serve(app)
