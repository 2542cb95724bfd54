"""The compiled modules; everything else about the distribution stands in pyproject.toml.

Where there is no C compiler they are left out, and the Python that they stand for is used.
"""

from __future__ import annotations

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

SOURCE = Path("src")

setup(
    ext_modules=cythonize(
        [
            Extension(
                ".".join(path.relative_to(SOURCE).with_suffix("").parts),
                [path.as_posix()],
                optional=True,
            )
            for path in sorted(SOURCE.rglob("*.pyx"))
        ],
        build_dir="build/cython",
        compiler_directives={
            "language_level": "3",
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
        },
    )
)
