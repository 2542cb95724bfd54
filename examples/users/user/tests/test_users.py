"""The user service with unittest: the other services are mocked, the database is its own."""

from sanic_ms.exception import ServiceTimeout
from sanic_ms.tests import APITestCase
from server import app

SHANGHAI = {"id": 1, "name": "Shanghai", "province": {"id": 1, "name": "Shanghai"}}
ADMIN = {"id": 1, "name": "admin"}
NEW = {"name": "Di", "age": 41, "city_id": 1, "role_id": 1}


class UserTest(APITestCase):
    _app = app
    _blueprint = "user"

    def setUp(self):
        super().setUp()
        self._mock.get("/cities/1", payload=SHANGHAI, service="region-service")
        self._mock.get("/roles/1", payload=ADMIN, service="role-service")

    def test_a_user_comes_with_city_and_role(self):
        answer = self.client.get_user(id=1)
        self.assertEqual(answer.status, 200)
        user = answer.json["data"]
        self.assertEqual(user["name"], "Ann")
        self.assertEqual(user["city_id"], SHANGHAI)
        self.assertEqual(user["role_id"], ADMIN)
        self._mock.assert_all_used()

    def test_city_and_role_are_kept_for_a_while(self):
        for _ in range(3):
            self.assertEqual(self.client.get_user(id=1).json["data"]["role_id"], ADMIN)
        self.assertEqual(self.app.cache.counts.of("load"), 2)

    def test_a_user_who_is_not_there(self):
        answer = self.client.get_user(id=99)
        self.assertEqual(answer.status, 404)
        self.assertEqual(answer.json["error"], "no user 99")
        self.assertEqual(self._mock.calls, [])

    def test_a_user_is_created_and_read_again(self):
        created = self.client.create_user(data=NEW)
        self.assertEqual(created.status, 201)
        user = self.client.get_user(id=created.json["data"]["id"])
        self.assertEqual(user.json["data"]["age"], 41)

    def test_a_city_that_does_not_exist_is_no_home(self):
        self._mock.get("/cities/1", status=404, payload={"code": 10404, "error": "no city 1"})
        answer = self.client.create_user(data=NEW)
        self.assertEqual((answer.status, answer.json["error"]), (404, "no city 1"))
        self.assertEqual(self.wait(self.app.db.fetchval("SELECT count(*) FROM users")), 3)

    def test_a_body_that_is_not_valid_names_every_field(self):
        answer = self.client.create_user(data={"name": "Di", "age": "old"})
        self.assertEqual(answer.status, 422)
        self.assertEqual(
            [entry["field"] for entry in answer.json["errors"]], ["age", "city_id", "role_id"]
        )

    async def test_the_list_has_pages(self):
        answer = await self.client.list_users(params={"page": 1, "page_size": 2, "min_age": 20})
        self.assertEqual([user["name"] for user in answer.json["data"]], ["Ann", "Bo"])
        self.assertEqual(answer.json["pagination"]["total"], 2)

    def test_a_user_is_changed(self):
        self.assertEqual(self.client.update_user(id=2, data=NEW).status, 200)
        self.assertEqual(self.client.update_user(id=99, data=NEW).status, 404)
        self.assertEqual(self.client.get_user(id=2).json["data"]["name"], "Di")

    def test_a_user_is_deleted(self):
        self.assertEqual(self.client.delete_user(id=1).status, 204)
        self.assertEqual(self.client.delete_user(id=1).status, 404)

    def test_a_region_service_that_is_late(self):
        self._mock.get("/cities/1", exception=ServiceTimeout("late", service="region-service"))
        self.assertEqual(self.client.get_user(id=1).status, 504)
