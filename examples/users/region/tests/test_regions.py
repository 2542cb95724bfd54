"""The region service with pytest: in memory, and once on a real port."""

import json
from urllib.request import urlopen


async def test_a_city_comes_with_its_province(client):
    answer = await client.get_city(id=2)
    assert answer.json["data"] == {
        "id": 2,
        "name": "Guangzhou",
        "province": {"id": 2, "name": "Guangdong"},
    }


async def test_a_city_that_is_not_there(client):
    answer = await client.get_city(id=99)
    assert (answer.status, answer.json["error"]) == (404, "no city 99")


async def test_the_cities_have_pages(client):
    answer = await client.list_cities(params={"page": 2, "page_size": 2})
    assert [city["name"] for city in answer.json["data"]] == ["Shenzhen"]
    assert answer.json["pagination"] == {"page": 2, "page_size": 2, "total": 3, "pages": 2}


async def test_a_city_lies_in_a_province_that_exists(client, db):
    answer = await client.create_city(data={"name": "Nowhere", "province_id": 99})
    assert answer.status == 409
    assert await db.fetchval("SELECT count(*) FROM cities") == 3


async def test_a_province_and_a_city_are_created(client):
    province = await client.create_province(data={"name": "Tibet"})
    data = {"name": "Lhasa", "province_id": province.json["data"]["id"]}
    city = await client.create_city(data=data)
    assert city.status == 201
    answer = await client.get_city(id=city.json["data"]["id"])
    assert answer.json["data"]["province"]["name"] == "Tibet"


def test_it_serves_on_a_port(live_server):
    with urlopen(f"{live_server.url}/cities/1", timeout=10) as answer:
        assert json.load(answer)["data"]["name"] == "Shanghai"
