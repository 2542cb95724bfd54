"""The OpenAPI document: what it shows of a route, and that it is valid and always the same."""

from __future__ import annotations

import dataclasses
import enum
import itertools
import math
import re
import sys
import types
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, TypedDict

import msgspec
import peewee as pw
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

import sanic_ms.doc as doc
from sanic_ms.http.envelope import Envelope, PlainEnvelope, ProblemEnvelope
from sanic_ms.openapi import build
from sanic_ms.shapes import select
from sanic_ms.values.page import Page
from sanic_ms.values.route import DocumentedRoute, ResponseSpec, RouteSpec

Route = Callable[..., DocumentedRoute]
Build = Callable[..., dict[str, Any]]


class CityApi:
    """A city."""

    id = doc.Integer("city id")
    name = doc.String("city name", max_length=64)


class User(pw.Model):
    name = pw.CharField(max_length=128, verbose_name="user's name")
    age = pw.IntegerField(default=18)
    city_id = pw.IntegerField(verbose_name="city", help_text=CityApi)  # type: ignore[call-overload]


class Colour(enum.Enum):
    RED = "red"


class Cat(msgspec.Struct, tag=True):
    name: str


class Dog(msgspec.Struct, tag=True):
    colour: Colour = Colour.RED
    owner: User | None = None


@dataclasses.dataclass
class Data:
    at: int = 3


class Typed(TypedDict):
    data: Data


class Named(NamedTuple):
    a: int


class Part(pydantic.BaseModel):
    size: int = 1


class Model(pydantic.BaseModel):
    part: Part
    parts: list[Part] = []
    again: Model | None = None

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return self.part.size * 2


class Tree:
    value = int
    children: list[Tree]


def operation(document: dict[str, Any], path: str, method: str = "get") -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path][method]
    return found


def data_of(document: dict[str, Any], path: str, method: str = "get", status: int = 200) -> Any:
    answer = operation(document, path, method)["responses"][str(status)]
    return answer["content"]["application/json"]["schema"]["properties"]["data"]


SHAPES: list[Any] = [
    User,
    [User],
    list[User],
    User | None,
    User | CityApi,
    CityApi,
    Cat | Dog,
    Dog,
    Data,
    Typed,
    Named,
    Model,
    list[Model],
    Part,
    Tree,
    Colour,
    {"a": {"b": [User]}},
    {"$ref": int, "properties": {"$defs": str}},
    {str: User},
    {},
    [],
    Annotated[int, msgspec.Meta(ge=1, description="a number")],
    Any,
    doc.List(CityApi, "cities"),
    doc.Object({"x": doc.Date()}, example={"x": "2024-01-01"}),
    bytes,
    None,
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_kind_of_shape_gives_a_valid_document(
    shape: Any, route: Route, build_valid: Build
) -> None:
    """As a body and as an answer; nothing in it refers to what is not there."""
    document = build_valid(route("POST /x", body=shape, produces=shape))
    assert "$defs" not in _keywords(document)


def _keywords(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_keywords, node))
    if not isinstance(node, dict):
        return set()
    named = {"properties", "schemas", "responses"}
    inner = [
        _keywords(list(value.values()) if key in named and isinstance(value, dict) else value)
        for key, value in node.items()
    ]
    return set(node).union(*inner)


def test_all_shapes_together_are_valid_and_in_a_fixed_order(
    route: Route, build_valid: Build
) -> None:
    """Whatever order the routes come in, the document is the same byte for byte."""
    routes = [
        route(f"POST /{index}", body=shape, produces=shape) for index, shape in enumerate(SHAPES)
    ]
    encode = msgspec.json.encode
    document = build_valid(*routes)
    assert encode(document) == encode(build_valid(*reversed(routes)))
    assert list(document["paths"]) == sorted(document["paths"])
    assert list(document["components"]["schemas"]) == sorted(document["components"]["schemas"])


