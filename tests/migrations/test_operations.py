"""The definition of a MySQL column, with its nullability changed and nothing else."""

from __future__ import annotations

import pytest

from sanic_ms.migrations.operations import with_nullability


@pytest.mark.parametrize(
    ("given", "forbidding", "allowing"),
    [
        ("`a` int(11) DEFAULT NULL", "`a` int(11) NOT NULL", "`a` int(11) NULL"),
        ("`a` int(11) NOT NULL", "`a` int(11) NOT NULL", "`a` int(11) NULL"),
        (
            "`a` varchar(9) COLLATE utf8mb4_bin NOT NULL DEFAULT 'NOT NULL' COMMENT 'is NULL''s'",
            "`a` varchar(9) COLLATE utf8mb4_bin NOT NULL DEFAULT 'NOT NULL' COMMENT 'is NULL''s'",
            "`a` varchar(9) COLLATE utf8mb4_bin NULL DEFAULT 'NOT NULL' COMMENT 'is NULL''s'",
        ),
        (
            "`NULL DEFAULT` text DEFAULT NULL CHECK (json_valid(`NULL DEFAULT`))",
            "`NULL DEFAULT` text NOT NULL CHECK (json_valid(`NULL DEFAULT`))",
            "`NULL DEFAULT` text NULL CHECK (json_valid(`NULL DEFAULT`))",
        ),
        (
            "`t` timestamp NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()",
            "`t` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()",
            "`t` timestamp NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()",
        ),
        (
            "`id` int(11) NOT NULL AUTO_INCREMENT",
            "`id` int(11) NOT NULL AUTO_INCREMENT",
            "`id` int(11) NULL AUTO_INCREMENT",
        ),
    ],
)
def test_only_the_nullability_changes(given: str, forbidding: str, allowing: str) -> None:
    """Words in texts and names are no keywords, and saying it twice is saying it once."""
    assert with_nullability(given, null=False) == forbidding
    assert with_nullability(given, null=True) == allowing
    assert with_nullability(forbidding, null=False) == forbidding
