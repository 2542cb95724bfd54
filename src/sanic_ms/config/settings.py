"""The settings of a service: all groups, and what an application adds."""

from __future__ import annotations

from sanic_ms.config.groups.operation import Operation
from sanic_ms.config.groups.types import Secret

__all__ = ["PREFIX", "Secret", "Settings"]

PREFIX = "SANIC_MS_"
"""What may stand before a setting's name in the environment, and wins over the bare name."""


class Settings(Operation, frozen=True, kw_only=True):
    """What a service can be told from outside.

    The name of a setting is that of its attribute in upper case. Subclass it to add typed settings
    of your own; an attribute without a default must then be given::

        class ShopSettings(Settings, frozen=True, kw_only=True):
            stripe_key: Annotated[str, Secret]
            basket_limit: Annotated[int, Meta(ge=1, description="most items in a basket")] = 50
    """
