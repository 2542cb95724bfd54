"""Sanic alone: uvloop, orjson, no access log, one process without a manager beside it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import orjson
from sanic import Request, Sanic
from sanic.response import HTTPResponse, json, text

from benchmarks.peers import shared
from benchmarks.peers.resources import Resources

app: Sanic[Any, Any] = Sanic("bench", dumps=orjson.dumps)
app.config.KEEP_ALIVE_TIMEOUT = shared.KEEP_ALIVE
resources = Resources()


@app.get("/plain")
async def plain(request: Request) -> HTTPResponse:
    return text(shared.PLAIN)


@app.get("/json")
async def document(request: Request) -> HTTPResponse:
    return json({"message": shared.PLAIN})


@app.get("/items/<id:int>")
async def item(request: Request, id: int) -> HTTPResponse:
    return json({"id": id, "name": f"item {id}"})


@app.post("/people")
async def create(request: Request) -> HTTPResponse:
    try:
        person = msgspec.json.decode(request.body, type=shared.NewPerson)
    except msgspec.ValidationError as exc:
        return json({"error": str(exc)}, status=422)
    except msgspec.DecodeError as exc:
        return json({"error": str(exc)}, status=400)
    return HTTPResponse(msgspec.json.encode(person), content_type="application/json")


@app.get("/row/<id:int>")
async def row(request: Request, id: int) -> HTTPResponse:
    async with resources.db.acquire() as db:
        return json(dict(await db.fetchrow(shared.ROW, id)))


@app.get("/rows/<id:int>")
async def rows(request: Request, id: int) -> HTTPResponse:
    async with resources.db.acquire() as db:
        return json([dict(one) for one in await db.fetch(shared.ROWS, id)])


@app.get("/queries/<id:int>")
async def queries(request: Request, id: int) -> HTTPResponse:
    async with resources.db.acquire() as db:
        return json([dict(await db.fetchrow(shared.ROW, key)) for key in shared.keys_of(id)])


@app.put("/update/<id:int>")
async def update(request: Request, id: int) -> HTTPResponse:
    async with resources.db.acquire() as db, db.transaction():
        return json(dict(await db.fetchrow(shared.UPDATE, id)))


@app.get("/lite/<id:int>")
async def lite(request: Request, id: int) -> HTTPResponse:
    return json(await resources.lite_row(id))


@app.get("/fan/<id:int>")
async def fan(request: Request, id: int) -> HTTPResponse:
    city, role = await asyncio.gather(
        resources.fetch(f"{shared.CITIES}/cities/{id}"),
        resources.fetch(f"{shared.ROLES}/roles/{id}"),
    )
    return json({"id": id, "city": city, "role": role})


@app.before_server_start
async def connect(app: Sanic[Any, Any]) -> None:
    await resources.open()


@app.after_server_stop
async def close(app: Sanic[Any, Any]) -> None:
    await resources.close()


if __name__ == "__main__":
    app.run(
        host="127.0.0.1",
        port=shared.PORT,
        access_log=False,
        debug=False,
        motd=False,
        single_process=True,
    )
