"""What changed in whom an operation lets in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from sanic_ms.openapi.diff.branches import Document

__all__ = ["security_changes"]

_Requirement = Mapping[str, frozenset[str]]
"""Scopes by scheme; all of them are asked for together."""


def security_changes(
    old: Document, before: Mapping[str, Any], new: Document, after: Mapping[str, Any]
) -> Iterator[tuple[Literal["breaking", "compatible"], str]]:
    """The change of an operation's requirements: breaking where credentials that were enough are
    not any more.

    Args:
        old, new: The documents.
        before, after: The operation in each.
    """
    olds, news = _requirements(old, before), _requirements(new, after)
    refused = [one for one in olds if not any(_is_enough(one, other) for other in news)]
    if refused:
        text = f"the operation asks for {_words(news)} now, {_words(olds)} before"
        yield "breaking", text
    elif {_key(one) for one in olds} != {_key(other) for other in news}:
        yield "compatible", f"the operation lets in {_words(news)} now, {_words(olds)} before"
    for name in sorted({name for one in olds for name in one}):
        one, other = _scheme(old, name), _scheme(new, name)
        if one != other and any(name in requirement for requirement in news):
            yield "breaking", f"the security scheme {name} is another one now"


def _requirements(document: Document, operation: Mapping[str, Any]) -> list[_Requirement]:
    """The alternatives; one that asks for nothing where there are none."""
    declared = operation.get("security", document.content.get("security"))
    found = [
        {name: frozenset(scopes or ()) for name, scopes in entry.items()}
        for entry in (declared if isinstance(declared, list) else ())
        if isinstance(entry, Mapping)
    ]
    return [*found] or [{}]


def _is_enough(have: _Requirement, asked: _Requirement) -> bool:
    return all(name in have and scopes <= have[name] for name, scopes in asked.items())


def _key(requirement: _Requirement) -> frozenset[tuple[str, frozenset[str]]]:
    return frozenset(requirement.items())


def _words(requirements: list[_Requirement]) -> str:
    texts = [
        " and ".join(
            f"{name} ({', '.join(sorted(scopes))})" if scopes else name
            for name, scopes in sorted(requirement.items())
        )
        for requirement in requirements
    ]
    return " or ".join(text or "nothing" for text in texts)


def _scheme(document: Document, name: str) -> Mapping[str, Any]:
    """What of a scheme a caller must know."""
    components = document.content.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, Mapping) else None
    raw = schemes.get(name) if isinstance(schemes, Mapping) else None
    _, scheme = document.resolve("", raw)
    if not isinstance(scheme, Mapping):
        return {}
    names = ("type", "in", "name", "scheme", "openIdConnectUrl")
    flows = scheme.get("flows")
    addresses = {
        (name, key): url
        for name, flow in (flows.items() if isinstance(flows, Mapping) else ())
        for key, url in (flow.items() if isinstance(flow, Mapping) else ())
        if key.endswith("Url")
    }
    return {**{key: scheme.get(key) for key in names}, "flows": addresses}
