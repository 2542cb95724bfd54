"""Static files: a path that leads to no file is 404."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sanic.exceptions import FileNotFound

from sanic_ms.http.request import Request
from sanic_ms.http.wrapping import stand_for
from sanic_ms.shapes.wrappers import objects_of

__all__ = ["compile_static"]

_FOLDER = "file_or_directory"


def compile_static(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler of a folder's route.

    Sanic's own fails, with a stack in the log, on what the file system refuses to look up: NUL in a
    name, a name that is too long, a file in the place of a folder. It raises an error of Python's
    for a folder that it is not told to show.

    Args:
        handler: As Sanic has registered it, a partial that knows the folder; or what a library has
            put around that. Anything else is given back.
    """
    partials = (entry for entry in objects_of(handler) if isinstance(entry, functools.partial))
    known = next((entry.keywords for entry in partials if _FOLDER in entry.keywords), None)
    if known is None:
        return handler
    root, folders = Path(known[_FOLDER]), known["directory_handler"]
    shows_folders = bool(folders.directory_view or folders.index)

    def not_found(uri: str) -> FileNotFound:
        return FileNotFound("no such file", path=root, relative_url=uri)

    async def endpoint(request: Request, __file_uri__: str = "", **path: Any) -> Any:
        try:
            # As Sanic does; that nothing above the folder is served remains Sanic's to see to.
            found = os.stat(root / unquote(__file_uri__).lstrip("/"))
        except (OSError, ValueError) as exc:
            raise not_found(__file_uri__) from exc
        if not shows_folders and stat.S_ISDIR(found.st_mode):  # Sanic answers a HEAD with 200
            raise not_found(__file_uri__)
        if __file_uri__:
            path["__file_uri__"] = __file_uri__
        try:
            return await handler(request, **path)
        except IsADirectoryError as exc:  # so it says of a file that may not be read, too
            raise not_found(__file_uri__) from exc

    return stand_for(endpoint, handler)
