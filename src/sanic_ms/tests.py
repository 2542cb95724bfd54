"""Tests of a service with unittest: ``from sanic_ms.tests import APITestCase``."""

from __future__ import annotations

from sanic_ms.testing.case import APITestCase

__all__ = ["APITestCase"]