def test_a_model_reads_and_answers_differently(route: Route, build_valid: Build) -> None:
    """User in answers, UserInput in requests, with the keys in the order of the columns."""
    body = select(User, include=["age"])
    document = build_valid(route("POST /users", body=body, produces=User))
    schemas = document["components"]["schemas"]
    assert list(schemas["User"]["properties"]) == ["id", "name", "age", "city_id"]
    assert schemas["User"]["required"] == ["id", "name", "age", "city_id"]
    assert schemas["User"]["properties"]["city_id"]["$ref"] == "#/components/schemas/CityApi"
    assert list(schemas["UserInput"]["properties"]) == ["name", "age", "city_id"]
    assert schemas["UserInput"]["required"] == ["name", "city_id"]
    assert schemas["UserInput"]["properties"]["age"]["default"] == 18
    assert schemas["UserInput"]["properties"]["name"]["maxLength"] == 128
    content = operation(document, "/users", "post")["requestBody"]
    assert content == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/UserInput"}}},
    }
    assert data_of(document, "/users", "post") == {"$ref": "#/components/schemas/User"}


def test_each_choice_among_the_columns_of_a_model_is_a_component(
    route: Route, build_valid: Build
) -> None:
    """Two that take the same are one; what takes less has another name."""
    document = build_valid(
        route("POST /users", body=User),
        route("PUT /users", body=select(User, exclude=["city_id"])),
        route("POST /others", body=select(User, only=["name", "city_id"])),
        route("PATCH /users", body=select(User, partial=True)),
    )
    schemas = document["components"]["schemas"]
    keys = {
        name: (list(schema["properties"]), schema.get("required", []))
        for name, schema in schemas.items()
        if name.startswith("User")
    }
    assert keys == {
        "UserInput": (["name", "city_id"], ["name", "city_id"]),
        "UserInput_2": (["name"], ["name"]),
        "UserPatch": (["name", "city_id"], []),
    }


def test_dict_shapes_are_written_out_in_place(route: Route, build_valid: Build) -> None:
    """What has no name in the program has none in the document."""
    document = build_valid(route("GET /x", produces={"id": int, "city": CityApi}))
    assert data_of(document, "/x") == {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "city": {"$ref": "#/components/schemas/CityApi"},
        },
        "required": ["id", "city"],
    }


def test_pydantic_models_are_components_of_their_own(route: Route, build_valid: Build) -> None:
    """Their ``$defs`` are shared; where request and answer differ, the request has Input in its
    name, and so has everything that differs with it."""
    document = build_valid(
        route("POST /a", body=Model, produces=Model), route("POST /b", body=Part, produces=Part)
    )
    schemas = document["components"]["schemas"]
    assert {"Model", "ModelInput", "Part"} <= set(schemas)
    assert "double" in schemas["Model"]["properties"]
    assert "double" not in schemas["ModelInput"]["properties"]
    assert "PartInput" not in schemas


def test_two_classes_of_one_name_are_two_components(route: Route, build_valid: Build) -> None:
    """The first in the document's order keeps the name; the same class is always one."""

    def make(key: str) -> Any:
        return msgspec.defstruct("Thing", [(key, int)])

    first, second = make("a"), make("b")
    document = build_valid(
        route("GET /1", produces=first),
        route("GET /2", produces=second),
        route("GET /3", produces=[first]),
    )
    schemas = document["components"]["schemas"]
    assert list(schemas["Thing"]["properties"]) == ["a"]
    assert list(schemas["Thing_2"]["properties"]) == ["b"]
    assert data_of(document, "/3")["items"] == {"$ref": "#/components/schemas/Thing"}


def test_classes_that_differ_only_below_are_two_components(
    route: Route, build_valid: Build
) -> None:
    """Two classes of one name say the same in their own keys; what they refer to does not. Each
    component refers to its own, at every depth."""

    def make(key: str) -> Any:
        leaf = msgspec.defstruct("Leaf", [(key, int)])
        branch = msgspec.defstruct("Branch", [("leaf", leaf)])
        return msgspec.defstruct("Tree", [("branches", list[branch])])  # type: ignore[valid-type]

    first, second, again = make("a"), make("b"), make("a")
    document = build_valid(
        route("GET /1", produces=first),
        route("GET /2", produces=second),
        route("GET /3", produces=again),
    )
    schemas = document["components"]["schemas"]

    def key_of(path: str) -> Any:
        """The key of the leaf, by the references from the answer on."""
        tree = schemas[data_of(document, path)["$ref"].rpartition("/")[2]]
        branch = schemas[tree["properties"]["branches"]["items"]["$ref"].rpartition("/")[2]]
        leaf = schemas[branch["properties"]["leaf"]["$ref"].rpartition("/")[2]]
        return list(leaf["properties"])

    assert [key_of(path) for path in ("/1", "/2", "/3")] == [["a"], ["b"], ["a"]]
    assert {name for name in schemas if name[0] in "LBT"} == {
        "Leaf", "Leaf_2", "Branch", "Branch_2", "Tree", "Tree_2",
    }  # fmt: skip
    assert data_of(document, "/3") == data_of(document, "/1")


