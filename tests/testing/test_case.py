"""`APITestCase`, run as unittest runs it."""

from __future__ import annotations

import threading
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sanic_ms import Service
from sanic_ms.exception import ServiceTimeout
from sanic_ms.testing.reconfigure import without_ports
from sanic_ms.tests import APITestCase

Make = Callable[..., Service]
Methods = dict[str, Any]


def run(app: Any, **methods: Any) -> unittest.TestResult:
    """Run test methods in a class of their own."""
    case = type("Case", (APITestCase,), {"_app": app, **methods})
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    result = unittest.TestResult()
    suite.run(result)
    return result


def problems(result: unittest.TestResult) -> str:
    """What failed, as text."""
    return "\n".join(text for _, text in [*result.failures, *result.errors])


def test_plain_and_async_methods(make: Make) -> None:
    """The same client gives answers at once in one, and is awaited in the other."""

    def test_plain(self: APITestCase) -> None:
        self._mock.get("/cities/1", payload={"name": "Rome"})
        assert self.client.get_city(id=1).json["data"] == {"name": "Rome"}
        assert self.client.get("/cities/1").status == 200
        self._mock.assert_all_used()

    async def test_async(self: APITestCase) -> None:
        self._mock.get("/cities/1", payload={"name": "Rome"})
        assert (await self.client.get_city(id=1)).json["data"] == {"name": "Rome"}
        async with self.client.stream("GET", "/cities/1") as response:
            assert response.status == 200

    result = run(make(), test_plain=test_plain, test_async=test_async)
    assert result.testsRun == 2
    assert result.wasSuccessful(), problems(result)


def test_a_call_that_no_mock_answers_fails_the_test(make: Make) -> None:
    """With the call and the mocks, though the handler turned it into an answer."""
    app = make()

    @app.get("/hidden", name="hidden")
    async def hidden(request: Any) -> Any:
        try:
            return await request.app.region.get_json("/cities/2")
        except Exception:
            return "unknown"

    def test(self: APITestCase) -> None:
        self._mock.get("/cities/1")
        self.client.hidden()

    result = run(app, test=test)
    assert len(result.failures) == 1
    text = problems(result)
    assert "no mock answers GET /cities/2 to region-service" in text
    assert "GET /cities/1 (answered 0)" in text


def test_an_unanswered_call_in_the_background_fails_the_test_too(make: Make) -> None:
    """Nobody waits for it, and it is told at the end."""
    app = make()

    @app.after_server_start
    async def begin(app: Any) -> None:
        try:
            await app.region.get("/warm-up")
        except AssertionError:
            pass

    result = run(app, test=lambda self: None)
    assert "no mock answers GET /warm-up" in problems(result)


def test_an_unknown_handler_is_an_error_that_lists_the_known(make: Make) -> None:
    """At the line of the call."""

    def test(self: APITestCase) -> None:
        self.client.get_town(id=1)

    assert "has no handler 'get_town' (it has: get_city" in problems(run(make(), test=test))


def test_set_up_has_to_call_ours(make: Make) -> None:
    """Forgetting it is explained; so is a class without a service."""

    def test(self: APITestCase) -> None:
        self.client.get_city(id=1)

    forgetful = run(make(), test=test, setUp=lambda self: None)
    assert "begin with super().setUp()" in problems(forgetful)
    assert "needs _app" in problems(run(None, test=test))
    assert "has no attribute 'clinet'" in problems(run(make(), test=lambda self: self.clinet))


def test_a_function_makes_a_service_for_each_test(make: Make) -> None:
    """Of the same name, and nothing is left of one in the next."""
    made: list[Service] = []

    def factory() -> Service:
        made.append(make("made_for_a_test"))
        return made[-1]

    def test(self: APITestCase) -> None:
        assert self.app is made[-1]
        assert not hasattr(self.app.ctx, "seen")
        self.app.ctx.seen = True

    for app in (factory, staticmethod(factory)):
        result = run(app, test_one=test, test_two=test)
        assert result.wasSuccessful(), problems(result)
    assert len(set(map(id, made))) == 4


def test_errors_of_other_services(make: Make) -> None:
    """They go the way of production."""

    def test(self: APITestCase) -> None:
        self._mock.get("/cities/1", exception=ServiceTimeout("late"))
        assert self.client.get_city(id=1).status == 504
        self._mock.get("/cities/1", exception=ConnectionResetError)
        assert self.client.get_city(id=1).status == 502

    result = run(make(), test=test)
    assert result.wasSuccessful(), problems(result)


def test_each_test_has_a_fresh_database(make: Make, tmp_path: Path) -> None:
    """The one that the settings name is not even opened."""
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_things.py").write_text(
        "def up(migrator, db):\n    db.execute_sql('CREATE TABLE things(id INTEGER)')\n"
    )
    app = make(db_url=f"sqlite:///{tmp_path}/development.db")

    def test(self: APITestCase) -> None:
        count = "SELECT count(*) FROM things"
        assert self.wait(self.app.db.fetchval(count)) == 0
        self.wait(self.app.db.execute("INSERT INTO things VALUES(1)"))
        assert self.wait(self.app.db.fetchval(count)) == 1

    result = run(app, test_one=test, test_two=test)
    assert result.wasSuccessful(), problems(result)
    assert not (tmp_path / "development.db").exists()


def test_classes_run_in_threads(make: Make) -> None:
    """One service that several classes share, in four threads."""
    app = make()

    def test(self: APITestCase) -> None:
        self._mock.get("/cities/1", payload=threading.get_ident())
        assert self.client.get_city(id=1).json["data"] == threading.get_ident()

    results: list[unittest.TestResult] = []
    threads = [
        threading.Thread(target=lambda: results.append(run(app, test_a=test, test_b=test)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert "".join(map(problems, results)) == ""
    assert [result.wasSuccessful() for result in results] == [True] * 4


def test_settings_are_read_by_the_thread_that_has_the_service(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one may change them meanwhile: it waits."""
    app = make()
    monkeypatch.setattr("sanic_ms.testing.exclusive._LIMIT", 0)
    results: list[unittest.TestResult] = []
    thread = threading.Thread(
        target=lambda: results.append(run(app, test_one=lambda self: None)),
    )
    with without_ports(app):
        thread.start()
        thread.join(60)
    assert "is used by another thread" in problems(results[0])
    assert "without_ports" in problems(results[0])
    result = run(app, test_one=lambda self: None)
    assert result.wasSuccessful(), problems(result)


def test_a_failing_start_is_an_error_of_the_test(make: Make) -> None:
    """And the next test starts anew."""
    app, starts = make(), []

    @app.before_server_start
    async def begin(app: Service) -> None:
        starts.append(1)
        if len(starts) == 1:
            raise OSError("no broker")

    result = run(app, test_one=lambda self: None, test_two=lambda self: None)
    assert len(result.errors) == 1
    assert "no broker" in problems(result)


@pytest.mark.parametrize("blueprint", ["nobody", None])
def test_the_blueprint_narrows_the_search(make: Make, blueprint: str | None) -> None:
    """An unknown one has no handlers."""

    def test(self: APITestCase) -> None:
        self._mock.get("/cities/1", payload=1)
        assert self.client.get_city(id=1).status == 200

    result = run(make(), test=test, _blueprint=blueprint)
    assert result.wasSuccessful() is (blueprint is None)
    if blueprint:
        assert "blueprint 'nobody'" in problems(result)
