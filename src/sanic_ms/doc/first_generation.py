"""``doc.route``: several declarations in one decorator, as the first generation had it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sanic_ms.doc import decorators

__all__ = ["route"]

Handler = TypeVar("Handler", bound=Callable[..., Any])


def route(
    summary: str | None = None,
    description: str | None = None,
    consumes: Any = None,
    produces: Any = None,
    consumes_content_type: str | Sequence[str] | None = None,
    produces_content_type: str | Sequence[str] | None = None,
) -> Callable[[Handler], Handler]:
    """The same as `doc.summary`, `doc.description`, `doc.consumes` and `doc.produces` together.

    Args:
        summary, description, consumes, produces: The argument of the decorator of that name;
            default: it is left out.
        consumes_content_type, produces_content_type: Its ``content_type``; a list has one element.

    Raises:
        TypeError: what those decorators raise, or a list of several media types.
    """
    chosen: list[Callable[[Any], Any]] = []
    if summary is not None:
        chosen.append(decorators.summary(summary))
    if description is not None:
        chosen.append(decorators.description(description))
    if consumes is not None:
        media_type = _only("consumes_content_type", consumes_content_type)
        chosen.append(decorators.consumes(consumes, content_type=media_type))
    if produces is not None:
        media_type = _only("produces_content_type", produces_content_type)
        chosen.append(decorators.produces(produces, content_type=media_type or "application/json"))

    def decorate(handler: Handler) -> Handler:
        for decorator in chosen:
            handler = decorator(handler)
        return handler

    return decorate


def _only(name: str, media_types: str | Sequence[str] | None) -> str | None:
    if media_types is None or isinstance(media_types, str):
        return media_types
    if len(media_types) != 1:
        raise TypeError(f"doc.route({name}={media_types!r}): give one media type")
    return media_types[0]
