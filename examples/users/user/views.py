"""The user service's endpoints."""

from sanic import Blueprint

from models import User
from sanic_ms import Page, Pagination, doc
from sanic_ms.cache import cached
from sanic_ms.exception import NotFound
from sanic_ms.loggers import logger
from sanic_ms.models import utcnow
from sanic_ms.repository import fetch_page
from sanic_ms.utils import async_request

users = Blueprint("user", url_prefix="/users")

FROM_CLIENT = ["name", "age", "city_id", "role_id"]
"""The columns that a request gives; id and create_time are the server's."""


@logger()
@cached(ttl=60)  # the key is the id; a city that does not exist is asked for again
async def get_city(request, id):
    async with request.app.region_client.cli(request).get(f"/cities/{id}") as res:
        return await res.json()


@logger()
@cached(ttl=60)
async def get_role(request, id):
    async with request.app.role_client.cli(request).get(f"/roles/{id}") as res:
        return await res.json()


@users.post("/", name="create_user")
@doc.summary("Create a user")
@doc.consumes(User, only=FROM_CLIENT)
@doc.produces({"id": int}, status=201)
@doc.response(404, description="the city or the role does not exist")
async def create_user(request):
    data = request["data"]
    await async_request(
        [
            [{}, "city", get_city(request, data["city_id"])],
            [{}, "role", get_role(request, data["role_id"])],
        ]
    )
    async with request.app.db.transaction(request) as cur:
        return await cur.fetchrow(
            "INSERT INTO users(name, age, city_id, role_id, create_time) "
            "VALUES($1, $2, $3, $4, $5) RETURNING id",
            data["name"],
            data["age"],
            data["city_id"],
            data["role_id"],
            utcnow(),
        )


@users.get("/<id:int>", name="get_user")
@doc.summary("One user, with city and role")
@doc.produces(User)
async def get_user(request, id):
    user = await request.app.db.fetchrow("SELECT * FROM users WHERE id = $1", id)
    if user is None:
        raise NotFound(error=f"no user {id}")
    await async_request(
        [
            [user, "city_id", get_city(request, user["city_id"])],
            [user, "role_id", get_role(request, user["role_id"])],
        ]
    )
    return user


class UserRow:
    """A user as it stands in the list: city and role by their ids."""

    id = doc.Integer()
    name = doc.String("user's name")
    age = doc.Integer("user's age")
    city_id = doc.Integer("city's id")
    role_id = doc.Integer("role's id")
    create_time = doc.DateTime("when the user was created")


@users.get("/", name="list_users")
@doc.summary("The users, a page at a time")
async def list_users(request, page: Page, min_age: int = 0) -> tuple[list[UserRow], Pagination]:
    return await fetch_page(request.app.db, page, "SELECT * FROM users WHERE age >= $1", min_age)


@users.put("/<id:int>", name="update_user")
@doc.summary("Change a user")
@doc.consumes(User, only=FROM_CLIENT)
@doc.produces({"id": int})
async def update_user(request, id):
    data = request["data"]
    async with request.app.db.transaction(request) as cur:
        changed = await cur.execute(
            "UPDATE users SET name = $1, age = $2, city_id = $3, role_id = $4 WHERE id = $5",
            data["name"],
            data["age"],
            data["city_id"],
            data["role_id"],
            id,
        )
        if not changed and await cur.fetchval("SELECT id FROM users WHERE id = $1", id) is None:
            raise NotFound(error=f"no user {id}")
    return {"id": id}


@users.delete("/<id:int>", name="delete_user")
@doc.summary("Delete a user")
@doc.produces(None, status=204, description="the user is gone")
async def delete_user(request, id):
    async with request.app.db.transaction(request) as cur:
        if not await cur.execute("DELETE FROM users WHERE id = $1", id):
            raise NotFound(error=f"no user {id}")
