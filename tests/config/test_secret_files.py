"""Settings in files: ``NAME_FILE`` in the environment and ``.env``, and the folder of secrets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest

from sanic_ms.config import Loaded, Secret, Settings, load_settings
from sanic_ms.exception import ConfigError

Load = Callable[..., Loaded[Any]]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder of secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    return folder


@pytest.fixture
def load(tmp_path: Path, secrets: Path) -> Load:
    """Load from the test's folders, and with nothing of this machine."""

    def call(
        env: dict[str, str] | None = None, kind: type[Settings] = Settings, **keywords: Any
    ) -> Loaded[Any]:
        return load_settings(kind, env=env or {}, directory=tmp_path, secrets=secrets, **keywords)

    return call


class ShopSettings(Settings, frozen=True, kw_only=True):
    stripe_key: Annotated[str, Secret] = ""
    limit: int = 1
    log_file: str = "-"
    log: str = "-"


def message(load: Load, *args: Any, **keywords: Any) -> str:
    """The one line of the error."""
    with pytest.raises(ConfigError) as caught:
        load(*args, **keywords)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"], ids=["none", "lf", "crlf", "two"])
def test_a_variable_names_the_file_of_a_setting(load: Load, secrets: Path, end: str) -> None:
    """The content is the value, without line ends at its end; both places are the source."""
    file = secrets / "elsewhere"
    file.write_bytes(f"sqlite:///a b.db{end}".encode())
    loaded = load({"DB_URL_FILE": str(file)})
    assert loaded.settings.db_url == "sqlite:///a b.db"
    assert loaded.sources["DB_URL"] == f"environment variable DB_URL_FILE, file {file}"


def test_a_file_is_text_as_a_variable_is(load: Load, secrets: Path) -> None:
    """Converted by the type; spaces and lines inside stay, a byte order mark goes."""
    (secrets / "limit").write_text("7\n")
    (secrets / "stripe_key").write_bytes(b"\xef\xbb\xbf one\ntwo \n")
    settings = load(kind=ShopSettings).settings
    assert (settings.limit, settings.stripe_key) == (7, " one\ntwo ")


def test_an_empty_file_is_empty_text(load: Load, secrets: Path) -> None:
    """Nothing for a setting that may be nothing."""
    (secrets / "db_url").write_bytes(b"\n")
    assert load().settings.db_url is None


def test_dotenv_names_files_too(load: Load, tmp_path: Path) -> None:
    """A relative path starts from the service's folder."""
    (tmp_path / "token").write_text("t" * 20)
    (tmp_path / ".env").write_text("ADMIN_TOKEN_FILE=token\n")
    loaded = load()
    assert loaded.settings.admin_token == "t" * 20
    assert loaded.sources["ADMIN_TOKEN"] == ".env line 1, file token"


ORDER = ["sanic-ms.toml", "secrets", ".env", "environment", "keyword"]


@pytest.mark.parametrize("highest", range(len(ORDER)), ids=ORDER)
def test_the_order_of_sources(load: Load, tmp_path: Path, secrets: Path, highest: int) -> None:
    """TOML < folder < .env < environment < keyword; a NAME_FILE counts where it stands."""
    (tmp_path / "sanic-ms.toml").write_text("port = 9000\n")
    for layer in range(1, 4):
        (tmp_path / f"port{layer}").write_text(f"900{layer}")
    if highest >= 1:
        (secrets / "port").write_text("9001")
    if highest >= 2:
        (tmp_path / ".env").write_text("PORT_FILE=port2\n")
    env = {"PORT_FILE": "port3"} if highest >= 3 else {}
    keywords = {"port": 9004} if highest >= 4 else {}
    assert load(env, keywords=keywords).settings.port == 9000 + highest


def test_prefixes_count_for_files(load: Load, tmp_path: Path, secrets: Path) -> None:
    """In variables and in names of files; the longer word wins, by file or by value."""
    (tmp_path / "a").write_text("9001")
    assert load({"PORT": "9000", "SHOP_PORT_FILE": "a"}, env_prefix="SHOP_").settings.port == 9001
    assert load({"PORT_FILE": "a", "SANIC_MS_PORT": "9002"}).settings.port == 9002
    (secrets / "port").write_text("9003")
    (secrets / "shop_port").write_text("9004")
    loaded = load(env_prefix="SHOP_")
    assert loaded.settings.port == 9004
    assert loaded.sources["PORT"] == f"file {secrets / 'shop_port'}"


def test_a_setting_whose_own_name_ends_in_file_is_itself(load: Load) -> None:
    """``LOG_FILE`` is the setting ``log_file``, though there is a ``log``."""
    settings = load({"LOG_FILE": "a.log"}, ShopSettings).settings
    assert (settings.log_file, settings.log) == ("a.log", "-")


def test_both_a_value_and_a_file_are_an_error(load: Load, tmp_path: Path) -> None:
    """Which one is meant would be a guess. An empty one is not given, as in compose files."""
    (tmp_path / "url").write_text("sqlite:///f.db")
    text = message(load, {"DB_URL": "sqlite:///v.db", "DB_URL_FILE": "url"})
    assert text == (
        "DB_URL (environment variable DB_URL) and DB_URL_FILE (environment variable DB_URL_FILE) "
        "are both given: leave one of them out"
    )
    assert load({"DB_URL": "", "DB_URL_FILE": "url"}).settings.db_url == "sqlite:///f.db"
    assert load({"DB_URL": "sqlite:///v.db", "DB_URL_FILE": ""}).settings.db_url == "sqlite:///v.db"


