"""Two versions of a document: what breaks a caller, what does not, and where it stands."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from sanic_ms.openapi import Change, compare
from sanic_ms.openapi.diff.schemas import Effect

Schema = dict[str, Any]

BASE: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "t", "version": "1"},
    "paths": {
        "/users/{id}": {
            "post": {
                "operationId": "save",
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
                    {"name": "page", "in": "query", "schema": {"type": "integer", "default": 1}},
                    {"name": "X-Key", "in": "header", "schema": {"type": "string"}},
                ],
                "requestBody": {
                    "content": {"application/json": {"schema": {"type": "object"}}},
                },
                "responses": {
                    "200": {
                        "description": "",
                        "headers": {"X-Total": {"schema": {"type": "integer"}, "required": True}},
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    "404": {"description": ""},
                },
            }
        }
    },
    "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
}
AT = "paths./users/{id}.post"


def edited(document: dict[str, Any], edits: dict[str, Any]) -> dict[str, Any]:
    """A copy with values set at dotted places; ``...`` takes the place out."""
    document = copy.deepcopy(document)
    for place, value in edits.items():
        keys = [key.replace("|", ".") for key in place.replace("AT", AT).split(".")]
        target: Any = document
        for key in keys[:-1]:
            target = target[int(key)] if isinstance(target, list) else target.setdefault(key, {})
        last: Any = int(keys[-1]) if isinstance(target, list) else keys[-1]
        if value is ...:
            del target[last]
        elif isinstance(target, list) and last == len(target):
            target.append(value)
        else:
            target[last] = value
    return document


def texts(changes: list[Change]) -> list[str]:
    return [f"{change.effect}: {change.text}" for change in changes]


PAGE, KEY = "AT.parameters.1", "AT.parameters.2"
OK = "AT.responses.200"

# What is edited in the document, and what is said of it.
OPERATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "an operation that is gone": ({"AT": ...}, "breaking: the operation is gone"),
    "a path that is gone": ({"paths./users/{id}": ...}, "breaking: the operation is gone"),
    "an operation more": ({"paths./x.get": {}}, "compatible: the operation is new"),
    "another name": (
        {"AT.operationId": "store"},
        "note: the operationId is store now, save before",
    ),
    "no name": ({"AT.operationId": ...}, "note: the operationId is gone now, save before"),
    "deprecated": ({"AT.deprecated": True}, "note: the operation is deprecated now"),
    "other servers": ({"servers": [{"url": "/v2"}]}, "note: the servers are others now"),
    "a parameter more": (
        {"AT.parameters.3": {"name": "q", "in": "query"}},
        "compatible: the query parameter q is new",
    ),
    "a required parameter more": (
        {"AT.parameters.3": {"name": "q", "in": "cookie", "required": True}},
        "breaking: the cookie q is new and required",
    ),
    "a parameter of the path item": (
        {"paths./users/{id}.parameters": [{"name": "q", "in": "query", "required": True}]},
        "breaking: the query parameter q is new and required",
    ),
    "a parameter that is gone": ({KEY: ...}, "note: the header X-Key is not read any more"),
    "a parameter that is required now": (
        {f"{PAGE}.required": True},
        "breaking: the query parameter page is required now",
    ),
    "a parameter of another type": (
        {f"{PAGE}.schema.type": "string"},
        "breaking: the query parameter page is string now, integer before",
    ),
    "a parameter of a wider type": (
        {f"{PAGE}.schema.type": "number"},
        "compatible: the query parameter page is number now, integer before",
    ),
    "another default": (
        {f"{PAGE}.schema.default": 2},
        "note: the query parameter page has the default 2 now, 1 before",
    ),
    "another style": (
        {f"{PAGE}.style": "spaceDelimited"},
        "breaking: the query parameter page is written in another style now",
    ),
    "another case of a header": ({f"{KEY}.name": "x-key"}, ""),
    "a body that is required now": (
        {"AT.requestBody.required": True},
        "breaking: the request's body is required now",
    ),
    "a body that is gone": (
        {"AT.requestBody": ...},
        "note: the request's body is not read any more",
    ),
    "another media type of the body": (
        {"AT.requestBody.content": {"text/csv": {}}},
        "breaking: the request's body is not read as application/json any more\n"
        "compatible: the request's body is read as text/csv now",
    ),
    "a media type of the body more": (
        {"AT.requestBody.content.text/csv": {}},
        "compatible: the request's body is read as text/csv now",
    ),
    "a wider media type": (
        {"AT.requestBody.content": {"*/*": {}}},
        "compatible: the request's body is anything now, object before\n"
        "compatible: the request's body is read as */* now",
    ),
    "a status that is gone": (
        {"AT.responses.404": ...},
        "breaking: the answer 404 is gone",
    ),
    "a status that is spoken of as a range": (
        {"AT.responses.404": ..., "AT.responses.4XX": {"description": ""}},
        "compatible: the answer 4XX is new",
    ),
    "a status more": (
        {"AT.responses.409": {"description": ""}},
        "compatible: the answer 409 is new",
    ),
    "another media type of an answer": (
        {f"{OK}.content": {"text/csv": {}}},
        "breaking: the 200 answer's body does not come as application/json any more\n"
        "note: the 200 answer's body may come as text/csv now",
    ),
    "a header of an answer that is gone": (
        {f"{OK}.headers": ...},
        "breaking: the 200 answer's header X-Total is gone",
    ),
    "a header of an answer that may be missing": (
        {f"{OK}.headers.X-Total.required": False},
        "breaking: the 200 answer's header X-Total may be missing now",
    ),
    "credentials": (
        {"AT.security": [{"bearer": []}]},
        "breaking: the operation asks for bearer now, nothing before",
    ),
    "credentials for the whole document": (
        {"security": [{"bearer": []}]},
        "breaking: the operation asks for bearer now, nothing before",
    ),
    "credentials that may be left out": (
        {"AT.security": [{"bearer": []}, {}]},
        "compatible: the operation lets in bearer or nothing now, nothing before",
    ),
    "texts": ({"AT.summary": "x", "info.title": "y", f"{OK}.description": "z"}, ""),
}


@pytest.mark.parametrize("case", OPERATIONS)
def test_operations(case: str) -> None:
    """Each change of an operation is named, and told by whether it breaks a caller."""
    edits, expected = OPERATIONS[case]
    assert "\n".join(texts(compare(BASE, edited(BASE, edits)))) == expected


SCOPED = edited(
    BASE,
    {
        "AT.security": [{"oauth": ["read"]}, {"bearer": []}],
        "components.securitySchemes.oauth": {"type": "oauth2", "flows": {}},
    },
)
SECURITY: dict[str, tuple[dict[str, Any], str]] = {
    "fewer scopes": (
        {"AT.security.0": {"oauth": []}},
        "compatible: the operation lets in oauth or bearer now, oauth (read) or bearer before",
    ),
    "more scopes": (
        {"AT.security.0": {"oauth": ["read", "write"]}},
        "breaking: the operation asks for oauth (read, write) or bearer now, "
        "oauth (read) or bearer before",
    ),
    "an alternative less": (
        {"AT.security.1": ...},
        "breaking: the operation asks for oauth (read) now, oauth (read) or bearer before",
    ),
    "nothing any more": (
        {"AT.security": []},
        "compatible: the operation lets in nothing now, oauth (read) or bearer before",
    ),
    "another scheme of the same name": (
        {"components.securitySchemes.bearer": {"type": "apiKey", "in": "query", "name": "k"}},
        "breaking: the security scheme bearer is another one now",
    ),
}


@pytest.mark.parametrize("case", SECURITY)
def test_security(case: str) -> None:
    """Credentials that were enough must stay enough."""
    edits, expected = SECURITY[case]
    assert "\n".join(texts(compare(SCOPED, edited(SCOPED, edits)))) == expected


def of_schemas(old: Any, new: Any, /, **components: Any) -> list[tuple[Change, Change]]:
    """What is said of two schemas as a request's body and as an answer's."""
    documents = []
    for schema in (old, new):
        content = {"content": {"application/json": {"schema": schema}}}
        edits = {
            "AT.requestBody": content,
            "AT.responses.200": {"description": "", **content},
            "components.schemas": components.get("old" if schema is old else "new", {}),
        }
        documents.append(edited(BASE, edits))
    changes = compare(*documents)
    requests = [change for change in changes if "request's" in change.text]
    answers = [change for change in changes if "answer's" in change.text]
    requests.sort(key=lambda change: change.pointer)
    answers.sort(key=lambda change: change.pointer)
    assert [*map(_rest, requests)] == [*map(_rest, answers)]
    return list(zip(requests, answers, strict=True))


def _rest(change: Change) -> str:
    return change.text.replace("the request's ", "").replace("the 200 answer's ", "")


def string(**keywords: Any) -> Schema:
    return {"type": "string", **keywords}


def integer(**keywords: Any) -> Schema:
    return {"type": "integer", **keywords}


NULL = {"type": "null"}
CAT = {"type": "object", "properties": {"kind": {"const": "cat"}}, "required": ["kind"]}
DOG = {"type": "object", "properties": {"kind": {"const": "dog"}}, "required": ["kind"]}

# Two schemas, of which the second takes less, and what is said. The other way round it takes more.
NARROWER: dict[str, tuple[Any, Any, str, str]] = {
    "a type less": (
        {"type": ["string", "integer"]},
        string(),
        "is string now, integer or string before",
        "is integer or string now, string before",
    ),
    "whole numbers": (
        {"type": "number"},
        integer(),
        "is integer now, number before",
        "is number now, integer before",
    ),
    "no type": ({}, string(), "is string now, anything before", "is anything now, string before"),
    "nothing": (string(), False, "is nothing now, string before", "is string now, nothing before"),
    "null in a list of types": (
        {"type": ["string", "null"]},
        string(),
        "may not be null any more",
        "may be null now",
    ),
    "null as an alternative": (
        {"anyOf": [string(), NULL]},
        string(),
        "may not be null any more",
        "may be null now",
    ),
    "null of OpenAPI 3.0": (
        string(nullable=True),
        string(),
        "may not be null any more",
        "may be null now",
    ),
    "a value less": (
        string(enum=["a", "b"]),
        string(enum=["a"]),
        'may not be "b" any more',
        'may also be "b" now',
    ),
    "listed values": (
        string(),
        string(const="a"),
        'is only "a" now',
        'may be something else than "a" now',
    ),
    "values of alternatives": (
        {"oneOf": [{"const": "a"}, {"const": "b"}]},
        {"enum": ["a"]},
        'may not be "b" any more',
        'may also be "b" now',
    ),
    "a value of a boolean": (
        {"type": "boolean"},
        {"const": True},
        "may not be false any more",
        "may also be false now",
    ),
    "a shorter text": (
        string(maxLength=9),
        string(maxLength=5),
        "is at most 5 characters long now, at most 9 characters long before",
        "is at most 9 characters long now, at most 5 characters long before",
    ),
    "a limit": (
        string(minLength=0),
        string(minLength=1),
        "is at least 1 characters long now",
        "need not be at least 1 characters long any more",
    ),
    "a smaller number": (
        integer(minimum=1),
        integer(minimum=2),
        "is at least 2 now, at least 1 before",
        "is at least 1 now, at least 2 before",
    ),
    "an excluded bound": (
        {"type": "number", "maximum": 9},
        {"type": "number", "exclusiveMaximum": 9},
        "is less than 9 now, at most 9 before",
        "is at most 9 now, less than 9 before",
    ),
    "multiples": (
        integer(multipleOf=5),
        integer(multipleOf=10),
        "has the multipleOf 10 now, 5 before",
        "has the multipleOf 5 now, 10 before",
    ),
    "a format": (
        string(),
        string(format="uuid"),
        'has the format "uuid" now',
        'has no format "uuid" any more',
    ),
    "a narrower format": (
        integer(format="int64"),
        integer(format="int32"),
        'has the format "int32" now, "int64" before',
        'has the format "int64" now, "int32" before',
    ),
    "a pattern": (
        string(),
        string(pattern="^a"),
        'has the pattern "^a" now',
        'has no pattern "^a" any more',
    ),
    "items": (
        {"type": "array", "items": {"type": ["string", "null"]}},
        {"type": "array", "items": string()},
        "field [] may not be null any more",
        "field [] may be null now",
    ),
    "an item by its place": (
        {"type": "array", "prefixItems": [{}, {"type": ["string", "null"]}]},
        {"type": "array", "prefixItems": [{}, string()]},
        "field [1] may not be null any more",
        "field [1] may be null now",
    ),
    "the number of items": (
        {"type": "array", "maxItems": 9},
        {"type": "array", "maxItems": 5},
        "is at most 5 items long now, at most 9 items long before",
        "is at most 9 items long now, at most 5 items long before",
    ),
    "values by any key": (
        {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
        {"type": "object", "additionalProperties": string()},
        "field * may not be null any more",
        "field * may be null now",
    ),
    "a schema around all": (
        {"type": "object", "properties": {"a": string()}},
        {"allOf": [{"properties": {"a": string(maxLength=5)}}], "type": "object"},
        "field a is at most 5 characters long now",
        "field a need not be at most 5 characters long any more",
    ),
    "schemas that hold together": (
        {"allOf": [{"type": ["string", "null"]}, {"maxLength": 9}]},
        {"allOf": [{"type": ["string", "null"], "maxLength": 5}, {"maxLength": 9}]},
        "is at most 5 characters long now, at most 9 characters long before",
        "is at most 9 characters long now, at most 5 characters long before",
    ),
    "an alternative less": (
        {"oneOf": [CAT, DOG]},
        {"oneOf": [DOG]},
        "has no alternative object any more",
        "has the new alternative object",
    ),
    "an alternative's text": (
        {"anyOf": [string(format="date"), string(format="uuid"), integer()]},
        {"anyOf": [string(format="date"), integer()]},
        'has no alternative string format "uuid" any more',
        'has the new alternative string format "uuid"',
    ),
}


@pytest.mark.parametrize("case", NARROWER)
def test_less_breaks_requests_and_more_breaks_answers(case: str) -> None:
    """What takes less is a break where callers send it, what takes more where they get it."""
    wide, narrow, text, text_back = NARROWER[case]
    ((request, answer),) = of_schemas(wide, narrow)
    assert (request.effect, answer.effect) == ("breaking", "compatible")
    assert _rest(request) in (text, f"body {text}")
    ((request, answer),) = of_schemas(narrow, wide)
    assert (request.effect, answer.effect) == ("compatible", "breaking")
    assert _rest(request) in (text_back, f"body {text_back}")


# Two schemas that take the same.
SAME: dict[str, tuple[Any, Any]] = {
    "texts": (string(title="a", description="b", examples=["c"]), string()),
    "one alternative": ({"anyOf": [string()]}, string()),
    "a list of one type": ({"type": ["string"]}, string()),
    "the ways to say null": ({"type": ["string", "null"]}, {"oneOf": [NULL, string()]}),
    "the ways to list one value": ({"const": "a"}, {"enum": ["a"]}),
    "values with and without their type": ({"enum": ["a"]}, string(enum=["a"])),
    "the order of values": (string(enum=["a", "b"]), string(enum=["b", "a"])),
    "the order of alternatives": ({"oneOf": [CAT, DOG]}, {"oneOf": [DOG, CAT]}),
    "bounds of whole numbers": (integer(minimum=1), integer(exclusiveMinimum=0)),
    "bounds of OpenAPI 3.0": (
        {"type": "number", "minimum": 1, "exclusiveMinimum": True},
        {"type": "number", "exclusiveMinimum": 1},
    ),
    "a schema around another": ({"allOf": [CAT]}, CAT),
    "a base and its rest": (
        {"allOf": [{"properties": {"a": string()}}, {"properties": {"b": string()}}]},
        {"properties": {"a": string(), "b": string()}},
    ),
    "open objects": ({"type": "object", "additionalProperties": True}, {"type": "object"}),
}


@pytest.mark.parametrize("case", SAME)
def test_another_way_to_say_the_same_is_no_change(case: str) -> None:
    """Schemas are compared by the values that they take."""
    one, other = SAME[case]
    assert of_schemas(one, other) == of_schemas(other, one) == []


def fields(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def closed(*required: str, **properties: Schema) -> Schema:
    return {**fields(*required, **properties), "additionalProperties": False}


A, B = string(), integer()
# Two objects, and what is said of the change in a request and in an answer.
OBJECTS: dict[str, tuple[Schema, Schema, str, str]] = {
    "a field more": (
        fields(a=A),
        fields(a=A, b=B),
        "compatible: field b is new",
        "compatible: field b is new",
    ),
    "a required field more": (
        fields(a=A),
        fields("b", a=A, b=B),
        "breaking: field b is new and required",
        "compatible: field b is new",
    ),
    "a field less": (
        fields(a=A, b=B),
        fields(a=A),
        "note: field b is not read any more",
        "breaking: field b is gone",
    ),
    "a field less where others are refused": (
        closed(a=A, b=B),
        closed(a=A),
        "breaking: field b is refused now",
        "breaking: field b is gone",
    ),
    "a field more where others are refused": (
        closed(a=A),
        closed(a=A, b=B),
        "compatible: field b is new",
        "note: field b is new, which a caller that refuses unknown fields does not take",
    ),
    "a field that is required now": (
        fields(a=A),
        fields("a", a=A),
        "breaking: field a is required now",
        "compatible: field a is always there now",
    ),
    "a field that is not required any more": (
        fields("a", a=A),
        fields(a=A),
        "compatible: field a may be left out now",
        "breaking: field a may be missing now",
    ),
    "unknown fields refused": (
        fields(a=A),
        closed(a=A),
        "breaking: body takes no unknown fields now",
        "compatible: body takes no unknown fields now",
    ),
    "unknown fields taken": (
        closed(a=A),
        fields(a=A),
        "compatible: body may have unknown fields now",
        "note: body may have unknown fields now",
    ),
    "a field that only answers have": (
        fields(a=A),
        fields("b", a=A, b={**B, "readOnly": True}),
        "",
        "compatible: field b is new",
    ),
    "a field that only requests have": (
        fields("b", a=A, b={**B, "writeOnly": True}),
        fields(a=A),
        "note: field b is not read any more",
        "",
    ),
    "a field deep inside": (
        fields(x={"type": "array", "items": fields(y=fields(z=A))}),
        fields(x={"type": "array", "items": fields(y=fields())}),
        "note: field x[].y.z is not read any more",
        "breaking: field x[].y.z is gone",
    ),
    "a value of any key that is named now": (
        {"type": "object", "additionalProperties": A},
        {"type": "object", "additionalProperties": A, "properties": {"a": string(maxLength=3)}},
        "breaking: field a is at most 3 characters long now",
        "compatible: field a is at most 3 characters long now",
    ),
    "a keyword that cannot be compared": (
        {"not": {"const": 1}},
        {"not": {"const": 2}},
        "breaking: body has another 'not', which cannot be compared: taken for a break",
        "breaking: body has another 'not', which cannot be compared: taken for a break",
    ),
}


@pytest.mark.parametrize("case", OBJECTS)
def test_objects(case: str) -> None:
    """Fields that come and go: a request may ask for no more, an answer may give no less."""
    old, new, request, answer = OBJECTS[case]
    for place, words, expected in (
        ("AT.requestBody.content.application/json.schema", "the request's ", request),
        ("AT.responses.200.content.application/json.schema", "the 200 answer's ", answer),
    ):
        found = compare(edited(BASE, {place: old}), edited(BASE, {place: new}))
        assert "\n".join(texts(found)).replace(words, "") == expected


def test_a_change_says_where_it_stands() -> None:
    """Method and path of the operation, and the pointer into the document that has the place: for
    what is gone the old one; behind a reference, the component."""
    schema = {"$ref": "#/components/schemas/User"}
    place = "AT.requestBody.content.application/json.schema"
    old = edited(BASE, {place: schema, "components.schemas.User": fields(a=A)})
    new = edited(BASE, {place: schema, "components.schemas.User": closed("a~/b", **{"a~/b": A})})
    first, second = (change for change in compare(old, new) if " field " in change.text)
    assert (first.method, first.path) == ("POST", "/users/{id}")
    assert (first.side, first.pointer) == ("old", "/components/schemas/User/properties/a")
    assert (second.side, second.pointer) == ("new", "/components/schemas/User/properties/a~0~1b")
    gone = compare(BASE, edited(BASE, {"AT": ...}))[0]
    assert (gone.side, gone.pointer) == ("old", "/paths/~1users~1{id}/post")


def test_the_name_of_a_paths_parameter_is_not_part_of_the_address() -> None:
    """``/users/{id}`` and ``/users/{user_id}`` are one path to a caller."""
    new = edited(BASE, {"AT.parameters.0.name": "user_id"})
    new["paths"]["/users/{user_id}"] = new["paths"].pop("/users/{id}")
    assert texts(compare(BASE, new)) == ["note: the path parameter id is called user_id now"]


def test_references_are_followed() -> None:
    """Of parameters, bodies, answers, headers, path items, schemas, and of references."""
    whole = copy.deepcopy(BASE)
    item = whole["paths"].pop("/users/{id}")
    operation = item["post"]
    parameter, body = operation["parameters"][0], operation["requestBody"]
    answer = operation["responses"]["200"]
    header = answer["headers"]["X-Total"]
    whole["components"] |= {
        "pathItems": {"users": item},
        "parameters": {"id": parameter},
        "requestBodies": {"one": {"$ref": "#/components/requestBodies/two"}, "two": body},
        "responses": {"ok": answer},
        "headers": {"total": header},
    }
    whole["paths"]["/users/{id}"] = {"$ref": "#/components/pathItems/users"}
    operation["parameters"] = [
        {"$ref": "#/components/parameters/id"},
        *operation["parameters"][1:],
    ]
    operation["requestBody"] = {"$ref": "#/components/requestBodies/one"}
    operation["responses"] = {
        **operation["responses"],
        "200": {"$ref": "#/components/responses/ok"},
    }
    answer["headers"] = {"X-Total": {"$ref": "#/components/headers/total"}}
    assert compare(BASE, whole) == compare(whole, BASE) == compare(whole, whole) == []
    header["required"] = False
    (change,) = compare(BASE, whole)
    assert change.pointer == "/components/headers/total"


TREE = fields(value=A, children={"type": "array", "items": {"$ref": "#/components/schemas/Tree"}})


def test_schemas_may_refer_to_themselves() -> None:
    """Each place of a recursive schema is compared once."""
    reference = {"$ref": "#/components/schemas/Tree"}
    changed = {**TREE, "properties": {**TREE["properties"], "value": B}}
    found = of_schemas(reference, dict(reference), old={"Tree": TREE}, new={"Tree": changed})
    ((request, answer),) = found
    assert _rest(request) == "field value is integer now, string before"
    assert request.effect == answer.effect == "breaking"
    assert request.pointer == "/components/schemas/Tree/properties/value"


def test_a_schema_unrolled_once_is_the_same() -> None:
    """A recursive schema against itself with its first level written out."""
    reference = {"$ref": "#/components/schemas/Tree"}
    components = {"old": {"Tree": TREE}, "new": {"Tree": TREE}}
    assert of_schemas(reference, copy.deepcopy(TREE), **components) == []
    itself = {"allOf": [{"$ref": "#/components/schemas/Tree"}, TREE]}
    assert of_schemas(reference, itself, old={"Tree": TREE}, new={"Tree": itself}) == []


def test_alternatives_keep_their_name() -> None:
    """Of two versions of an alternative it is said what changed in it; a new one breaks answers."""
    both = {"oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}]}
    three = {"oneOf": [*both["oneOf"], {"$ref": "#/components/schemas/Cow"}]}
    old = {"Cat": fields("a", a=A), "Dog": fields("b", b=A)}
    new = {"Cat": fields("a", a=B), "Dog": fields("b", b=A), "Cow": fields("c", c=A)}
    (cat, cat_answer), (cow, cow_answer) = of_schemas(both, three, old=old, new=new)
    assert _rest(cow) == "body has the new alternative Cow"
    assert (cow.effect, cow_answer.effect) == ("compatible", "breaking")
    assert _rest(cat) == "field a is integer now, string before"
    assert (cat.effect, cat_answer.effect) == ("breaking", "breaking")


def test_an_alternative_that_another_one_holds_is_no_break() -> None:
    """A request that was one alternative may be another one from now on; an answer likewise."""
    narrow, wide, other = string(maxLength=3), string(), string(maxLength=9, pattern="^a|b")
    two, three = {"anyOf": [wide, integer()]}, {"anyOf": [narrow, wide, integer()]}
    for place in ("AT.requestBody", "AT.responses.200"):
        place += ".content.application/json.schema"
        few, many = edited(BASE, {place: two}), edited(BASE, {place: three})
        effects = [change.effect for change in (*compare(few, many), *compare(many, few))]
        assert "breaking" not in effects
    lost, _ = of_schemas({"anyOf": [narrow, other, integer()]}, {"anyOf": [other, integer()]})[0]
    assert lost.effect == "breaking"


BROKEN: dict[str, tuple[Any, str]] = {
    "nothing": (None, "the new document is no OpenAPI 3 document"),
    "a list": ([], "the new document is no OpenAPI 3 document"),
    "another format": ({"a": 1}, "the new document is no OpenAPI 3 document"),
    "Swagger": (
        {"openapi": "2.0", "paths": {}},
        r"the new document is no OpenAPI 3 document \(it is of version 2.0\)",
    ),
    "paths of another kind": ({"openapi": "3.1.0", "paths": []}, '"paths" is no object'),
    "a reference into nothing": (
        edited(BASE, {"AT.responses.200": {"$ref": "#/components/responses/x"}}),
        "refers to '#/components/responses/x', which is not there",
    ),
    "a reference to another file": (
        edited(BASE, {"AT.parameters.0.schema": {"$ref": "other.json#/x"}}),
        "only references inside of the document",
    ),
    "a reference to itself": (
        edited(BASE, {"AT.responses.200": {"$ref": "#/components/responses/x"},
                      "components.responses.x": {"$ref": "#/components/responses/x"}}),
        "refers to itself",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_document_is_refused(case: str) -> None:
    """With one line that says which of the two it is, and why."""
    document, text = BROKEN[case]
    with pytest.raises(ValueError, match=text):
        compare(BASE, document)
    assert compare(BASE, BASE) == []


@pytest.mark.parametrize(
    "value", [None, 1, "x", [], ["x"], {"x": "y"}, True], ids=lambda value: json.dumps(value)
)
def test_parts_of_a_wrong_kind_do_no_harm(value: Any) -> None:
    """A document that a validator would refuse is compared as far as it makes sense."""
    for place in (
        "paths./users/{id}",
        "AT",
        "AT.parameters",
        "AT.parameters.0",
        "AT.parameters.0.schema",
        "AT.parameters.0.schema.type",
        "AT.requestBody",
        "AT.requestBody.content",
        "AT.requestBody.content.application/json",
        "AT.requestBody.content.application/json.schema.properties",
        "AT.requestBody.content.application/json.schema.required",
        "AT.requestBody.content.application/json.schema.allOf",
        "AT.requestBody.content.application/json.schema.enum",
        "AT.requestBody.content.application/json.schema.items",
        "AT.responses",
        "AT.responses.200",
        "AT.security",
        "servers",
        "security",
        "components",
    ):
        document = edited(BASE, {place: value})
        compare(BASE, document)
        compare(document, BASE)


def test_every_effect_is_sorted_with_the_worst_first() -> None:
    """Breaks, then notes, then the rest; and each change once."""
    new = edited(BASE, {"AT.operationId": "x", "paths./a.get": {}, "AT.responses.404": ...})
    effects: list[Effect] = [change.effect for change in compare(BASE, new)]
    assert effects == ["breaking", "note", "compatible"]
