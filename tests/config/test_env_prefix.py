"""The application's own prefix for variables, named in a file or in a variable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sanic_ms.config import Loaded, Settings, load_settings
from sanic_ms.exception import ConfigError

ENV = {"PORT": "9000", "SANIC_PORT": "9001", "SHOP_PORT": "9002"}


def load(folder: Path, env: dict[str, str], **keywords: Any) -> Loaded[Settings]:
    """From the test's folder, with nothing of this machine."""
    (folder / "secrets").mkdir(exist_ok=True)
    return load_settings(env=env, directory=folder, secrets="secrets", **keywords)


PLACES = {
    "sanic-ms.toml": 'env_prefix = "SHOP_"\n',
    "settings.py": 'ENV_PREFIX = "SHOP_"\n',
    ".env": "SANIC_MS_ENV_PREFIX=SHOP_\n",
}


@pytest.mark.parametrize("file", sorted(PLACES))
def test_a_file_names_the_prefix(tmp_path: Path, file: str) -> None:
    """It takes the place of ``SANIC_``, and commands that load no service see it too."""
    assert load(tmp_path, ENV).settings.port == 9001
    (tmp_path / file).write_text(PLACES[file])
    loaded = load(tmp_path, ENV)
    assert loaded.settings.port == 9002
    assert loaded.sources["PORT"] == "environment variable SHOP_PORT"


def test_the_variable_wins_over_files_and_the_argument_over_all(tmp_path: Path) -> None:
    """Argument > variable > TOML > settings module; ``SANIC_MS_`` stays above any prefix."""
    (tmp_path / "settings.py").write_text('ENV_PREFIX = "A_"\n')
    env = {"A_PORT": "9001", "B_PORT": "9002", "C_PORT": "9003", "D_PORT": "9004", "PORT": "9005"}
    assert load(tmp_path, env).settings.port == 9001
    (tmp_path / "sanic-ms.toml").write_text('ENV_PREFIX = "B_"\n')
    assert load(tmp_path, env).settings.port == 9002
    env["SANIC_MS_ENV_PREFIX"] = "C_"
    assert load(tmp_path, env).settings.port == 9003
    assert load(tmp_path, env, env_prefix="D_").settings.port == 9004
    assert load(tmp_path, env, env_prefix=None).settings.port == 9005
    assert load(tmp_path, env | {"SANIC_MS_PORT": "9006"}).settings.port == 9006


@pytest.mark.parametrize(
    "text", ["3", '"A B"', '"Ä_"', "[1]"], ids=["number", "space", "letter", "list"]
)
def test_what_no_name_begins_with_is_an_error(tmp_path: Path, text: str) -> None:
    """One line with the source."""
    (tmp_path / "sanic-ms.toml").write_text(f"env_prefix = {text}\n")
    with pytest.raises(ConfigError, match=r"^ENV_PREFIX=.*\(sanic-ms.toml\): allowed is the beg"):
        load(tmp_path, {})
