"""`doc.raises` in the document: responses with status, code and message of each error."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import msgspec
from openapi_spec_validator import validate
from sanic import Blueprint
from sanic.views import HTTPMethodView

from sanic_ms import Service, doc
from sanic_ms.exception import (
    Conflict,
    Forbidden,
    HTTPError,
    NotFound,
    UniqueViolation,
    ValidationError,
)
from sanic_ms.http import Envelope, ProblemEnvelope
from sanic_ms.values.route import DocumentedRoute, RouteSpec

Route = Callable[..., DocumentedRoute]
Build = Callable[..., dict[str, Any]]


class OutOfStock(Conflict):
    """The shelf is empty.

    More about it.
    """

    code = 20001
    message = "Out Of Stock"


class Closed(Conflict):
    code = 20002


class NeedsArguments(Conflict):
    """Wants arguments."""

    code = 20003

    def __init__(self, sku: str) -> None:
        super().__init__(sku)


class BadName(ValidationError):
    code = 20004


class NotPaid(HTTPError):
    status = 422


ERROR = {"$ref": "#/components/schemas/Error"}
VALIDATION = {"$ref": "#/components/schemas/ValidationErrors"}


def responses(document: dict[str, Any], path: str = "/x", method: str = "get") -> Any:
    return document["paths"][path][method]["responses"]


def content(response: Any, media_type: str = "application/json") -> Any:
    return response["content"][media_type]


def test_an_error_has_its_response(route: Route, build_valid: Build) -> None:
    """Under its status: what it means, the envelope's error, and the body that is sent."""
    document = build_valid(route("GET /x", spec=RouteSpec(raises=[OutOfStock])))
    assert responses(document)["409"] == {
        "description": "Out Of Stock (20001): The shelf is empty.",
        "content": {
            "application/json": {
                "schema": ERROR,
                "examples": {
                    "OutOfStock": {
                        "summary": "Out Of Stock",
                        "value": {"code": 20001, "message": "Out Of Stock"},
                    }
                },
            }
        },
    }


def test_errors_of_one_status_share_a_response(route: Route, build_valid: Build) -> None:
    """Each is a line of its description and an example, also one whose constructor wants
    arguments."""
    errors = [OutOfStock, Closed, NeedsArguments, UniqueViolation]
    response = responses(build_valid(route("GET /x", spec=RouteSpec(raises=errors))))["409"]
    assert response["description"] == (
        "- Out Of Stock (20001): The shelf is empty.\n"
        "- Conflict (20002)\n"
        "- Conflict (20003): Wants arguments.\n"
        "- Conflict (10409): another row has the same unique value."
    )
    examples = content(response)["examples"]
    assert [example["value"]["code"] for example in examples.values()] == [
        20001,
        20002,
        20003,
        10409,
    ]
    assert examples["UniqueViolation"]["value"]["error"] == UniqueViolation.public
    assert content(response)["schema"] == ERROR


def test_classes_of_one_name_are_both_shown(route: Route, build_valid: Build) -> None:
    """Two packages may each have a `Taken`."""
    two = [type("Taken", (Conflict,), {"code": code}) for code in (1, 2)]
    response = responses(build_valid(route("GET /x", spec=RouteSpec(raises=two))))["409"]
    assert list(content(response)["examples"]) == ["Taken", "Taken_2"]


def test_what_the_framework_answers_itself_stays(route: Route, build_valid: Build) -> None:
    """A status that the framework answers on the route too keeps its meaning; `doc.response` gives
    its own. An error that stands for the status says it already."""
    path = {"path_types": {"id": (int, ...)}}
    missing = type("NoUser", (NotFound,), {"code": 20404})
    document = build_valid(route("GET /x/{id}", spec=RouteSpec(raises=[missing]), **path))
    assert responses(document, "/x/{id}")["404"]["description"] == (
        "there is no such resource\n\n- Not Found (20404)"
    )
    document = build_valid(route("GET /x/{id}", spec=RouteSpec(raises=[NotFound]), **path))
    assert responses(document, "/x/{id}")["404"]["description"] == (
        "Not Found (10404): there is no such resource."
    )

    @doc.raises(OutOfStock)
    @doc.response(409, description="it is taken")
    async def handler(request: Any) -> None: ...

    spec = handler.__route_spec__  # type: ignore[attr-defined]
    document = build_valid(route("GET /x", spec=spec))
    assert responses(document)["409"]["description"] == (
        "it is taken\n\n- Out Of Stock (20001): The shelf is empty."
    )


def test_the_schema_is_any_of_what_may_come(route: Route, build_valid: Build) -> None:
    """A 422 with fields, one without, and a body that the handler itself makes."""
    document = build_valid(route("GET /x", spec=RouteSpec(raises=[BadName])))
    response = content(responses(document)["422"])
    assert response["schema"] == VALIDATION
    assert response["examples"]["BadName"]["value"]["errors"]
    document = build_valid(route("POST /x", body={"a": int}, spec=RouteSpec(raises=[NotPaid])))
    response = content(responses(document, method="post")["422"])
    assert response["schema"] == {"anyOf": [VALIDATION, ERROR]}

    @doc.raises(OutOfStock)
    @doc.response(409, {"why": str})
    async def handler(request: Any) -> None: ...

    spec = handler.__route_spec__  # type: ignore[attr-defined]
    schema = content(responses(build_valid(route("GET /x", spec=spec)))["409"])["schema"]
    assert schema["anyOf"][1] == ERROR
    assert schema["anyOf"][0]["required"] == ["why"]


def test_the_examples_are_in_the_services_envelope(route: Route, build_valid: Build) -> None:
    """RFC 9457, and one of the team's own; one that does not write JSON has no examples."""

    class Ours(Envelope):
        def error(self, exc: HTTPError, trace_id: str | None = None) -> bytes:
            return msgspec.json.encode({"no": exc.code})

    class Broken(Envelope):
        def error(self, exc: HTTPError, trace_id: str | None = None) -> bytes:
            return b"<error/>"

    def build(envelope: Envelope) -> Any:
        spec = RouteSpec(raises=[OutOfStock])
        return responses(build_valid(route("GET /x", spec=spec), envelope=envelope))["409"]

    problem = content(build(ProblemEnvelope()), "application/problem+json")
    assert problem["examples"]["OutOfStock"]["value"] == {
        "title": "Out Of Stock",
        "status": 409,
        "code": 20001,
    }
    assert content(build(Ours()))["examples"]["OutOfStock"]["value"] == {"no": 20001}
    assert "examples" not in content(build(Broken()))


def test_views_and_blueprints_too() -> None:
    """Each method of a class view, and the routes of a blueprint, before and after they are
    registered."""
    app = Service(f"raised-{uuid.uuid4().hex}")

    class View(HTTPMethodView):
        @doc.raises(OutOfStock)
        async def get(self, request: Any) -> Any: ...

        @doc.raises(Forbidden)
        async def post(self, request: Any) -> Any: ...

    shop = Blueprint("shop", url_prefix="/shop")

    @shop.get("/")
    @doc.raises(OutOfStock)
    async def handler(request: Any) -> Any: ...

    registered: Any = handler
    doc.raises(Closed)(registered)

    app.add_route(View.as_view(), "/view")
    app.blueprint(shop)
    document = app.openapi()
    validate(document)
    assert "Out Of Stock" in responses(document, "/view")["409"]["description"]
    assert "403" not in responses(document, "/view")
    assert "403" in responses(document, "/view", "post")
    assert "409" not in responses(document, "/view", "post")
    examples = content(responses(document, "/shop")["409"])["examples"]
    assert list(examples) == ["Closed", "OutOfStock"]
