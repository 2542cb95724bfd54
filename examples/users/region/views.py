"""The region service's endpoints."""

from sanic import Blueprint

from models import City, Province
from sanic_ms import Page, Pagination, doc
from sanic_ms.exception import NotFound
from sanic_ms.repository import fetch_page

provinces = Blueprint("province", url_prefix="/provinces")
cities = Blueprint("city", url_prefix="/cities")


class CityAnswer:
    """A city with its province."""

    id = doc.Integer("city's id")
    name = doc.String("city's name")
    province = doc.Object({"id": int, "name": str}, "the province that it lies in")


def with_province(row):
    return {
        "id": row["id"],
        "name": row["name"],
        "province": {"id": row["province_id"], "name": row["province_name"]},
    }


CITY_SQL = (
    "SELECT c.id, c.name, c.province_id, p.name AS province_name "
    "FROM cities c JOIN provinces p ON p.id = c.province_id"
)


@cities.get("/<id:int>", name="get_city")
@doc.summary("One city, with its province")
@doc.produces(CityAnswer)
async def get_city(request, id):
    row = await request.app.db.fetchrow(f"{CITY_SQL} WHERE c.id = $1", id)
    if row is None:
        raise NotFound(error=f"no city {id}")
    return with_province(row)


@cities.get("/", name="list_cities")
@doc.summary("The cities, a page at a time")
async def list_cities(request, page: Page) -> tuple[list[CityAnswer], Pagination]:
    rows, pagination = await fetch_page(request.app.db, page, CITY_SQL)
    return [with_province(row) for row in rows], pagination


@cities.post("/", name="create_city")
@doc.summary("Create a city")
@doc.consumes(City, only=["name", "province"])
@doc.produces({"id": int}, status=201)
@doc.response(409, description="the province does not exist")
async def create_city(request):
    data = request["data"]
    async with request.app.db.transaction(request) as cur:
        return await cur.fetchrow(
            "INSERT INTO cities(name, province_id) VALUES($1, $2) RETURNING id",
            data["name"],
            data["province_id"],
        )


@provinces.get("/", name="list_provinces")
@doc.summary("All provinces")
@doc.produces([Province])
async def list_provinces(request):
    return await request.app.db.fetch(Province.select().order_by(Province.name))


@provinces.post("/", name="create_province")
@doc.summary("Create a province")
@doc.consumes(Province, only=["name"])
@doc.produces({"id": int}, status=201)
@doc.response(409, description="there is one of that name")
async def create_province(request):
    async with request.app.db.transaction(request) as cur:
        return await cur.fetchrow(
            "INSERT INTO provinces(name) VALUES($1) RETURNING id", request["data"]["name"]
        )
