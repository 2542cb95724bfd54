"""The compiled modules; everything else about the distribution stands in pyproject.toml.

Where there is no C compiler they are left out, and the Python that they stand for is used. So it is
on systems other than Linux, whose clocks they do not know.
"""

from __future__ import annotations

import sys
import sysconfig
from importlib import metadata, util
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler.Errors import CompileError
from setuptools import Extension, setup

SOURCE = Path("src")
BUILD = Path("build/cython")
# Uses asyncpg's C interface, and is used with the version alone that it was compiled for.
WITH_ASYNCPG = SOURCE / "sanic_ms/db/drivers/postgres/_pipeline.pyx"


def extension(path: Path) -> Extension:
    """One compiled module."""
    name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    made = Extension(name, [path.as_posix()])
    if path == WITH_ASYNCPG:
        made.define_macros.append(("SANIC_MS_ASYNCPG", f'"{metadata.version("asyncpg")}"'))
        made.include_dirs.append(BUILD.as_posix())
    return made


def compiled(paths: list[Path]) -> list[Extension]:
    """The modules, in C."""
    modules: list[Extension] = cythonize(
        [extension(path) for path in paths],
        build_dir=BUILD.as_posix(),
        force=True,  # what is said below may have changed as well
        compiler_directives={
            "language_level": "3",
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "auto_pickle": False,  # a copy would share memory that each frees
        },
    )
    for module in modules:
        module.optional = True  # `cythonize` forgets what was said before
    return modules


def modules() -> list[Extension]:
    """All of them, without the one that needs asyncpg where that is missing or has changed."""
    paths = sorted(SOURCE.rglob("*.pyx"))
    for path in paths:  # what cannot be built anew must not stay as it was
        path.with_suffix(sysconfig.get_config_var("EXT_SUFFIX")).unlink(missing_ok=True)
    if sys.platform != "linux":
        return []
    found = compiled([path for path in paths if path != WITH_ASYNCPG])
    if util.find_spec("asyncpg") is None:
        return found
    # A header that asyncpg's interface asks for, and which is not installed with it.
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "debug.h").write_text("#define PG_DEBUG 0\n")
    try:
        return found + compiled([WITH_ASYNCPG])
    except CompileError as exc:
        sys.stderr.write(f"{WITH_ASYNCPG} is left out: {exc}\n")
        return found


setup(ext_modules=modules())
