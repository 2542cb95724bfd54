"""The form of answers, and their documents."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sanic_ms.config.sections.types import HttpPath

__all__ = ["AnswersSection"]


class AnswersSection(msgspec.Struct, frozen=True, kw_only=True):
    """The form of answers, and their documents."""

    envelope: Annotated[
        Literal["default", "off", "problem"],
        Meta(description="shape of answers; problem is RFC 9457 for errors"),
    ] = "default"
    docs: Annotated[
        bool,
        Meta(description="serve the OpenAPI document and its page; off in production unless set"),
    ] = True
    openapi_path: Annotated[HttpPath, Meta(description="path of the OpenAPI document")] = (
        "/openapi/spec.json"
    )
    docs_path: Annotated[HttpPath, Meta(description="path of the docs page")] = "/docs"
    api_title: Annotated[
        str | None, Meta(description="title of the API; default is the service's name")
    ] = None
    api_version: Annotated[str, Meta(description="version of the API")] = "1.0.0"
    api_description: Annotated[str, Meta(description="text about the API, in Markdown")] = ""
