"""Settings: typed, layered, and each one knows where it came from."""

from sanic_ms.config.load import Loaded, load_config, load_settings
from sanic_ms.config.masking import mask
from sanic_ms.config.settings import Secret, Settings

__all__ = ["Loaded", "Secret", "Settings", "load_config", "load_settings", "mask"]
