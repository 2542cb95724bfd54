"""The kit's plugin for the tests of this project.

Its entry point is switched off in pyproject.toml: pytest loads those before pytest-cov begins, and
what they import would not be measured. A project that uses the kit needs none of this.
"""

from __future__ import annotations

pytest_plugins = ["sanic_ms.testing.plugin"]
