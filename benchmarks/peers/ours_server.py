"""This framework, as a team would write it, with its production defaults.

What differs between the variants is told by settings in the environment.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from sanic.response import HTTPResponse, text

from benchmarks.peers import shared
from benchmarks.peers.shared import Fan, Item, Message, NewPerson, Person, Visits
from sanic_ms import Service
from sanic_ms.client import Client
from sanic_ms.utils import async_execute

if TYPE_CHECKING:
    from sanic_ms.http.request import Request

app = Service("bench")

if shared.POSTGRES:
    app.configure(db_url=shared.POSTGRES, db_pool_max=shared.POOL_SIZE)
elif shared.SQLITE:
    app.configure(db_url=f"sqlite:///{shared.SQLITE}")


if shared.COLLECTOR:
    app.configure(zipkin_server=shared.COLLECTOR)


@app.get("/plain")
async def plain(request: Request) -> HTTPResponse:
    return text(shared.PLAIN)


@app.get("/json")
async def json(request: Request) -> Message:
    return {"message": shared.PLAIN}


@app.get("/items/<id:int>")
async def item(request: Request, id: int) -> Item:
    return {"id": id, "name": f"item {id}"}


@app.post("/people")
async def create(request: Request, body: NewPerson) -> NewPerson:
    return body


@app.get("/row/<id:int>")
async def row(request: Request, id: int) -> Person:
    return await app.db.fetchrow(shared.ROW, id)  # type: ignore[return-value]


@app.get("/rows/<id:int>")
async def rows(request: Request, id: int) -> list[Person]:
    return await app.db.fetch(shared.ROWS, id)  # type: ignore[return-value]


@app.get("/queries/<id:int>")
async def queries(request: Request, id: int) -> list[Person]:
    return [
        await app.db.fetchrow(shared.ROW, key)  # type: ignore[misc]
        for key in shared.keys_of(id)
    ]


@app.put("/update/<id:int>")
async def update(request: Request, id: int) -> Visits:
    async with app.db.transaction(request) as db:
        return await db.fetchrow(shared.UPDATE, id)  # type: ignore[return-value]


@app.get("/lite/<id:int>")
async def lite(request: Request, id: int) -> Person:
    async with app.db.acquire(request) as db:
        return await db.fetchrow(shared.ROW, id)  # type: ignore[return-value]


@app.get("/fan/<id:int>")
async def fan(request: Request, id: int) -> Fan:
    city, role = await async_execute(
        app.ctx.cities.cli(request).get_json(f"/cities/{id}"),
        app.ctx.roles.cli(request).get_json(f"/roles/{id}"),
    )
    return {"id": id, "city": city, "role": role}


Step = Callable[[int], Awaitable[Any]]


def step(function: Step) -> Step:
    """With BENCH_LOGGER the function is watched by `@logger`, without it is as it is."""
    if not os.environ.get("BENCH_LOGGER"):
        return function
    logger = importlib.import_module("sanic_ms.loggers").logger
    watched: Step = logger()(function)
    return watched


@step
async def first(id: int) -> int:
    return id + 1


@step
async def second(id: int) -> int:
    return id + 2


@step
async def third(id: int) -> int:
    return id + 3


@app.get("/calls/<id:int>")
async def calls(request: Request, id: int) -> Item:
    return {"id": await third(await second(await first(id))), "name": f"item {id}"}


@step
async def read(id: int) -> Any:
    return await app.db.fetchrow(shared.ROW, id)


@step
async def find(id: int) -> Any:
    return await read(id)


@step
async def show(id: int) -> Any:
    return await find(id)


@app.get("/layers/<id:int>")
async def layers(request: Request, id: int) -> Person:
    return await show(id)  # type: ignore[no-any-return]


@app.before_server_start
async def connect(app: Service) -> None:
    if shared.CITIES:
        app.ctx.cities = Client("cities", url=shared.CITIES, app=app)
        app.ctx.roles = Client("roles", url=shared.ROLES, app=app)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=shared.PORT)
