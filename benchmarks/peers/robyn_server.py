"""Robyn with one process and one worker, which is what one core can use.

Its `const=True` answers from Rust without running the handler; that is left off, as every other
peer runs its handler. Dicts are written by orjson on Robyn's own side.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from robyn import Headers, Request, Response, Robyn

from benchmarks.peers import shared
from benchmarks.peers.resources import Resources

app = Robyn(__file__)
resources = Resources()
JSON = Headers({"Content-Type": "application/json"})


def id_of(request: Request) -> int:
    return int(request.path_params["id"])


@app.get("/plain")
async def plain(request: Request) -> str:
    return shared.PLAIN


@app.get("/json")
async def document(request: Request) -> Any:
    return {"message": shared.PLAIN}


@app.get("/items/:id")
async def item(request: Request) -> Any:
    id = id_of(request)
    return {"id": id, "name": f"item {id}"}


@app.post("/people")
async def create(request: Request) -> Response:
    try:
        person = msgspec.json.decode(request.body, type=shared.NewPerson)
    except msgspec.ValidationError as exc:
        return Response(422, JSON, msgspec.json.encode({"error": str(exc)}))
    except msgspec.DecodeError as exc:
        return Response(400, JSON, msgspec.json.encode({"error": str(exc)}))
    return Response(200, JSON, msgspec.json.encode(person))


@app.get("/row/:id")
async def row(request: Request) -> Any:
    async with resources.db.acquire() as db:
        return dict(await db.fetchrow(shared.ROW, id_of(request)))


@app.get("/rows/:id")
async def rows(request: Request) -> Any:
    async with resources.db.acquire() as db:
        return [dict(one) for one in await db.fetch(shared.ROWS, id_of(request))]


@app.get("/queries/:id")
async def queries(request: Request) -> Any:
    keys = shared.keys_of(id_of(request))
    async with resources.db.acquire() as db:
        return [dict(await db.fetchrow(shared.ROW, key)) for key in keys]


@app.put("/update/:id")
async def update(request: Request) -> Any:
    async with resources.db.acquire() as db, db.transaction():
        return dict(await db.fetchrow(shared.UPDATE, id_of(request)))


@app.get("/lite/:id")
async def lite(request: Request) -> Any:
    return await resources.lite_row(id_of(request))


@app.get("/fan/:id")
async def fan(request: Request) -> Any:
    id = id_of(request)
    city, role = await asyncio.gather(
        resources.fetch(f"{shared.CITIES}/cities/{id}"),
        resources.fetch(f"{shared.ROLES}/roles/{id}"),
    )
    return {"id": id, "city": city, "role": role}


@app.startup_handler
async def connect() -> None:
    await resources.open()


if __name__ == "__main__":
    app.start(host="127.0.0.1", port=shared.PORT, keep_alive_timeout=shared.KEEP_ALIVE)
