"""The compiled modules; everything else about the distribution stands in pyproject.toml.

Where there is no C compiler they are left out, and the Python that they stand for is used. So it is
on systems other than Linux, whose clocks they do not know.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import setup

SOURCES = sorted(path.as_posix() for path in Path("src").rglob("*.pyx"))

extensions = []
if sys.platform == "linux":
    extensions = cythonize(
        SOURCES,
        build_dir="build/cython",
        compiler_directives={
            "language_level": "3",
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
        },
    )
for extension in extensions:
    extension.optional = True
for source in SOURCES:  # what cannot be built anew must not stay as it was
    Path(source).with_suffix(sysconfig.get_config_var("EXT_SUFFIX")).unlink(missing_ok=True)

setup(ext_modules=extensions)
