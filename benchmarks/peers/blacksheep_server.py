"""BlackSheep on uvicorn: bodies by pydantic, as its documents recommend, and JSON by orjson."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import orjson
from blacksheep import Application, Content, FromJSON, Response, text
from blacksheep.settings.json import json_settings
from pydantic import BaseModel, Field

from benchmarks.peers import shared, uvicorn_run
from benchmarks.peers.resources import Resources

app = Application(show_error_details=False)
resources = Resources()
# Reads with orjson; writing with it is `answer`, which spares the way through text.
json_settings.use(loads=orjson.loads)


class NewPerson(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    age: Annotated[int, Field(ge=0, le=150)]
    score: float
    active: bool
    email: Annotated[str, Field(pattern=shared.EMAIL)]
    tags: list[str]


def answer(document: Any) -> Response:
    return Response(200, None, Content(b"application/json", orjson.dumps(document)))


@app.router.get("/plain")
async def plain() -> Response:
    return text(shared.PLAIN)


@app.router.get("/json")
async def document() -> Response:
    return answer({"message": shared.PLAIN})


@app.router.get("/items/{id}")
async def item(id: int) -> Response:
    return answer({"id": id, "name": f"item {id}"})


@app.router.post("/people")
async def create(body: FromJSON[NewPerson]) -> Response:
    written = body.value.__pydantic_serializer__.to_json(body.value)
    return Response(200, None, Content(b"application/json", written))


@app.router.get("/row/{id}")
async def row(id: int) -> Response:
    async with resources.db.acquire() as db:
        return answer(dict(await db.fetchrow(shared.ROW, id)))


@app.router.get("/rows/{id}")
async def rows(id: int) -> Response:
    async with resources.db.acquire() as db:
        return answer([dict(one) for one in await db.fetch(shared.ROWS, id)])


@app.router.get("/queries/{id}")
async def queries(id: int) -> Response:
    async with resources.db.acquire() as db:
        return answer([dict(await db.fetchrow(shared.ROW, key)) for key in shared.keys_of(id)])


@app.router.put("/update/{id}")
async def update(id: int) -> Response:
    async with resources.db.acquire() as db, db.transaction():
        return answer(dict(await db.fetchrow(shared.UPDATE, id)))


@app.router.get("/lite/{id}")
async def lite(id: int) -> Response:
    return answer(await resources.lite_row(id))


@app.router.get("/fan/{id}")
async def fan(id: int) -> Response:
    city, role = await asyncio.gather(
        resources.fetch(f"{shared.CITIES}/cities/{id}"),
        resources.fetch(f"{shared.ROLES}/roles/{id}"),
    )
    return answer({"id": id, "city": city, "role": role})


@app.on_start
async def connect(app: Application) -> None:
    await resources.open()


@app.on_stop
async def close(app: Application) -> None:
    await resources.close()


if __name__ == "__main__":
    uvicorn_run.serve(app)
