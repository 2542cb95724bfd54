"""What must be an error for a type checker. An ignore that nothing needs is an error as well."""

from __future__ import annotations

import msgspec

from sanic_ms import Depends, Request, Service, Settings


class ShopSettings(Settings, frozen=True, kw_only=True):
    basket_limit: int = 50


class NewUser(msgspec.Struct):
    name: str


class User(msgspec.Struct):
    id: int


class NoSettings:
    pass


app = Service("mistakes")
shop = Service("mistakes-shop", settings=ShopSettings)

app.clinet  # type: ignore[attr-defined] # noqa: B018
app.settings.basket_limit  # type: ignore[attr-defined] # noqa: B018
shop.settings.basket_limt  # type: ignore[attr-defined] # noqa: B018
Service("no-settings", settings=NoSettings)  # type: ignore[type-var]
limit: str = shop.settings.basket_limit  # type: ignore[assignment]
wider: Service[ShopSettings] = app  # type: ignore[assignment]


@app.post("/users")
async def create(request: Request) -> User:
    request.app.clinet  # type: ignore[attr-defined] # noqa: B018
    request.app.settings.basket_limit  # type: ignore[attr-defined] # noqa: B018
    request.data(NewUser).nme  # type: ignore[attr-defined] # noqa: B018
    request.data(NewUser("x"))  # type: ignore[arg-type]
    return await request.app.db.fetchrow("SELECT 1 AS id")  # type: ignore[return-value]


async def call(request: Request[Service[ShopSettings]]) -> str:
    return await create(request)  # type: ignore[return-value]


async def resolve(app: Service) -> None:
    name: str = await app.resolve(User)  # type: ignore[arg-type]
    await app.resolve("User")  # type: ignore[arg-type]
    await app.resolve(Depends(create))  # type: ignore[arg-type]
    async with app.scope() as scope:
        name = await scope.resolve(User)  # type: ignore[arg-type]
    Depends(create(name))  # type: ignore[arg-type]
    app.provide(User, scope="session")  # type: ignore[arg-type]
    app.depends(3)  # type: ignore[arg-type]
