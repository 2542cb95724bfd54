"""How applications are written; every `assert_type` is what a type checker must know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, assert_type

import msgspec
from sanic import Blueprint
from sanic.response import HTTPResponse, text

from sanic_ms import (
    Cursor,
    CursorPagination,
    Depends,
    Offset,
    OffsetPagination,
    Page,
    Pagination,
    Request,
    Service,
    Settings,
    doc,
)
from sanic_ms.client import Client
from sanic_ms.config import load_settings
from sanic_ms.db import Connection, ConnectionPool
from sanic_ms.db import Row as DBRow
from sanic_ms.exception import NotFound
from sanic_ms.repository import Loader, Repository, fetch_page
from sanic_ms.service.background import BackgroundTask
from sanic_ms.utils import run_blocking


class ShopSettings(Settings, frozen=True, kw_only=True):
    basket_limit: int = 50


class NewUser(msgspec.Struct):
    name: str


class User(msgspec.Struct):
    id: int
    name: str


class UserRepository:
    def __init__(self, db: ConnectionPool) -> None:
        self.db = db


class Shop(Service[ShopSettings]):
    """A service with an attribute of its own."""

    regions: Client


# --- services and their settings -----------------------------------------------------------------

plain = Service("plain", envelope=None, servers=["https://shop.example"])
inferred = Service("inferred", settings=ShopSettings)
explicit = Service[ShopSettings]("explicit", settings=ShopSettings)
shop = Shop("shop")

assert_type(plain.settings, Settings)
assert_type(inferred.settings, ShopSettings)
assert_type(explicit.settings, ShopSettings)
assert_type(shop.settings.basket_limit, int)
assert_type(shop.loaded.settings, ShopSettings)
assert_type(plain.db, ConnectionPool)
assert_type(plain.database("archive"), ConnectionPool)
assert_type(load_settings(ShopSettings).settings, ShopSettings)

shop.regions = Client("region-service", app=shop)
plain.ctx.regions = Client("region-service", app=plain)
plain.provide(UserRepository, scope="request")


def takes_any_service(app: Service) -> str:
    """A service with settings of its own is a service."""
    return app.settings.host


takes_any_service(shop)


# --- handlers ------------------------------------------------------------------------------------


@plain.post("/users")
@doc.summary("Create a user")
@doc.deadline(2)
@doc.shielded
@doc.produces(User, status=201)
async def create_user(request: Request, notify: bool = False) -> User:
    assert_type(request.app, Service)
    assert_type(request.app.settings, Settings)
    assert_type(request.app.db, ConnectionPool)
    assert_type(request.data(list[NewUser]), list[NewUser])
    user = request.data(NewUser)
    assert_type(user, NewUser)
    return User(id=1, name=user.name)


@shop.get("/limit")
async def show_limit(request: Request[Shop]) -> int:
    assert_type(request.app, Shop)
    assert_type(request.app.settings, ShopSettings)
    assert_type(request.app.regions, Client)
    return request.app.settings.basket_limit


@plain.get("/limit")
async def show_own_limit(request: Request[Service[ShopSettings]]) -> int:
    return request.app.settings.basket_limit


def takes_any_request(request: Request) -> str:
    """A request of a service of one's own is a request."""
    return request.method


@plain.route("/users/<id:int>", methods=["GET"])
@doc.produces(User)
async def read_user(request: Request, id: int) -> dict[str, Any]:
    """A row: the annotation says what the function returns, and `doc.produces` the shape."""
    row = await request.app.db.fetchrow("SELECT id, name FROM users WHERE id = $1", id)
    assert_type(row, dict[str, Any] | None)
    if row is None:
        raise NotFound(f"no user {id}")
    return row


@plain.get("/users")
@doc.produces([User])
async def list_users(request: Request, page: Page) -> tuple[list[dict[str, Any]], Pagination]:
    rows = await request.app.db.fetch("SELECT id, name FROM users LIMIT $1", page.limit)
    return rows, page.of(total=len(rows))


@plain.get("/converted/<id:int>")
async def convert_user(request: Request, id: int) -> User:
    row = await request.app.db.fetchrow("SELECT id, name FROM users WHERE id = $1", id)
    return msgspec.convert(row, User)


async def call_handlers(request: Request, of_shop: Request[Shop], page: Page) -> None:
    """A decorated function is called as it was written."""
    assert_type(await create_user(request, notify=True), User)
    assert_type(await show_limit(of_shop), int)
    assert_type(await read_user(request, 7), dict[str, Any])
    assert_type(await list_users(request, page), tuple[list[dict[str, Any]], Pagination])
    takes_any_request(of_shop)


