"""All the sources, one over the other, made into one checked `Settings`."""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import Any, Generic, TypeVar, overload
from urllib.parse import urlsplit

import msgspec

from sanic_ms.config import first_generation, sources
from sanic_ms.config.convert import allowed, convert
from sanic_ms.config.given import Given, Layer
from sanic_ms.config.masking import MASK, mask
from sanic_ms.config.own_settings import check_settings_class
from sanic_ms.config.safety import check_safety
from sanic_ms.config.secret_files import DEFAULT_FOLDER, SUFFIX, SecretFile
from sanic_ms.config.settings import PREFIX, SANIC_PREFIX, Settings
from sanic_ms.exception import ConfigError
from sanic_ms.values import DatabaseURL

__all__ = ["Loaded", "load_config", "load_settings"]

log = logging.getLogger("sanic_ms.config")

MODULE_VARIABLE = f"{PREFIX}SETTINGS"
TOML_VARIABLE = f"{PREFIX}TOML"
SECRETS_VARIABLE = f"{PREFIX}SECRETS_DIR"
PREFIX_NAME = "ENV_PREFIX"
DEFAULT_MODULE = "settings"
DEFAULT_TOML = "sanic-ms.toml"

# Names without the prefix that are no settings, but are ours.
_VARIABLES = ("SETTINGS", "TOML", "SECRETS_DIR", "METRICS_FOLDER", PREFIX_NAME)
_LONGEST_SHOWN = 100
_PREFIX_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

S = TypeVar("S", bound=Settings)
S_co = TypeVar("S_co", bound=Settings, covariant=True)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S_co]):
    """Settings, and where each came from.

    Attributes:
        settings: The checked values.
        sources: For each upper-case name, `extra` included: ``"default"``, ``"settings.py"``,
            ``"sanic-ms.toml"``, ``"file /run/secrets/port"``, ``".env line 3"``, ``"environment
            variable PORT"``, ``"environment variable PORT_FILE, file /etc/port"``, ``"keyword"``.
        extra: Values of the module, the TOML file and the keywords whose names are no setting, by
            upper-case name, as they stood there. They become entries of ``app.config``.
        from_files: The upper-case names of the settings whose values are those of secret files.
    """

    settings: S_co
    sources: dict[str, str]
    extra: dict[str, Any]
    from_files: frozenset[str] = frozenset()

    def masked(self) -> dict[str, Any]:
        """Every value, `extra` included, by upper-case name, as it may be shown: one of a secret
        file as a secret, whatever its name."""
        kind = type(self.settings)
        values = {
            name.upper(): getattr(self.settings, name) for name in self.settings.__struct_fields__
        }
        return {
            name: mask(name, value, kind, secret=name in self.from_files)
            for name, value in (values | self.extra).items()
        }


