"""What must hold in every OpenAPI document, found without the specification's whole schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["problems"]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def problems(document: Mapping[str, Any]) -> list[str]:
    """One line for each thing that a reader of the document would stumble over.

    Looked at: references that lead nowhere, operation ids that are there twice, parameters of a
    path that are not declared or not in it, operations without an answer.
    """
    found = [f"{ref} leads nowhere" for ref in sorted(_dangling(document))]
    seen: dict[str, str] = {}
    for path, item in document.get("paths", {}).items():
        for method in _METHODS:
            operation = item.get(method)
            if operation is None:
                continue
            place = f"{method.upper()} {path}"
            name = operation.get("operationId")
            if name in seen:
                found.append(f"{place} and {seen[name]} have the operationId {name!r}")
            elif name is not None:
                seen[name] = place
            if not operation.get("responses"):
                found.append(f"{place} has no responses")
            wanted = set(re.findall(r"\{([^}]+)\}", path))
            given = {
                entry.get("name")
                for entry in (*item.get("parameters", ()), *operation.get("parameters", ()))
                if entry.get("in") == "path"
            }
            found += [f"{place}: {name!r} of the path is not declared" for name in wanted - given]
            found += [f"{place}: {name!r} is not in the path" for name in given - wanted]
    return found


def _dangling(document: Mapping[str, Any]) -> set[str]:
    return {ref for ref in _references(document) if not _leads_somewhere(document, ref)}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        ref = value.get("$ref")
        if isinstance(ref, str):
            yield ref
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _leads_somewhere(document: Mapping[str, Any], ref: str) -> bool:
    if not ref.startswith("#/"):
        return True  # another document's
    found: Any = document
    for part in ref[2:].split("/"):
        part = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or part not in found:
            return False
        found = found[part]
    return True
