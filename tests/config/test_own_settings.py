"""The class of an application's own settings."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

import msgspec
import pytest

from sanic_ms import Service, Settings
from sanic_ms.config import load_settings
from sanic_ms.config.sections.compose import SectionsMeta


class Unrelated:
    """No settings."""

    port = 1


@pytest.mark.parametrize(
    "given",
    [Unrelated, {"port": 1}, "settings", Settings(), int],
    ids=lambda entry: type(entry).__name__,
)
def test_settings_are_a_class_of_settings(given: Any) -> None:
    """Anything else is a `TypeError` where it is given, which says what to write."""
    with pytest.raises(TypeError, match=r"give a subclass of sanic_ms\.Settings"):
        Service(f"own-{uuid.uuid4().hex}", settings=given)
    with pytest.raises(TypeError, match=r"give a subclass of sanic_ms\.Settings"):
        load_settings(given)


@pytest.mark.parametrize(
    "annotation",
    [str, bool, int | None, float, Literal["a"], list[int]],
    ids=str,
)
def test_a_setting_of_the_frameworks_keeps_its_type(annotation: Any) -> None:
    """Another type under its name would reach the framework."""
    namespace = {"__annotations__": {"port": annotation}, "port": None, "__module__": __name__}
    own: Any = SectionsMeta("ShopSettings", (Settings,), namespace, frozen=True, kw_only=True)
    with pytest.raises(TypeError, match=r"ShopSettings\.port has the name .* PORT, which is int"):
        Service(f"own-{uuid.uuid4().hex}", settings=own)


class ShopSettings(Settings, frozen=True, kw_only=True):
    """Says three of the framework's again."""

    port: int = 9000
    db_url: str
    environment: Literal["staging", "production"] = "staging"
    basket_limit: Annotated[int, msgspec.Meta(ge=1)] = 50


def test_a_setting_of_the_frameworks_may_have_another_default() -> None:
    """Or a type that takes less, such as one that must be given."""
    app = Service(f"own-{uuid.uuid4().hex}", settings=ShopSettings)
    app.configure(db_url="sqlite://:memory:")
    settings = app.settings
    assert (settings.port, settings.environment) == (9000, "staging")
