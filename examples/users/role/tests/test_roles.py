"""The role service with pytest: the fixtures come with sanic-ms."""


async def test_the_roles_that_the_example_starts_with(client):
    answer = await client.list_roles()
    assert [role["name"] for role in answer.json["data"]] == ["admin", "editor", "reader"]


async def test_a_role(client):
    answer = await client.get_role(id=1)
    assert answer.json == {"code": 0, "data": {"id": 1, "name": "admin"}}


async def test_a_role_that_is_not_there(client):
    answer = await client.get_role(id=99)
    assert (answer.status, answer.json["error"]) == (404, "no role 99")


async def test_a_role_is_created(client, db):
    answer = await client.create_role(data={"name": "guest"})
    id = answer.json["data"]["id"]
    assert await db.fetchval("SELECT name FROM roles WHERE id = $1", id) == "guest"


async def test_a_name_is_given_once(client, db):
    answer = await client.create_role(data={"name": "admin"})
    assert answer.status == 409
    assert await db.fetchval("SELECT count(*) FROM roles") == 3