# --- Sanic's other decorators --------------------------------------------------------------------

users = Blueprint("users", url_prefix="/v2")


@users.get("/<id:int>")
@doc.produces(User)
async def read_from_blueprint(request: Request, id: int) -> dict[str, Any]:
    return {"id": id, "name": "ann"}


plain.blueprint(users)


@plain.before_server_start
async def connect(app: Service) -> None:
    app.ctx.ready = True


@shop.before_server_start
async def connect_shop(app: Shop) -> None:
    app.regions = Client("region-service", app=app)


@plain.on_request
async def see_request(request: Request) -> None:
    request["tenant"] = request.headers.get("x-tenant")


@plain.on_response
async def see_response(request: Request, response: HTTPResponse) -> None:
    response.headers["x-app"] = request.app.name


@plain.on_request(priority=5)
async def see_first(request: Request) -> None:
    request.ctx.first = True


@plain.middleware("request")
async def see_too(request: Request) -> None:
    request.ctx.seen = True


@plain.exception(ZeroDivisionError)
async def on_division(request: Request, error: ZeroDivisionError) -> HTTPResponse:
    return text(str(error), status=422)


@plain.signal("http.lifecycle.complete")
async def on_complete(**context: Any) -> None: ...


@plain.websocket("/feed")
async def feed(request: Request, socket: Any) -> None:
    await socket.send("hello")


# --- dependencies --------------------------------------------------------------------------------


async def transaction(db: ConnectionPool) -> AsyncIterator[Connection]:
    async with db.transaction() as cursor:
        yield cursor


def require_login(request: Request) -> None: ...


def current_user(request: Request, limit: int = 10) -> User:
    return User(id=limit, name="ann")


guarded = Service("guarded", dependencies=[require_login, Depends(current_user)])
guarded.depends(require_login)
area = doc.depends(require_login)(Blueprint("area"))
assert_type(area, Blueprint)


@guarded.get("/me")
@doc.depends(require_login, Depends(current_user))
async def read_me(
    request: Request,
    user: Annotated[User, Depends(current_user, cache=False)],
    cursor: Annotated[Connection, Depends(transaction)],
    filter: Annotated[NewUser, Depends()],
) -> User:
    assert_type(user, User)
    assert_type(cursor, Connection)
    return user


async def resolve(app: Service, request: Request, cursor: Connection) -> None:
    assert_type(await app.resolve(UserRepository), UserRepository)
    async with app.scope() as scope:
        assert_type(await scope.resolve(UserRepository), UserRepository)
        assert_type(await scope.resolve(Depends(transaction)), Any)
    async with app.scope(request) as scope:
        pass
    with app.override(current_user, User(id=1, name="x")):
        assert_type(
            await read_me(request, User(id=1, name="x"), cursor, NewUser("x")),
            User,
        )


async def beside_requests(app: Shop) -> None:
    """The results of functions that run beside the event loop."""
    assert_type(await run_blocking(len, "text"), int)
    assert_type(app.background(beside_requests, app, supervise=True), BackgroundTask[Any])
    function = app.worker_process(beside_requests)
    assert_type(await function(app), None)


# --- repositories --------------------------------------------------------------------------------


class People(Repository[User]):
    model = object()

    async def named(self, name: str) -> User | None:
        return await self.get_by(name=name)


plain.provide(People)


@plain.get("/people")
async def list_people(
    request: Request, people: People, page: Cursor
) -> tuple[list[User], CursorPagination]:
    assert_type(await people.get(1), User | None)
    assert_type(await people.get(1, required=True), User)
    assert_type(await people.get_many([1]), list[User | None])
    assert_type(await people.create({"name": "ann"}), User)
    assert_type(await people.update(1, NewUser("ann")), User | None)
    assert_type(await people.update(1, {"name": "ann"}, required=True), User)
    assert_type(await people.list(order_by="-name"), tuple[list[User], int])
    assert_type(await people.page(Page()), tuple[list[User], Pagination])
    assert_type(await people.page(Offset()), tuple[list[User], OffsetPagination])
    assert_type(await Loader(people).get(1), User | None)
    assert_type(await Loader(people).get(1, required=True), User)
    async with request.app.db.transaction(request) as tx:
        assert_type(people.using(tx), People)
    return await people.page(page)


async def use_tables(db: ConnectionPool, model: type) -> None:
    assert_type(Repository(model, db), Repository[DBRow])
    assert_type(Repository(model, db, type=User), Repository[User])
    assert_type(
        await fetch_page(db, Cursor(), "SELECT 1 AS id"), tuple[list[DBRow], CursorPagination]
    )
    assert_type(People(db), People)
