"""The role service's endpoints, in the style of typed handlers and a repository."""

import msgspec
from sanic import Blueprint

from models import Role
from sanic_ms import doc
from sanic_ms.db import ConnectionPool
from sanic_ms.exception import NotFound

roles = Blueprint("role", url_prefix="/roles")


class NewRole(msgspec.Struct, forbid_unknown_fields=True):
    """A role that is to be."""

    name: str


class RoleId(msgspec.Struct):
    """The id of a role."""

    id: int


class RoleRepository:
    """The roles, as the rest of the service sees them."""

    def __init__(self, db: ConnectionPool) -> None:
        self.db = db

    async def get(self, id: int) -> dict | None:
        return await self.db.fetchrow("SELECT id, name FROM roles WHERE id = $1", id)

    async def list(self) -> list[dict]:
        return await self.db.fetch(Role.select().order_by(Role.id))

    async def add(self, role: NewRole) -> dict:
        async with self.db.transaction() as cur:
            return await cur.fetchrow("INSERT INTO roles(name) VALUES($1) RETURNING id", role.name)


@roles.get("/<id:int>", name="get_role")
async def get_role(request, id: int, repository: RoleRepository) -> Role:
    """One role."""
    role = await repository.get(id)
    if role is None:
        raise NotFound(error=f"no role {id}")
    return role


@roles.get("/", name="list_roles")
async def list_roles(request, repository: RoleRepository) -> list[Role]:
    """All roles."""
    return await repository.list()


@roles.post("/", name="create_role")
@doc.response(409, description="there is one of that name")
async def create_role(request, body: NewRole, repository: RoleRepository) -> RoleId:
    """Create a role."""
    return await repository.add(body)
