"""The example as a user runs it: three services, three kinds of database, one command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Answer, Example


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mysql"])
def example(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, e2e: Any
) -> Iterator[Example]:
    """The running example, on each kind of database."""
    variables = {}
    if request.param != "sqlite":
        name = "postgres_url" if request.param == "postgresql" else "mysql_url"
        variables["DB_URL"] = request.getfixturevalue(name)
    with e2e.running_example(tmp_path_factory.mktemp("users") / "users", **variables) as running:
        yield running


# What says nothing of the database is asked once.
on_one_database = pytest.mark.parametrize("example", ["sqlite"], indirect=True)


def checked(
    e2e: Any,
    example: Example,
    method: str,
    service: str,
    path: str,
    template: str,
    body: Any = None,
) -> Answer:
    """Call, and hold the answer against the document."""
    answer: Answer = example.call(method, service, path, body)
    e2e.check_against(example.document(service), method, template, answer)
    return answer


def test_a_user_comes_with_city_and_role_of_the_other_services(e2e: Any, example: Example) -> None:
    """`GET /users/1`: two calls to two services, each with its own data."""
    answer = checked(e2e, example, "GET", "user", "/users/1", "/users/{id}")
    data = answer.json["data"]
    assert answer.json["code"] == 0
    assert data["name"] == "Ann"
    assert data["city_id"] == {
        "id": 1,
        "name": "Shanghai",
        "province": {"id": 1, "name": "Shanghai"},
    }
    assert data["role_id"] == {"id": 1, "name": "admin"}


def test_every_endpoint_answers_as_documented(e2e: Any, example: Example) -> None:
    """Good and bad requests to all of them, each answer held against the service's document."""
    name = "x" * 20
    steps: list[tuple[str, str, str, str, Any, int]] = [
        ("GET", "user", "/users/", "/users", None, 200),
        ("GET", "user", "/users/?page=1&page_size=2&min_age=20", "/users", None, 200),
        ("GET", "user", "/users/?page=0&min_age=x", "/users", None, 422),
        ("GET", "user", "/users/9999", "/users/{id}", None, 404),
        ("POST", "user", "/users/", "/users", {"name": "x"}, 422),
        ("POST", "user", "/users/", "/users",
         {"name": name, "age": 3, "city_id": 9999, "role_id": 1}, 404),
        ("PUT", "user", "/users/2", "/users/{id}",
         {"name": name, "age": 4, "city_id": 1, "role_id": 1}, 200),
        ("PUT", "user", "/users/9999", "/users/{id}",
         {"name": name, "age": 4, "city_id": 1, "role_id": 1}, 404),
        ("DELETE", "user", "/users/9999", "/users/{id}", None, 404),
        ("GET", "region", "/cities/1", "/cities/{id}", None, 200),
        ("GET", "region", "/cities/9999", "/cities/{id}", None, 404),
        ("GET", "region", "/cities/", "/cities", None, 200),
        ("GET", "region", "/provinces/", "/provinces", None, 200),
        ("POST", "region", "/cities/", "/cities", {"name": "Nowhere", "province_id": 9999}, 409),
        ("POST", "region", "/cities/", "/cities", {"name": 3}, 422),
        ("POST", "region", "/provinces/", "/provinces", {"name": "Shanghai"}, 409),
        ("GET", "role", "/roles/1", "/roles/{id}", None, 200),
        ("GET", "role", "/roles/9999", "/roles/{id}", None, 404),
        ("GET", "role", "/roles/", "/roles", None, 200),
        ("POST", "role", "/roles/", "/roles", {"name": "admin"}, 409),
        ("POST", "role", "/roles/", "/roles", {"name": "x", "unknown": 1}, 422),
    ]  # fmt: skip
    for method, service, path, template, body, status in steps:
        answer = checked(e2e, example, method, service, path, template, body)
        assert answer.status == status, f"{method} {path}: {answer.body!r}"