@overload
def load_settings(
    *,
    keywords: Mapping[str, Any] | None = ...,
    config: Mapping[str, Any] | None = ...,
    env_prefix: str | EllipsisType | None = ...,
    env: Mapping[str, str] | None = ...,
    directory: str | os.PathLike[str] | None = ...,
    module: str | None = ...,
    toml: str | os.PathLike[str] | None = ...,
    secrets: str | os.PathLike[str] | None = ...,
) -> Loaded[Settings]: ...
@overload
def load_settings(
    cls: type[S],
    *,
    keywords: Mapping[str, Any] | None = ...,
    config: Mapping[str, Any] | None = ...,
    env_prefix: str | EllipsisType | None = ...,
    env: Mapping[str, str] | None = ...,
    directory: str | os.PathLike[str] | None = ...,
    module: str | None = ...,
    toml: str | os.PathLike[str] | None = ...,
    secrets: str | os.PathLike[str] | None = ...,
) -> Loaded[S]: ...
def load_settings(
    cls: type[Any] = Settings,
    *,
    keywords: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    env_prefix: str | EllipsisType | None = ...,
    env: Mapping[str, str] | None = None,
    directory: str | os.PathLike[str] | None = None,
    module: str | None = None,
    toml: str | os.PathLike[str] | None = None,
    secrets: str | os.PathLike[str] | None = None,
) -> Loaded[Any]:
    """Read every source and check the result. It keeps nothing, so calling it again reads again.

    Each layer wins over those before it: defaults, the settings module, the TOML file, the folder
    of secrets, the ``.env`` file, the environment, ``config``, ``keywords``. Only the value that
    wins is checked, or read where it stands in a secret file. An unknown name that is nearly a
    setting's is warned of in the log ``sanic_ms.config``.

    Args:
        cls: The settings to load; a subclass of `Settings` for typed settings of your own.
        keywords: The highest layer; names in lower or upper case.
        config: What code has set on Sanic's ``app.config``, likewise.
        env_prefix: What the application's variables begin with: a name with it wins over the bare
            one, and one with ``SANIC_MS_`` over both. None: there are none. Default
            ``SANIC_MS_ENV_PREFIX`` of the environment or ``.env``, then ``ENV_PREFIX`` of the TOML
            file or the settings module, then ``SANIC_``.
        env: The environment. Default ``os.environ``.
        directory: The folder of the module and the files. Default the working directory.
        module: The settings module. Default ``SANIC_MS_SETTINGS`` of the environment or ``.env``;
            then ``settings``, which may be missing. A module that was named may not.
        toml: The TOML file. Default ``SANIC_MS_TOML`` of the environment or ``.env``; then
            ``sanic-ms.toml``, which may be missing. A file that was named may not.
        secrets: The folder of secrets, whose files have the names of settings. Default
            ``SANIC_MS_SECRETS_DIR`` of the environment or ``.env``; then ``/run/secrets``, which
            may be missing. A folder that was named may not.

    Raises:
        ConfigError: a value or a source is wrong. One line that names the setting, the value
            (masked if secret), the source and what is allowed.
        TypeError: ``cls`` is no subclass of `Settings`, or gives a setting of the framework another
            type.
    """
    check_settings_class(cls)
    folder = Path(directory or ".").absolute()
    environment: Mapping[str, str] = os.environ if env is None else env
    entries = sources.load_dotenv(folder / ".env")
    named_by = {key: entry.value for key, entry in entries.items()} | dict(environment)
    for variable in (MODULE_VARIABLE, first_generation.MODULE_VARIABLE):
        module = module or named_by.get(variable) or None
    toml = toml or named_by.get(TOML_VARIABLE) or None

    files = (
        sources.from_module(module or DEFAULT_MODULE, folder, required=module is not None),
        sources.from_toml(folder / (toml or DEFAULT_TOML), required=toml is not None),
    )
    if env_prefix is ...:
        env_prefix = _env_prefix(files, named_by)
    prefixes = tuple(filter(None, (env_prefix, PREFIX)))
    secrets = secrets or named_by.get(SECRETS_VARIABLE) or None
    texts = (
        sources.from_secrets(
            folder / (secrets or DEFAULT_FOLDER), prefixes, cls, required=secrets is not None
        ),
        sources.from_dotenv(entries, prefixes, cls, folder),
        sources.from_environment(environment, prefixes, cls, folder),
    )
    direct = (
        sources.from_keywords(config or {}, "app.config"),
        sources.from_keywords(keywords or {}),
    )
    layers = [first_generation.renamed(layer) for layer in (*files, *texts, *direct)]

    fields = {field.name.upper(): field for field in msgspec.structs.fields(cls)}
    _warn_of_near_misses(
        {*fields, *_VARIABLES, *(f"{name}{SUFFIX}" for name in fields)},
        _unchecked_names((*files, texts[1], *direct), environment),
    )
    given: Layer = {}
    for layer in layers:
        if not _DATABASE.isdisjoint(layer):
            # The two say the same thing: a layer that gives either decides both.
            given = {name: value for name, value in given.items() if name not in _DATABASE}
        given |= {name: value for name, value in layer.items() if name in fields}
    values = {name: _checked(name, value, fields[name].type, cls) for name, value in given.items()}
    origin = {name: given[name].source if name in given else "default" for name in fields}
    _fold_database(values, origin)
    for name, field in fields.items():
        if field.required and name not in values:
            raise ConfigError(
                f"the setting {name} is missing: give it in the environment, in .env, in "
                f"{DEFAULT_TOML} or in the settings module; allowed is {allowed(field.type)}"
            )
    if values.get("ENVIRONMENT", fields["ENVIRONMENT"].default) == "production":
        values.setdefault("DOCS", False)  # callers that nobody knows learn all there is from them
    settings = _build(cls, values)
    _check_together(settings, origin)

    extra: dict[str, Any] = {}
    for layer in (*files, *direct):
        for name, value in layer.items():
            if name not in fields:
                extra[name] = value.value
                origin[name] = value.source
    from_files = {name for name, value in given.items() if isinstance(value.value, SecretFile)}
    if "DB_CONFIG" in from_files:
        from_files.add("DB_URL")  # which says the same
    return Loaded(settings, origin, extra, frozenset(from_files))


def load_config() -> dict[str, Any]:
    """The settings of the working directory by their upper-case names, with whatever else its files
    hold: how the first generation read them.

    Raises:
        ConfigError: a value or a source is wrong.
    """
    loaded = load_settings()
    values = msgspec.structs.asdict(loaded.settings)
    return {name.upper(): value for name, value in values.items()} | loaded.extra


