"""The settings of a service: all sections, and what an application adds."""

from __future__ import annotations

from sanic_ms.config.sections.answers import AnswersSection
from sanic_ms.config.sections.blocking import BlockingSection
from sanic_ms.config.sections.cache import CacheSection
from sanic_ms.config.sections.compose import SectionsMeta
from sanic_ms.config.sections.databases import DatabasesSection
from sanic_ms.config.sections.logs import LogsSection
from sanic_ms.config.sections.metrics import MetricsSection
from sanic_ms.config.sections.operation import OperationSection
from sanic_ms.config.sections.redis import RedisSection
from sanic_ms.config.sections.safety import SafetySection
from sanic_ms.config.sections.services import ServicesSection
from sanic_ms.config.sections.serving import ServingSection
from sanic_ms.config.sections.tracing import TracingSection
from sanic_ms.config.sections.types import Secret

__all__ = ["PREFIX", "SANIC_PREFIX", "Secret", "Settings"]

PREFIX = "SANIC_MS_"
"""What may stand before a setting's name in the environment, and wins over the bare name."""

SANIC_PREFIX = "SANIC_"
"""The same of Sanic, where an application has none of its own."""


class Settings(
    ServingSection,
    DatabasesSection,
    RedisSection,
    CacheSection,
    ServicesSection,
    AnswersSection,
    TracingSection,
    LogsSection,
    MetricsSection,
    SafetySection,
    OperationSection,
    BlockingSection,
    metaclass=SectionsMeta,
    frozen=True,
    kw_only=True,
):
    """What a service can be told from outside.

    The name of a setting is that of its attribute in upper case. Subclass it to add typed settings
    of your own; an attribute without a default must then be given::

        class ShopSettings(Settings, frozen=True, kw_only=True):
            stripe_key: Annotated[str, Secret]
            basket_limit: Annotated[int, Meta(ge=1, description="most items in a basket")] = 50
    """