def test_what_is_created_can_be_read_changed_and_deleted(e2e: Any, example: Example) -> None:
    """The whole life of a user, over three services."""
    province = checked(
        e2e, example, "POST", "region", "/provinces/", "/provinces", {"name": "Tibet"}
    )
    province_id = province.json["data"]["id"]
    city = {"name": "Lhasa", "province_id": province_id}
    city_id = checked(e2e, example, "POST", "region", "/cities/", "/cities", city).json["data"][
        "id"
    ]
    role = checked(e2e, example, "POST", "role", "/roles/", "/roles", {"name": "guide"})
    role_id = role.json["data"]["id"]
    body = {"name": "Tashi", "age": 30, "city_id": city_id, "role_id": role_id}
    created = checked(e2e, example, "POST", "user", "/users/", "/users", body)
    assert created.status == 201
    path = f"/users/{created.json['data']['id']}"
    data = checked(e2e, example, "GET", "user", path, "/users/{id}").json["data"]
    assert data["city_id"]["province"]["name"] == "Tibet"
    assert data["role_id"]["name"] == "guide"
    body["age"] = 31
    assert checked(e2e, example, "PUT", "user", path, "/users/{id}", body).status == 200
    assert example.call("GET", "user", path).json["data"]["age"] == 31
    gone = checked(e2e, example, "DELETE", "user", path, "/users/{id}")
    assert (gone.status, gone.body) == (204, b"")
    assert example.call("GET", "user", path).status == 404


BAD_BODIES = {
    "one megabyte, not valid": (b'{"name":"' + b"x" * 1_000_000 + b'"}', 422),
    "broken UTF-8": (b'{"name":"\xff"}', 400),
    "NaN": (b'{"name":NaN}', 400),
    "10,000 deep": (b"[" * 10_000, 400),
    "a key twice": (b'{"name":"a","name":"b"}', 400),
    "empty": (b"", 400),
}


@on_one_database
@pytest.mark.parametrize("case", BAD_BODIES)
def test_a_bad_body_gets_a_clear_answer_from_the_running_service(
    e2e: Any, example: Example, case: str
) -> None:
    """Each is answered in the envelope, and the service goes on."""
    body, status = BAD_BODIES[case]
    answer = e2e.call("POST", example.url("user", "/users/"), raw=body)
    assert (answer.status, answer.json["code"]) == (status, 10000 + status)
    assert example.call("GET", "user", "/users/1").status == 200


@on_one_database
def test_a_body_over_the_limit_is_refused_before_it_is_sent(e2e: Any, example: Example) -> None:
    """One byte over 10 MB: a clear answer, and the service goes on."""
    answer = e2e.announce(example.url("user", "/users/"), 10_000_001)
    assert (answer.status, answer.json["code"]) == (413, 10413)
    assert example.call("GET", "user", "/users/1").status == 200


@on_one_database
def test_errors_that_no_handler_raises_are_enveloped(example: Example) -> None:
    """An unknown path and a wrong method."""
    assert example.call("GET", "user", "/nothing").json["code"] == 10404
    assert example.call("PATCH", "user", "/users/1").json["code"] == 10405


@on_one_database
def test_the_docs_page_needs_no_internet(example: Example) -> None:
    """Everything that it loads comes from the service itself."""
    page = example.call("GET", "user", "/docs")
    assert page.status == 200
    assert b"http://" not in page.body
    assert b"https://" not in page.body


@contextmanager
def alone(e2e: Any, folder: Path, command: list[str], url: str) -> Iterator[None]:
    """One service, started by a command in its folder."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=e2e.environment(),
    )
    try:
        e2e.wait_until_up(process, [url])
        yield
    finally:
        e2e.stop(process)


@pytest.mark.parametrize("command", [["-m", "sanic_ms", "run"], ["server.py"]], ids=["run", "file"])
def test_each_service_also_runs_alone(e2e: Any, tmp_path: Path, command: list[str]) -> None:
    """With the command, and as a plain Python file."""
    ports = e2e.copy_example(tmp_path / "users")
    folder = tmp_path / "users" / "role"
    subprocess.run(
        [sys.executable, "-m", "sanic_ms", "db", "up"],
        cwd=folder,
        check=True,
        capture_output=True,
        env=e2e.environment(),
        timeout=60,
    )
    url = f"http://127.0.0.1:{ports['role']}/roles/1"
    with alone(e2e, folder, [sys.executable, *command], url):
        assert e2e.call("GET", url).json == {"code": 0, "data": {"id": 1, "name": "admin"}}
