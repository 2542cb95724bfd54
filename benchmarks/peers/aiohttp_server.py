"""aiohttp's own server on uvloop: orjson, no access log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import orjson
import uvloop
from aiohttp import web

from benchmarks.peers import shared
from benchmarks.peers.resources import Resources

resources = Resources()
routes = web.RouteTableDef()


def answer(document: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")


def id_of(request: web.Request) -> int:
    return int(request.match_info["id"])


@routes.get("/plain")
async def plain(request: web.Request) -> web.Response:
    return web.Response(text=shared.PLAIN)


@routes.get("/json")
async def document(request: web.Request) -> web.Response:
    return answer({"message": shared.PLAIN})


@routes.get(r"/items/{id:\d+}")
async def item(request: web.Request) -> web.Response:
    id = id_of(request)
    return answer({"id": id, "name": f"item {id}"})


@routes.post("/people")
async def create(request: web.Request) -> web.Response:
    try:
        person = msgspec.json.decode(await request.read(), type=shared.NewPerson)
    except msgspec.ValidationError as exc:
        return answer({"error": str(exc)}, status=422)
    except msgspec.DecodeError as exc:
        return answer({"error": str(exc)}, status=400)
    return web.Response(body=msgspec.json.encode(person), content_type="application/json")


@routes.get(r"/row/{id:\d+}")
async def row(request: web.Request) -> web.Response:
    async with resources.db.acquire() as db:
        return answer(dict(await db.fetchrow(shared.ROW, id_of(request))))


@routes.get(r"/rows/{id:\d+}")
async def rows(request: web.Request) -> web.Response:
    async with resources.db.acquire() as db:
        return answer([dict(one) for one in await db.fetch(shared.ROWS, id_of(request))])


@routes.get(r"/queries/{id:\d+}")
async def queries(request: web.Request) -> web.Response:
    keys = shared.keys_of(id_of(request))
    async with resources.db.acquire() as db:
        return answer([dict(await db.fetchrow(shared.ROW, key)) for key in keys])


@routes.put(r"/update/{id:\d+}")
async def update(request: web.Request) -> web.Response:
    async with resources.db.acquire() as db, db.transaction():
        return answer(dict(await db.fetchrow(shared.UPDATE, id_of(request))))


@routes.get(r"/lite/{id:\d+}")
async def lite(request: web.Request) -> web.Response:
    return answer(await resources.lite_row(id_of(request)))


@routes.get(r"/fan/{id:\d+}")
async def fan(request: web.Request) -> web.Response:
    id = id_of(request)
    city, role = await asyncio.gather(
        resources.fetch(f"{shared.CITIES}/cities/{id}"),
        resources.fetch(f"{shared.ROLES}/roles/{id}"),
    )
    return answer({"id": id, "city": city, "role": role})


async def connected(app: web.Application) -> AsyncIterator[None]:
    await resources.open()
    yield
    await resources.close()


app = web.Application()
app.add_routes(routes)
app.cleanup_ctx.append(connected)

if __name__ == "__main__":
    web.run_app(
        app,
        host="127.0.0.1",
        port=shared.PORT,
        access_log=None,
        keepalive_timeout=shared.KEEP_ALIVE,
        print=None,
        loop=uvloop.new_event_loop(),
    )
