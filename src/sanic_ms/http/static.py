"""Static files: a path that leads to no file is 404."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sanic_ms.exception import NotFound
from sanic_ms.http.request import Request
from sanic_ms.http.wrapping import stand_for

__all__ = ["compile_static"]


def compile_static(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler of a folder's route.

    Sanic's own fails, with a stack in the log, on what the file system refuses to look up: NUL in a
    name, a name that is too long, a file in the place of a folder. It raises an error of Python's
    for a folder that it is not told to show.

    Args:
        handler: As Sanic has registered it; it knows the folder.
    """
    known: dict[str, Any] = handler.keywords  # type: ignore[attr-defined]
    root, folders = Path(known["file_or_directory"]), known["directory_handler"]
    shows_folders = bool(folders.directory_view or folders.index)

    async def endpoint(request: Request, __file_uri__: str = "", **path: Any) -> Any:
        try:
            # As Sanic does; that nothing above the folder is served remains Sanic's to see to.
            found = os.stat(root / unquote(__file_uri__).lstrip("/"))
        except (OSError, ValueError) as exc:
            raise NotFound(error="no such file") from exc
        if not shows_folders and stat.S_ISDIR(found.st_mode):  # Sanic answers a HEAD with 200
            raise NotFound(error="no such file")
        if __file_uri__:
            path["__file_uri__"] = __file_uri__
        try:
            return await handler(request, **path)
        except IsADirectoryError as exc:  # so it says of a file that may not be read, too
            raise NotFound(error="no such file") from exc

    return stand_for(endpoint, handler)
