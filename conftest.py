"""The kit's plugin for the tests of this project.

Its entry point is switched off in pyproject.toml: pytest loads those before pytest-cov begins, and
what they import would not be measured. A project that uses the kit needs none of this.
"""

from __future__ import annotations

import os
import sys

pytest_plugins = ["sanic_ms.testing.plugin"]

# Python takes a module for unchanged that was written again within the same second and is as long
# as before, as tests do; so what they and their processes import leaves no bytecode.
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
