"""Sections: settings by subject, each on its own, composed into one class."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from sanic_ms.config import Settings
from sanic_ms.config.sections.compose import SectionsMeta
from sanic_ms.config.sections.serving import ServingSection
from sanic_ms.config.sections.tracing import TracingSection


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    stripe_key: str
    basket_limit: Annotated[int, Meta(ge=1)] = 50
    tags: list[str] = msgspec.field(default_factory=lambda: ["new"])


class Composed(ServingSection, Shop, metaclass=SectionsMeta, frozen=True, kw_only=True):
    colour: str = "red"


def test_sections_stand_alone() -> None:
    """A package can be made with its own section, without all the other settings."""
    assert TracingSection(trace_sample=0.5).trace_sample == 0.5


def test_a_composed_class_has_the_fields_of_all_sections() -> None:
    """Defaults, factories, required fields and the class's own come along, and stay checked."""
    settings = Composed(stripe_key="sk", port=9000)
    assert (settings.port, settings.basket_limit, settings.colour) == (9000, 50, "red")
    assert settings.tags == ["new"]
    assert settings.tags is not Composed(stripe_key="sk").tags
    with pytest.raises(TypeError, match="stripe_key"):
        Composed()  # type: ignore[call-arg]
    with pytest.raises(msgspec.ValidationError, match=">= 1"):
        msgspec.convert({"stripe_key": "sk", "basket_limit": 0}, Composed)
    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc]


def test_an_application_adds_a_section_to_the_settings() -> None:
    """A subclass of `Settings` with a further section is a `Settings`."""

    class ShopSettings(Settings, Shop, frozen=True, kw_only=True):
        pass

    settings = ShopSettings(stripe_key="sk", workers=2)
    assert isinstance(settings, Settings)
    assert (settings.workers, settings.basket_limit) == (2, 50)


def test_two_sections_cannot_have_one_field() -> None:
    """The second would silently decide the default of the first."""

    class Other(msgspec.Struct, frozen=True, kw_only=True):
        basket_limit: int = 7

    with pytest.raises(TypeError, match=r"Twice: Other repeats the field basket_limit"):

        class Twice(Shop, Other, metaclass=SectionsMeta, frozen=True, kw_only=True):
            pass