def _env_prefix(files: Sequence[Layer], named_by: Mapping[str, str]) -> str:
    """The application's own prefix, where a source names one; Sanic's otherwise."""
    prefix, source = named_by.get(f"{PREFIX}{PREFIX_NAME}"), f"variable {PREFIX}{PREFIX_NAME}"
    for layer in reversed(files):
        if not prefix and PREFIX_NAME in layer:
            prefix, source = layer[PREFIX_NAME]
    if not prefix:
        return SANIC_PREFIX
    if not isinstance(prefix, str) or not _PREFIX_PATTERN.fullmatch(prefix):
        raise ConfigError(
            f"{PREFIX_NAME}={prefix!r} ({source}): allowed is the beginning of a variable's name, "
            "such as SHOP_"
        )
    return prefix


def _build(cls: type[S], values: Mapping[str, Any]) -> S:
    try:
        return cls(**{name.lower(): value for name, value in values.items()})
    except (TypeError, ValueError) as exc:  # a __post_init__ of the application's own
        raise ConfigError(" ".join(str(exc).split())) from exc


def _checked(name: str, given: Given, kind: Any, cls: type[Settings]) -> Any:
    in_file = isinstance(given.value, SecretFile)
    try:
        raw = given.value.read() if in_file else given.value
    except ValueError as exc:
        raise ConfigError(f"{name} ({given.source}): {exc}") from None
    try:
        value = convert(raw, kind)
    except (ValueError, TypeError, OverflowError):
        # "from None", here and below: the text of the cause may show the value.
        words = f"allowed is {allowed(kind)}"
        shown = MASK if in_file else raw
        raise ConfigError(_sentence(name, shown, given.source, words, cls)) from None
    check = _CHECKS.get(name)
    if check is None or value is None:
        return value
    items = value.items() if isinstance(value, dict) and name != "DB_CONFIG" else [("", value)]
    for key, item in items:
        try:
            check(item)
        except ValueError as exc:
            label = f"{name}[{key!r}]" if key else name
            shown = MASK if in_file else item
            raise ConfigError(_sentence(label, shown, given.source, str(exc), cls)) from None
    return value


def _check_base_url(value: str) -> None:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("allowed is a base URL such as http://127.0.0.1:8001")
    parts.port  # noqa: B018 - reading it checks it


_DATABASE = {"DB_URL", "DB_CONFIG"}
_CHECKS: Mapping[str, Callable[[Any], object]] = {
    "DB_URL": DatabaseURL.parse,
    "DB_CONFIG": DatabaseURL.parse,
    "DATABASES": DatabaseURL.parse,
    "SERVICES": _check_base_url,
}


def _sentence(label: str, value: Any, source: str, words: str, cls: type[Settings]) -> str:
    masked = mask(label.partition("[")[0], value, cls)
    shown = MASK if masked == MASK else repr(masked)
    if len(shown) > _LONGEST_SHOWN:
        shown = f"{shown[:_LONGEST_SHOWN]}…"
    return f"{label}={shown} ({source}): {words}"


def _fold_database(values: dict[str, Any], origin: dict[str, str]) -> None:
    """Let ``DB_URL`` say what ``DB_CONFIG`` says."""
    config = values.get("DB_CONFIG")
    if config is None:
        return
    url = DatabaseURL.parse(config)
    if values.get("DB_URL") is None:
        values["DB_URL"] = url.url
        origin["DB_URL"] = f"{origin['DB_CONFIG']} (DB_CONFIG)"
    elif DatabaseURL.parse(values["DB_URL"]) != url:
        raise ConfigError(
            f"DB_URL={mask('DB_URL', values['DB_URL'])!r} ({origin['DB_URL']}) and DB_CONFIG "
            f"({origin['DB_CONFIG']}) name different databases: give one of them"
        )


def _check_together(settings: Settings, origin: Mapping[str, str]) -> None:
    if settings.db_pool_min > settings.db_pool_max:
        raise ConfigError(
            f"DB_POOL_MIN={settings.db_pool_min} ({origin['DB_POOL_MIN']}): allowed is at most "
            f"DB_POOL_MAX, which is {settings.db_pool_max} ({origin['DB_POOL_MAX']})"
        )
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise ConfigError("TLS_CERT and TLS_KEY belong together: set both, or neither")
    check_safety(settings, origin)


def _warn_of_near_misses(known: Iterable[str], given: Iterable[tuple[str, str]]) -> None:
    """Warn of each name that is no setting and differs from one by a letter or two."""
    names = sorted(known)
    for name, source in given:
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
        # Longer names are alike by what they share (REQUEST_BUFFER_SIZE is no slip of
        # REQUEST_MAX_SIZE), so their length counts as well.
        if name not in names and close and abs(len(name) - len(close[0])) <= 2:
            log.warning("unknown setting %s (%s); did you mean %s?", name, source, close[0])


def _unchecked_names(layers: Iterable[Layer], env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The names that might be slips: of the environment only those with our prefix."""
    for layer in layers:
        for name, value in layer.items():
            yield name, value.source
    for name in env:
        if name.startswith(PREFIX):
            yield name.removeprefix(PREFIX), f"environment variable {name}"
