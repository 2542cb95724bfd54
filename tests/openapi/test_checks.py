"""What `problems` finds in a document."""

from __future__ import annotations

from typing import Any

from sanic_ms.openapi.checks import problems

GOOD: dict[str, Any] = {
    "openapi": "3.1.0",
    "paths": {
        "/items/{id}": {
            "parameters": [{"name": "id", "in": "path"}],
            "get": {
                "operationId": "get_item",
                "responses": {"200": {"$ref": "#/components/responses/a~1b"}},
            },
        }
    },
    "components": {"responses": {"a/b": {"description": ""}}},
}


def test_a_good_document_has_none() -> None:
    """References with escapes, and parameters that the whole path declares."""
    assert problems(GOOD) == []


def test_each_problem_is_one_line() -> None:
    """With the operation that it is about."""
    parameters = [{"name": "x", "in": "path"}]
    operation = {"operationId": "get_item", "responses": {}, "parameters": parameters}
    paths = {**GOOD["paths"], "/other/{id}": {"put": operation}}
    document = {**GOOD, "paths": paths, "components": {}}
    assert problems(document) == [
        "#/components/responses/a~1b leads nowhere",
        "PUT /other/{id} and GET /items/{id} have the operationId 'get_item'",
        "PUT /other/{id} has no responses",
        "PUT /other/{id}: 'id' of the path is not declared",
        "PUT /other/{id}: 'x' is not in the path",
    ]
