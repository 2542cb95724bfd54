"""The OpenAPI document of a service: its routes, and what is said of them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sanic_ms.exception import LifecycleError
from sanic_ms.http.described_routes import describe_routes
from sanic_ms.http.policies import requirements_of
from sanic_ms.openapi import KNOWN_SECURITY_SCHEMES, build

if TYPE_CHECKING:
    from sanic_ms.service.service import Service

__all__ = ["ServiceDocument"]


class ServiceDocument:
    """What the document says beside the routes; the arguments are those of `Service`.

    Raises:
        TypeError: one of them is not what OpenAPI writes. The text says which.
    """

    def __init__(
        self,
        servers: Sequence[str | Mapping[str, Any]],
        security_schemes: Mapping[str, Mapping[str, Any]] | None,
        security: Sequence[Mapping[str, Sequence[str]]],
    ) -> None:
        self._servers = _checked_servers(servers)
        self._schemes = _checked_schemes(security_schemes or {})
        self._security = _checked_security(security)

    def check(self, app: Service) -> None:
        """See that every security scheme that is asked for is declared.

        Raises:
            LifecycleError: one is not. The text names the route.
        """
        known = {*self._schemes, *KNOWN_SECURITY_SCHEMES}
        asked = [("security=", requirement) for requirement in self._security]
        for where, requirement in (*asked, *requirements_of(app)):
            for name in requirement:
                if name not in known:
                    raise LifecycleError(
                        f"{where} asks for the security scheme {name!r}, which is not declared "
                        f"(known: {', '.join(sorted(known))}): write "
                        f'Service(…, security_schemes={{"{name}": {{"type": …}}}})'
                    )

    def build(self, app: Service) -> dict[str, Any]:
        """The document. The service is compiled."""
        settings = app.settings
        return build(
            describe_routes(app),
            envelope=app.envelope,
            title=settings.api_title or app.name,
            version=settings.api_version,
            description=settings.api_description,
            servers=self._servers,
            security_schemes=self._schemes,
            security=self._security,
        )


def _checked_servers(
    servers: Sequence[str | Mapping[str, Any]],
) -> list[str | Mapping[str, Any]]:
    if isinstance(servers, (str, Mapping)):
        raise TypeError(f"servers={servers!r}: write a list, [{servers!r}]")
    for server in servers:
        url = server.get("url") if isinstance(server, Mapping) else server
        if not isinstance(url, str) or not url:
            raise TypeError(f"servers=: {server!r} is no URL, and no mapping with a url")
    return list(servers)


def _checked_schemes(schemes: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    if not isinstance(schemes, Mapping):
        raise TypeError(f"security_schemes={schemes!r}: write {{name: {{'type': …}}}}")
    for name, scheme in schemes.items():
        if not isinstance(scheme, Mapping) or not isinstance(scheme.get("type"), str):
            raise TypeError(
                f"security_schemes={{{name!r}: {scheme!r}}}: write it as OpenAPI does, "
                "{'type': 'apiKey', 'in': 'header', 'name': 'X-Key'}"
            )
    return dict(schemes)


def _checked_security(
    security: Sequence[Mapping[str, Sequence[str]]],
) -> list[Mapping[str, Sequence[str]]]:
    if isinstance(security, (str, Mapping)):
        raise TypeError(f"security={security!r}: write a list of {{scheme: [scopes]}}")
    for requirement in security:
        scopes = requirement.values() if isinstance(requirement, Mapping) else [""]
        if any(isinstance(each, str) for each in scopes):
            raise TypeError(f"security=: {requirement!r} is no {{scheme: [scopes]}}")
    return list(security)
