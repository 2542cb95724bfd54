"""The role service's endpoints, in the style of typed handlers and a repository."""

import msgspec
from sanic import Blueprint

from models import Role
from sanic_ms import doc
from sanic_ms.db import Row
from sanic_ms.repository import Repository

roles = Blueprint("role", url_prefix="/roles")


class NewRole(msgspec.Struct, forbid_unknown_fields=True):
    """A role that is to be."""

    name: str


class RoleId(msgspec.Struct):
    """The id of a role."""

    id: int


class RoleRepository(Repository[Row]):
    """The roles, as the rest of the service sees them."""

    model = Role


@roles.get("/<id:int>", name="get_role")
async def get_role(request, id: int, repository: RoleRepository) -> Role:
    """One role."""
    return await repository.get(id, required=True)


@roles.get("/", name="list_roles")
async def list_roles(request, repository: RoleRepository) -> list[Role]:
    """All roles."""
    rows, _ = await repository.list()
    return rows


@roles.post("/", name="create_role")
@doc.response(409, description="there is one of that name")
async def create_role(request, body: NewRole, repository: RoleRepository) -> RoleId:
    """Create a role."""
    return await repository.create(body)