def test_classes_that_lead_back_to_themselves_may_have_one_name(
    route: Route, build_valid: Build
) -> None:
    """The comparison of what two of them refer to has an end, and tells them apart."""
    namespaces: list[dict[str, Any]] = []
    for key in ("a", "b"):
        node = msgspec.defstruct(
            "Node",
            [("next", "Node | None"), ("leaf", msgspec.defstruct("Leaf", [(key, int)]))],
            module=f"nodes_{key}",
        )
        module = types.ModuleType(f"nodes_{key}")
        module.Node = node  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
        namespaces.append({"node": node})
    try:
        document = build_valid(
            *(route(f"GET /{n}", produces=space["node"]) for n, space in enumerate(namespaces))
        )
    finally:
        for key in ("a", "b"):
            del sys.modules[f"nodes_{key}"]
    schemas = document["components"]["schemas"]
    for name, leaf in (("Node", "Leaf"), ("Node_2", "Leaf_2")):
        assert schemas[name]["properties"]["leaf"]["$ref"].rpartition("/")[2] == leaf
        assert f"'#/components/schemas/{name}'" in repr(schemas[name]["properties"]["next"])
    assert list(schemas["Leaf"]["properties"]) == ["a"]
    assert list(schemas["Leaf_2"]["properties"]) == ["b"]


def test_a_users_class_may_be_called_error(route: Route, build_valid: Build) -> None:
    """The envelope's own components give way."""
    error = msgspec.defstruct("Error", [("mine", int)])
    document = build_valid(route("GET /{id}", produces=error))
    assert data_of(document, "/{id}") == {"$ref": "#/components/schemas/Error"}
    assert list(document["components"]["schemas"]["Error"]["properties"]) == ["mine"]
    assert "Error_2" in document["components"]["schemas"]


def test_parameters_of_all_parts(route: Route, build_valid: Build) -> None:
    """From the path, from annotations and from decorators, with what is known of each."""
    spec = RouteSpec(
        query={"sort": doc.String("order", choices=["up", "down"], default="up")},
        headers={"x_tenant": str},
        path={"id": doc.Integer("which", minimum=1), "other": int},
    )
    document = build_valid(
        route(
            "GET /users/{id}/{rest}",
            spec=spec,
            path_types={"id": (int, ...)},
            query_types={"min_age": (int, 0), "tag": (list[str], ...), "page": (Page, ...)},
            header_types={"x-request-id": (str | None, None)},
        )
    )
    parameters = operation(document, "/users/{id}/{rest}")["parameters"]
    found = {(one["in"], one["name"]): one for one in parameters}
    assert list(found) == [
        ("path", "id"),
        ("path", "rest"),
        ("query", "min_age"),
        ("query", "tag"),
        ("query", "page"),
        ("query", "page_size"),
        ("header", "x-request-id"),
        ("query", "sort"),
        ("header", "x-tenant"),
    ]
    assert found["path", "id"] == {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "which",
        "schema": {"type": "integer", "minimum": 1},
    }
    assert found["query", "min_age"]["schema"] == {
        "type": "integer",
        "format": "int64",
        "default": 0,
    }
    assert not found["query", "min_age"]["required"]
    assert found["query", "tag"]["required"]
    assert found["query", "page_size"]["schema"]["maximum"] == 100
    assert not found["query", "page"]["required"]
    assert found["query", "sort"]["schema"]["default"] == "up"
    assert found["header", "x-tenant"]["required"]
    assert "schemas" in document["components"]


def test_a_parameter_is_never_null(route: Route, build_valid: Build) -> None:
    """It is text or not there, whatever stands for its absence in Python."""
    types = {"a": (int | None, None), "b": (int | str | None, None), "c": (Any, None)}
    document = build_valid(route("GET /x", query_types=types))
    schemas = {entry["name"]: entry["schema"] for entry in operation(document, "/x")["parameters"]}
    assert schemas["a"] == {"type": "integer", "format": "int64"}
    assert {entry["type"] for entry in schemas["b"]["anyOf"]} == {"integer", "string"}
    assert schemas["c"] == {}


