"""Compile the Cython modules of the core in place (`python -m piggy.local.build`)."""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parents[2]
DIRECTIVES = {"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True}


def main() -> None:
    """Turn every .pyx under piggy/ into an extension beside it."""
    os.chdir(ROOT)
    sources = sorted(Path("piggy").rglob("*.pyx"))
    if not sources:
        return
    extensions = [
        Extension(".".join(source.with_suffix("").parts), [str(source)], extra_compile_args=["-O3", "-g0"])
        for source in sources
    ]
    # The C files go to build/: what is generated must not lie among what is written.
    modules = cythonize(extensions, build_dir="build", compiler_directives=DIRECTIVES)
    command = build_ext(Distribution({"ext_modules": modules}))
    command.inplace = True
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    main()
