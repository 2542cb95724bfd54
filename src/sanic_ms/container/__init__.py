"""Dependency injection by type and by function.

A handler that asks for a `UserRepository` gets one. A type is given as an instance, as a class, or
by a function that makes it; what the class or the function takes is found the same way, by its
annotations. ``Annotated[User, Depends(current_user)]`` names the function where it is used. The
graph is checked when the service starts, so that nothing is missing or circular at a request.
"""

from sanic_ms.container.container import Container
from sanic_ms.container.graph import GraphCheck
from sanic_ms.container.providers import Providers, Scope, ServiceProvider, name_of
from sanic_ms.container.recipes import Recipe
from sanic_ms.container.scope import ParameterSource, ServiceScope
from sanic_ms.values.depends import Depends

__all__ = [
    "Container",
    "Depends",
    "GraphCheck",
    "ParameterSource",
    "Providers",
    "Recipe",
    "Scope",
    "ServiceProvider",
    "ServiceScope",
    "name_of",
]