def test_what_is_read_as_a_number_too_says_so(route: Route, build_valid: Build) -> None:
    """A decimal may be sent as a number, and is answered as text."""

    class Price(msgspec.Struct):
        amount: Decimal
        wait: timedelta

    document = build_valid(route("POST /x", body=Price, produces=Price))
    schemas = document["components"]["schemas"]
    answered, read = schemas["Price"]["properties"], schemas["PriceInput"]["properties"]
    assert answered["amount"] == {"type": "string", "format": "decimal"}
    assert answered["wait"] == {"type": "string", "format": "duration"}
    assert read["amount"]["type"] == read["wait"]["type"] == ["string", "number"]
    for text, is_decimal in (("1.5", True), ("-.5e3", True), ("x", False), ("", False)):
        assert bool(re.search(read["amount"]["pattern"], text)) is is_decimal


def test_parameters_are_an_object(route: Route) -> None:
    """A list cannot be the parameters; the text names the route."""
    spec = RouteSpec(query=[int])
    with pytest.raises(TypeError, match=r"GET /x \(get_x\): parameters are declared with"):
        build([route("GET /x", spec=spec)], envelope=Envelope(), title="t", version="1")


def test_a_page_has_its_pagination(route: Route, build_valid: Build) -> None:
    """Beside the rows; the shape of one row is taken for a list of them."""
    rows = build_valid(route("GET /x", produces=[User], paginated=True))
    row = build_valid(route("GET /x", produces=User, paginated=True))
    assert rows == row
    answer = operation(rows, "/x")["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(answer["required"]) == {"code", "data", "pagination"}
    assert answer["properties"]["data"]["type"] == "array"


@pytest.mark.parametrize(
    ("where", "options", "expected"),
    [
        ("GET /x", {}, {"200", "500"}),
        ("GET /x/{id}", {}, {"200", "400", "404", "500"}),
        ("GET /x/{id}", {"validates_path": True}, {"200", "400", "404", "422", "500"}),
        ("GET /x", {"query_types": {"a": (int, 1)}}, {"200", "400", "422", "500"}),
        ("POST /x", {"body": User}, {"200", "400", "413", "415", "422", "500"}),
        ("GET /x", {"spec": RouteSpec(deadline=1.0)}, {"200", "500", "504"}),
        ("GET /x", {"spec": RouteSpec(deadline=math.inf)}, {"200", "500"}),
        ("GET /x", {"spec": RouteSpec(security=[{"bearer": []}])}, {"200", "401", "403", "500"}),
        ("GET /x", {"spec": RouteSpec(produces_status=204)}, {"204", "500"}),
        (
            "GET /x",
            {
                "spec": RouteSpec(
                    responses={409: ResponseSpec(description="taken"), 202: ResponseSpec(User)}
                )
            },
            {"200", "202", "409", "500"},
        ),
    ],
)
def test_a_route_shows_the_errors_that_it_can_give(
    where: str, options: Any, expected: set[str], route: Route, build_valid: Build
) -> None:
    """A body can be broken, a parameter wrong, a resource absent: and no route shows the others."""
    document = build_valid(route(where, **options))
    method, path = where.split()
    assert set(operation(document, path, method.lower())["responses"]) == expected


def test_the_whole_documents_security_counts_where_a_route_says_nothing(
    route: Route, build_valid: Build
) -> None:
    """``doc.security()`` opens one route again."""
    document = build_valid(
        route("GET /closed"),
        route("GET /open", spec=RouteSpec(security=[])),
        security=[{"key": []}],
        security_schemes={"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
    )
    assert "401" in operation(document, "/closed")["responses"]
    assert "401" not in operation(document, "/open")["responses"]
    assert operation(document, "/open")["security"] == []
    assert document["security"] == [{"key": []}]
    assert set(document["components"]["securitySchemes"]) == {"key"}


def test_known_security_schemes_define_themselves(route: Route, build_valid: Build) -> None:
    """``bearer`` and ``basic``; another name must be defined."""
    spec = RouteSpec(security=[{"bearer": []}])
    document = build_valid(route("GET /x", spec=spec))
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    with pytest.raises(TypeError, match=r"GET /y asks for the security scheme 'mine'"):
        build_valid(route("GET /y", spec=RouteSpec(security=[{"mine": []}])))


def test_declared_answers(route: Route, build_valid: Build) -> None:
    """Below 400 in the envelope; an error with a shape stands as it is, one without is the
    envelope's; raw answers and empty ones have no envelope."""
    spec = RouteSpec(
        responses={
            200: ResponseSpec(bytes, "a picture", "image/png", raw=True),
            202: ResponseSpec(CityApi, "later"),
            204: ResponseSpec(),
            404: ResponseSpec(description="no such picture"),
            409: ResponseSpec({"mine": int}),
            418: ResponseSpec(),
        }
    )
    answers = operation(build_valid(route("GET /x/{id}", spec=spec)), "/x/{id}")["responses"]
    assert answers["200"] == {"description": "a picture", "content": {"image/png": {"schema": {}}}}
    assert "code" in answers["202"]["content"]["application/json"]["schema"]["properties"]
    assert answers["204"] == {"description": "No Content"}
    assert answers["404"]["description"] == "no such picture"
    error = {"$ref": "#/components/schemas/Error"}
    assert answers["404"]["content"]["application/json"]["schema"] == error
    assert "mine" in answers["409"]["content"]["application/json"]["schema"]["properties"]
    assert answers["418"]["content"]["application/json"]["schema"] == error


def test_raw_text_and_raw_json(route: Route, build_valid: Build) -> None:
    """A raw answer is drawn without the envelope, text as text."""
    text = RouteSpec(responses={200: ResponseSpec(None, "", "text/csv", raw=True)})
    json = RouteSpec(responses={200: ResponseSpec(CityApi, raw=True)})
    document = build_valid(route("GET /t", spec=text), route("GET /j", spec=json, produces=CityApi))
    content = operation(document, "/t")["responses"]["200"]["content"]
    assert content == {"text/csv": {"schema": {"type": "string"}}}
    content = operation(document, "/j")["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/CityApi"}


@pytest.mark.parametrize("envelope", [PlainEnvelope(), ProblemEnvelope()])
def test_the_document_follows_the_envelope(
    envelope: Envelope, route: Route, build_valid: Build
) -> None:
    """With the envelope off the data is the answer; problem details have their own media type."""
    document = build_valid(route("GET /{id}", produces=CityApi), envelope=envelope)
    content = operation(document, "/{id}")["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/CityApi"}
    error = document["components"]["responses"]["NotFound"]["content"]
    assert list(error) == [envelope.error_content_type]


def test_texts_come_from_the_decorators_or_the_docstring(route: Route, build_valid: Build) -> None:
    """The docstring's first line is the summary, the rest the description."""
    text = "Get it.\n\n        More about it."
    document = build_valid(
        route("GET /a", doc=text),
        route("GET /b", doc=text, spec=RouteSpec(summary="S", description="D", deprecated=True)),
        route("GET /c"),
    )
    first, second = operation(document, "/a"), operation(document, "/b")
    assert (first["summary"], first["description"]) == ("Get it.", "More about it.")
    assert (second["summary"], second["description"]) == ("S", "D")
    assert second["deprecated"] is True
    assert "summary" not in operation(document, "/c")


def test_groups_are_tags(route: Route, build_valid: Build) -> None:
    """The blueprint's name, unless the route says."""
    document = build_valid(
        route("GET /a", group="user"), route("GET /b", group="user", spec=RouteSpec(tags=["x"]))
    )
    assert operation(document, "/a")["tags"] == ["user"]
    assert operation(document, "/b")["tags"] == ["x"]
    assert document["tags"] == [{"name": "user"}, {"name": "x"}]


def test_operation_ids_are_unique(route: Route, build_valid: Build) -> None:
    """The same handler's name twice gets its group before it, or a number."""
    document = build_valid(
        route("GET /a", name="list", group="user"),
        route("GET /b", name="list", group="role"),
        route("GET /c", name="list"),
        route("GET /d", name="list"),
        DocumentedRoute("/e", ("GET", "POST"), "both", RouteSpec()),
    )
    ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert ids == ["user.list", "role.list", "list", "list_2", "both_get", "both_post"]


def test_paths_that_differ_in_names_are_one_path(route: Route, build_valid: Build) -> None:
    """To OpenAPI, and to a caller, ``/x/{a}`` and ``/x/{b}`` are one; the first name counts."""
    spec = RouteSpec(path={"b": doc.Integer("which", minimum=1)})
    document = build_valid(
        route("GET /x/{a}/y", path_types={"a": (int, ...)}),
        route("DELETE /x/{b}/y", path_types={"b": (str, ...)}, spec=spec),
    )
    assert list(document["paths"]) == ["/x/{a}/y"]
    (deleted,) = operation(document, "/x/{a}/y", "delete")["parameters"]
    assert (deleted["name"], deleted["schema"]) == ("a", {"type": "integer", "minimum": 1})


def test_of_two_routes_with_one_address_and_method_both_are_shown(
    route: Route, build_valid: Build
) -> None:
    """``/x/<a:int>`` and ``/x/<b:str>``: OpenAPI cannot tell them apart, a reader can."""
    document = build_valid(route("GET /x/{a}"), route("GET /x/{b}"), route("PUT /x/{b}"))
    assert {path: sorted(item) for path, item in document["paths"].items()} == {
        "/x/{a}": ["get", "put"],
        "/x/{b}": ["get"],
    }


def test_hidden_routes_and_unknown_methods_are_left_out(route: Route, build_valid: Build) -> None:
    """An empty application has an empty document, and a valid one."""
    document = build_valid(route("GET /x", spec=RouteSpec(hidden=True)), route("PROPFIND /y"))
    assert document["paths"] == {}
    assert "components" not in document


def test_information_about_the_service(route: Route, build_valid: Build) -> None:
    """Title, version, description and servers."""
    document = build_valid(
        route("GET /x"),
        description="About users.",
        servers=["/api", {"url": "https://example.com", "description": "live"}],
    )
    assert document["info"] == {
        "title": "users",
        "version": "1.2.3",
        "description": "About users.",
    }
    assert document["servers"][0] == {"url": "/api"}


def test_what_is_not_a_shape_names_its_route(route: Route) -> None:
    """The start of the service says where to look."""
    with pytest.raises(TypeError, match=r"POST /x \(post_x\): .*object is not a shape"):
        build([route("POST /x", body=object)], envelope=Envelope(), title="t", version="1")


def test_only_used_components_are_shown(route: Route, build_valid: Build) -> None:
    """A class whose fields became parameters is no component."""
    document = build_valid(route("GET /x", spec=RouteSpec(query=CityApi)))
    assert "CityApiInput" not in document["components"]["schemas"]


NAMES = st.text(min_size=1, max_size=6)
LEAVES: Any = st.sampled_from(
    [int, str, Any, None, CityApi, User, Colour, doc.Float("f", minimum=0), doc.Boolean(null=True)]
)
SHAPE = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(NAMES, inner, max_size=3), st.lists(inner, min_size=1, max_size=1)
    ),
    max_leaves=6,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(SHAPE, SHAPE), min_size=1, max_size=3))
def test_any_shapes_give_a_valid_document_in_any_order(shapes: list[tuple[Any, Any]]) -> None:
    """Keys may be any text, even ``$ref`` or a slash."""
    routes = [
        DocumentedRoute(f"/{index}", ("POST",), f"r{index}", RouteSpec(), body=body, produces=out)
        for index, (body, out) in enumerate(shapes)
    ]
    documents = [
        build(order, envelope=Envelope(), title="t", version="1")
        for order in itertools.islice(itertools.permutations(routes), 2)
    ]
    validate(documents[0])
    assert msgspec.json.encode(documents[0]) == msgspec.json.encode(documents[-1])


def test_a_query_parameter_that_may_be_none_may_be_empty(route: Route, build_valid: Build) -> None:
    """``?q=`` is None for a number and a date; the empty text is a text."""
    types = {"q": int | None, "day": date | None, "text": str | None, "n": int}
    document = build_valid(
        route("GET /", query_types={name: (type_, None) for name, type_ in types.items()})
    )
    parameters = document["paths"]["/"]["get"]["parameters"]
    assert {entry["name"]: entry.get("allowEmptyValue", False) for entry in parameters} == {
        "q": True,
        "day": True,
        "text": False,
        "n": False,
    }
