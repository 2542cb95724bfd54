"""Settings whose values stand in files: ``DB_URL_FILE=/run/secrets/db_url``, and the folder of
secrets that container platforms mount.

A file is read only if its value is the one that counts.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sanic_ms.config.given import Given, Layer
from sanic_ms.config.masking import MASK, is_secret, mask_text
from sanic_ms.config.settings import Settings
from sanic_ms.exception import ConfigError

__all__ = ["DEFAULT_FOLDER", "SUFFIX", "SecretFile", "from_folder", "with_files"]

DEFAULT_FOLDER = "/run/secrets"
"""Where Docker, Podman and Compose mount secrets."""

SUFFIX = "_FILE"
"""The end of a variable that names the file of a setting."""

_LARGEST = 1 << 20  # bytes; Kubernetes takes no larger secret, Docker half of it


class SecretFile(NamedTuple):
    """A file that holds a setting's value."""

    path: Path

    def read(self) -> str:
        """The text of the file without the line ends at its end.

        Raises:
            ValueError: it is missing, cannot be read, is no regular file, is over 1 MiB or no text
                in UTF-8. The text says which, and shows nothing of the content.
        """
        try:
            content = self._content()
        except OSError as exc:
            raise ValueError(f"the file cannot be read: {exc.strerror}") from None
        if len(content) > _LARGEST:
            raise ValueError(f"the file is over {_LARGEST} bytes, so it holds no setting")
        try:
            text = content.decode("utf-8-sig")  # some editors write a byte order mark
        except UnicodeDecodeError as exc:
            raise ValueError(f"the file is not UTF-8: {exc.reason} at byte {exc.start}") from None
        if "\0" in text:
            raise ValueError("the file is no text: it holds a byte of zero")
        return text.rstrip("\r\n")

    def _content(self) -> bytes:
        if "\0" in str(self.path):
            raise ValueError("the path holds a byte of zero")
        # A pipe without a writer would block the start.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ValueError("the path leads to no regular file")
            parts, size = [], 0
            while size <= _LARGEST and (part := os.read(descriptor, _LARGEST + 1 - size)):
                parts.append(part)
                size += len(part)
            return b"".join(parts)
        finally:
            os.close(descriptor)


def with_files(layer: Layer, kind: type[Settings], directory: Path) -> Layer:
    """The variables with ``NAME_FILE`` as the value of the setting ``NAME``.

    An empty variable counts as not given where the other of the two is.

    Args:
        layer: Variables of one source and one prefix, without the prefix. It is not changed.
        kind: The class of the settings.
        directory: What a relative path starts from.

    Raises:
        ConfigError: ``NAME`` and ``NAME_FILE`` are both there.
    """
    names = {field.upper() for field in kind.__struct_fields__}
    result = dict(layer)
    for variable, given in layer.items():
        name = variable.removesuffix(SUFFIX)
        if name == variable or variable in names or name not in names:
            continue
        del result[variable]
        if not given.value:
            continue
        if name in layer and layer[name].value:
            raise ConfigError(
                f"{name} ({layer[name].source}) and {variable} ({given.source}) are both given: "
                "leave one of them out"
            )
        source = f"{given.source}, file {_shown_path(name, given.value, kind, directory)}"
        result[name] = Given(SecretFile(directory / given.value), source)
    return result


def from_folder(
    path: Path, kind: type[Settings], prefixes: Sequence[str], *, required: bool
) -> Layer:
    """The files of a folder whose names are settings, in lower or upper case; no other is opened.

    Args:
        path: The folder.
        kind: The class of the settings.
        prefixes: As for `from_environment`.
        required: False takes a folder that is missing or closed to this user as an empty one.

    Raises:
        ConfigError: the folder is required and missing or closed, or a name is there in both
            cases.
    """
    names = {
        prefix + field.upper() for prefix in ("", *prefixes) for field in kind.__struct_fields__
    }
    try:
        entries = sorted(entry for entry in path.iterdir() if not entry.is_dir())
    except (FileNotFoundError, NotADirectoryError) as exc:
        if not required:
            return {}
        raise ConfigError(f"the folder of secrets {path}: {exc.strerror}") from None
    except PermissionError as exc:
        # Some systems let a user open the files of the folder and not list them.
        if required and not os.access(path, os.X_OK):
            raise ConfigError(f"the folder of secrets {path}: {exc.strerror}") from None
        spellings = (path / spelling for name in names for spelling in (name.lower(), name))
        entries = sorted(entry for entry in spellings if os.path.lexists(entry))
    except OSError as exc:
        raise ConfigError(f"the folder of secrets {path} cannot be read: {exc.strerror}") from None
    files: Layer = {}
    for entry in entries:
        name = entry.name.upper()
        if name not in names:
            continue
        if name in files:
            raise ConfigError(f"{path}: {entry.name!r} is there twice, in upper and lower case")
        files[name] = Given(SecretFile(entry), f"file {entry}")
    return files


def _shown_path(name: str, text: str, kind: type[Settings], directory: Path) -> str:
    """The path, unless it may be the secret itself, put into the wrong variable."""
    is_path = os.sep in text or not is_secret(name, kind) or os.path.lexists(directory / text)
    return mask_text(text) if is_path else MASK
