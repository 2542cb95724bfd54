"""The program that a service's worker processes import, and the service in it."""

from __future__ import annotations

import importlib.util
import multiprocessing
import pkgutil
import sys
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from sanic import Sanic

from sanic_ms.exception import LifecycleError

__all__ = ["PackageMain", "check_may_spawn", "check_not_imported", "end_import", "registered"]

_MAIN = "__main__"
_AS = "__mp_main__"  # the name under which multiprocessing imports a main module


@dataclass(frozen=True, slots=True)
class PackageMain:
    """A ``__main__`` module, run as ``python -m shop`` or ``python folder``.

    `multiprocessing` imports every other main module in the processes that it spawns.

    Attributes:
        name: The module's name: ``shop.__main__``, or ``__main__`` in a folder or an archive.
        folder: That folder or archive; empty for a package.
    """

    name: str
    folder: str = ""

    @classmethod
    def of_process(cls) -> PackageMain | None:
        """The one that this process runs; None where it runs another kind of program."""
        spec: ModuleSpec | None = getattr(sys.modules[_MAIN], "__spec__", None)
        if spec is None or spec.name.rpartition(".")[2] != _MAIN:
            return None
        return cls(spec.name, "" if spec.parent else str(Path(spec.origin or "").absolute().parent))

    def load(self) -> None:
        """Import it as the main module of this process, up to its ``app.run()``, which may stand
        there without ``if __name__ == "__main__":``.

        Raises:
            LifecycleError: it cannot be found.
        """
        spec = self._spec()
        code = None if spec is None else spec.loader.get_code(spec.name)  # type: ignore[union-attr]
        if spec is None or code is None:
            raise LifecycleError(f"a worker does not find the program {self.name}")
        module = importlib.util.module_from_spec(spec)
        module.__name__ = _AS
        sys.modules[_MAIN] = sys.modules[_AS] = module
        _import.is_under_way = True
        try:
            exec(code, vars(module))
        except _ProgramIsImported:
            pass
        finally:
            _import.is_under_way = False

    def _spec(self) -> ModuleSpec | None:
        if not self.folder:
            return importlib.util.find_spec(self.name)
        importer = pkgutil.get_importer(self.folder)
        return None if importer is None else importer.find_spec(self.name, None)


class _ProgramIsImported(BaseException):
    """Ends the import of a program at its ``app.run()``. No ``except Exception`` there is meant."""


class _Import:
    """Whether this process imports its program just now."""

    is_under_way = False


_import = _Import()


def end_import() -> None:
    """End the import of the program, where this process is a worker that imports it."""
    if _import.is_under_way:
        raise _ProgramIsImported


def registered(name: str, main: PackageMain | None) -> Any:
    """The application of this name, in a worker.

    Args:
        main: What the worker has still to import; None: it has imported the program.
    """
    if main is not None:
        main.load()
    return Sanic.get_app(name)


def check_not_imported() -> None:
    """See that this is not a process that only imports the program, to call a function of it.

    Raises:
        LifecycleError: it is one.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise LifecycleError(
            "app.run() was called while a worker imported the program: "
            'write it under if __name__ == "__main__":'
        )


def check_may_spawn() -> None:
    """See that worker processes can be started here.

    Raises:
        LifecycleError: there is no program that they could import.
    """
    main = sys.modules[_MAIN]
    file = Path(getattr(main, "__file__", None) or "")
    if getattr(main, "__spec__", None) is None and not file.is_file():
        raise LifecycleError("workers need a program in a file, which they can import")