def test_a_file_that_does_not_count_is_not_read(load: Load, secrets: Path) -> None:
    """Only the value that counts is checked."""
    (secrets / "port").write_bytes(b"\xff")
    assert load({"PORT": "9001"}).settings.port == 9001
    assert load({"PORT_FILE": "/missing"}, keywords={"port": 9002}).settings.port == 9002


BAD = {
    "missing": (None, "the file cannot be read: No such file or directory"),
    "binary": (b"\xff\xfe\x00", "the file is not UTF-8: invalid start byte at byte 0"),
    "zero": (b"ab\0cd", "the file is no text: it holds a byte of zero"),
    "huge": (b"x" * (2 << 20), "the file is over 1048576 bytes, so it holds no setting"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_file_that_cannot_be_read_is_one_clear_line(load: Load, secrets: Path, name: str) -> None:
    """It names the setting, the variable, the file and what is wrong."""
    content, words = BAD[name]
    file = secrets / "value"
    if content is not None:
        file.write_bytes(content)
    source = f"environment variable DB_URL_FILE, file {file}"
    assert message(load, {"DB_URL_FILE": str(file)}) == f"DB_URL ({source}): {words}"


def test_what_is_no_regular_file_is_refused_and_not_waited_for(load: Load, secrets: Path) -> None:
    """A folder, a pipe that nobody writes to, a device without an end."""
    os.mkfifo(secrets / "pipe")
    for path in (secrets, secrets / "pipe", Path("/dev/zero")):
        text = message(load, {"DB_URL_FILE": str(path)})
        assert text.endswith(f"file {path}): the path leads to no regular file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_without_permission_is_one_clear_line(load: Load, secrets: Path) -> None:
    """The platform's reason is shown."""
    (secrets / "db_url").touch(0o000)
    assert message(load).endswith("the file cannot be read: Permission denied")


def test_a_link_to_nowhere_is_not_silent(load: Load, secrets: Path) -> None:
    """A secret that was not mounted, under the name of a setting."""
    (secrets / "db_url").symlink_to(secrets / "nowhere")
    assert "cannot be read" in message(load)


def test_the_folder_holds_settings_and_anything_else(load: Load, secrets: Path) -> None:
    """Names in either case; what is no setting, or a folder, is left alone."""
    (secrets / "DB_URL").write_text("sqlite:///a.db")
    (secrets / "unrelated").write_bytes(b"\xff")
    (secrets / "port").mkdir()
    loaded = load()
    assert (loaded.settings.db_url, loaded.settings.port) == ("sqlite:///a.db", 8000)
    assert "UNRELATED" not in loaded.extra
    (secrets / "db_url").write_text("sqlite:///b.db")
    assert message(load).endswith("'db_url' is there twice, in upper and lower case")


def test_a_folder_that_is_named_must_exist(tmp_path: Path) -> None:
    """By argument, by variable or in ``.env``; one that is not named may be missing."""
    with pytest.raises(ConfigError, match=r"the folder of secrets .*/none: No such file"):
        load_settings(env={}, directory=tmp_path, secrets="none")
    with pytest.raises(ConfigError, match=r"the folder of secrets .*/none: No such file"):
        load_settings(env={"SANIC_MS_SECRETS_DIR": "none"}, directory=tmp_path)
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "port").write_text("9001")
    (tmp_path / ".env").write_text("SANIC_MS_SECRETS_DIR=mounted\n")
    assert load_settings(env={}, directory=tmp_path).settings.port == 9001


def test_a_folder_that_cannot_be_listed_is_asked_by_name(
    load: Load, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some systems open a secret to a service, and do not list the others for it."""
    (secrets / "port").write_text("9001")
    (secrets / "shop_host").write_text("h")

    def refuse(self: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    settings = load(env_prefix="shop_").settings
    assert (settings.port, settings.host) == (9001, "h")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert message(load) == f"the folder of secrets {secrets}: Permission denied"
    (secrets / "port").unlink()
    monkeypatch.setattr("sanic_ms.config.load.DEFAULT_FOLDER", str(secrets))
    assert load_settings(env={}, directory=secrets.parent).settings.port == 8000


def test_values_of_files_are_masked_as_secrets(load: Load, secrets: Path) -> None:
    """Whatever the setting's name; in messages as well."""
    (secrets / "api_title").write_text("hidden")
    (secrets / "db_config").write_text(
        '{"host": "h", "user": "u", "password": "p", "database": "d"}'
    )
    loaded = load()
    masked = loaded.masked()
    assert loaded.settings.api_title == "hidden"
    assert masked["API_TITLE"] == masked["DB_URL"] == "***"
    assert set(masked["DB_CONFIG"].values()) == {"***"}
    (secrets / "port").write_text("hidden")
    assert message(load) == (
        f"PORT=*** (file {secrets / 'port'}): allowed is a whole number from 1 to 65535"
    )
    (secrets / "port").unlink()
    (secrets / "services").write_text("a=hidden")
    assert "hidden" not in message(load)


def test_a_secret_in_the_wrong_variable_is_not_shown(load: Load) -> None:
    """Where the secret itself was put into ``NAME_FILE``, the error does not show it."""
    text = message(load, {"STRIPE_KEY_FILE": "sk_live_1"}, ShopSettings)
    assert "sk_live_1" not in text
    assert "***" in text
    assert ":hidden@" not in message(load, {"DB_URL_FILE": "mysql://app:hidden@db/users"})


def test_a_path_that_no_file_can_have_is_one_clear_line(load: Load, tmp_path: Path) -> None:
    """Too long for the system, or with a byte of zero."""
    assert "cannot be read" in message(load, {"PORT_FILE": "x" * 5000})
    assert "zero" in message(load, {"PORT_FILE": "a\0b"})
