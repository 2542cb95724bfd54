"""The graph of dependencies, checked before anything is made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sanic_ms.container.providers import Providers, ServiceProvider, name_of
from sanic_ms.container.recipes import Recipe
from sanic_ms.container.scope import ParameterSource
from sanic_ms.shapes.signature import Parameter
from sanic_ms.values.depends import Depends

__all__ = ["GraphCheck"]


class GraphCheck:
    """Goes through what types and functions need.

    Args:
        providers: What is provided.
        source: How values are made.
        has_request: Whether there is a request.

    Attributes:
        parameters: What the functions that were visited read from the request, each once.
    """

    def __init__(
        self, providers: Providers, source: ParameterSource, *, has_request: bool = True
    ) -> None:
        self._providers = providers
        self._source = source
        self._has_request = has_request
        self._checked: set[Any] = set()
        self.parameters: list[Parameter] = []

    def visit_all(self, keys: Iterable[Any]) -> None:
        """Check several; see `visit`."""
        for key in keys:
            self.visit(key)

    def visit(self, key: Any, path: tuple[Any, ...] = ()) -> None:
        """Check a type or a `Depends`, and all that it needs.

        Args:
            key: The type or `Depends`.
            path: What leads to it.

        Raises:
            TypeError: something is missing, needs itself, or is a singleton that would keep what
                belongs to one request. The text shows the path.
        """
        shown = " -> ".join(map(name_of, (*path, key)))
        if key in path:
            raise TypeError(f"{shown}: a cycle")
        provider = None if isinstance(key, Depends) else self._providers.get(key)
        is_request = provider is None and not isinstance(key, Depends)
        if is_request and not self._providers.is_request(key):
            raise TypeError(f"{shown}: no {name_of(key)} is provided")
        if is_request and not self._has_request:
            raise TypeError(f"{shown}: no request is served here")
        if path and self._is_singleton(path[-1]) and not self._is_singleton(key):
            raise TypeError(
                f"{shown}: a singleton would keep the {name_of(key)} of one request (provide "
                f'{name_of(path[-1])} with scope="request")'
            )
        if key in self._checked or is_request:
            return
        recipe = self._recipe(key, provider)
        if recipe is not None:
            self._visit_needs(key, recipe, (*path, key), shown)
        self._checked.add(key)

    def _recipe(self, key: Any, provider: ServiceProvider | None) -> Recipe | None:
        if isinstance(key, Depends):
            function = self._providers.function(key)
            if function is None:
                return self._source.recipe(key, key.dependency)  # type: ignore[arg-type]
            if function.make is None:
                return None
            return self._source.recipe(Depends(function.make), function.make)
        if provider is None or provider.make is None:
            return None
        return self._source.recipe(provider, provider.make)

    def _visit_needs(self, key: Any, recipe: Recipe, path: tuple[Any, ...], shown: str) -> None:
        for entry in recipe.parameters:
            if self._is_singleton(key) or not self._has_request:
                why = "a singleton would keep" if self._has_request else "no request is served here"
                raise TypeError(f"{shown}: {why}: the {entry.source} parameter {entry.wire_name!r}")
            if entry not in self.parameters:
                self.parameters.append(entry)
        for _, need in recipe.needs:
            self.visit(need, path)

    def _is_singleton(self, key: Any) -> bool:
        provider = None if isinstance(key, Depends) else self._providers.get(key)
        return provider is not None and provider.scope == "singleton"
