"""Databases, models and migrations."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sanic_ms.config.sections.types import Seconds

__all__ = ["DatabasesSection"]


class DatabasesSection(msgspec.Struct, frozen=True, kw_only=True):
    """Databases, models and migrations."""

    db_url: Annotated[
        str | None,
        Meta(description="the service's database: a postgresql, mysql or sqlite URL"),
    ] = None
    db_config: Annotated[
        dict[str, str | int | None] | None,
        Meta(
            description="the same as a table: host, user, password, port, database (PostgreSQL)",
        ),
    ] = None
    databases: Annotated[dict[str, str], Meta(description="URLs of further databases, by name")] = (
        msgspec.field(default_factory=dict)
    )
    db_pool_min: Annotated[
        int, Meta(ge=0, description="connections that each worker opens at start")
    ] = 0
    db_pool_max: Annotated[
        int, Meta(ge=1, description="most connections that each worker holds")
    ] = 10
    db_acquire_timeout: Annotated[
        Seconds, Meta(description="seconds to wait for a free connection; over it is 503")
    ] = 5.0
    db_statement_timeout: Annotated[
        Seconds | None, Meta(description="seconds for one statement; empty means no limit")
    ] = 30.0
    db_pipeline: Annotated[
        bool,
        Meta(description="plain reads of several requests go behind one another on a connection"),
    ] = True
    db_reset: Annotated[
        Literal["auto", "always"],
        Meta(description="reset a connection unless its statements are proven harmless, or always"),
    ] = "auto"
    models: Annotated[
        list[str], Meta(description="modules that hold the models, for migrations")
    ] = msgspec.field(default_factory=lambda: ["models"])
    migrations: Annotated[str, Meta(min_length=1, description="folder of the migrations")] = (
        "migrations"
    )
    migrations_table: Annotated[
        str, Meta(min_length=1, description="table that records the applied migrations")
    ] = "schema_migration"
