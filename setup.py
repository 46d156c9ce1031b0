"""Build script: the native core, packages and their files. All else is in pyproject.toml."""

import os
import platform
import shutil
import sys
from glob import glob
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import find_packages, setup

ROOT = Path(__file__).parent
PORTABLE_MATH = os.environ.get("DSO_NO_VECTOR_MATH", "") == "1"
SANITIZE = os.environ.get("DSO_SANITIZE", "")  # e.g. "address,undefined"


class BuildExt(build_ext):
    """Turn a missing compiler into one sentence that says what to install."""

    def build_extensions(self) -> None:
        compiler = getattr(self.compiler, "compiler_cxx", ["c++"])[0]
        if shutil.which(compiler) is None:
            raise SystemExit(
                f"dso needs a C++17 compiler to build its native core, and {compiler!r} was not "
                "found: 'apt-get install g++' on Debian and Ubuntu, 'xcode-select --install' on "
                "macOS, WSL on Windows."
            )
        super().build_extensions()


def native_core() -> Pybind11Extension:
    # No -ffast-math: validity of a program is decided by NaN and infinity.
    compile_args = ["-O3", "-fno-math-errno", "-fno-trapping-math"]
    link_args = []
    if platform.machine() not in ("x86_64", "AMD64"):
        # There compilers contract a * b + c to one rounding; episodes must be those of Python.
        compile_args.append("-ffp-contract=off")
    if SANITIZE:
        compile_args += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-g", "-O1"]
        link_args += [f"-fsanitize={SANITIZE}"]
    if sys.platform == "linux" and not SANITIZE:
        compile_args.append("-g0")
    return Pybind11Extension(
        "dso.native._core",
        sorted(glob("dso/native/*/*.cpp")),
        depends=sorted(glob("dso/native/**/*.hpp", recursive=True)),
        include_dirs=["dso/native"],
        cxx_std=17,
        define_macros=[
            *[("DSO_NO_VECTOR_MATH", "1")] * PORTABLE_MATH,
            *[("_GLIBCXX_ASSERTIONS", "1")] * bool(SANITIZE),  # indices of vectors too
        ],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )


if __name__ == "__main__":
    os.chdir(ROOT)
    ParallelCompile("DSO_BUILD_JOBS", default=os.cpu_count() or 1).install()
    setup(
        # config/ at the top level travels with the package, and is found in a clone as it is.
        packages=[*find_packages(include=["dso", "dso.*"]), "dso.shipped_config"],
        package_dir={"dso.shipped_config": "config"},
        include_package_data=False,  # else the C++ sources would go into wheels
        package_data={
            "dso": ["py.typed"],
            "dso.native": ["*.pyi"],
            "dso.shipped_config": ["*.json", "examples/*/*"],
            "dso.task.control": ["anchors/*.npz"],
            "dso.task.regression": ["*.json"],
            "dso.report": ["assets/*"],
        },
        ext_modules=[native_core()],
        cmdclass={"build_ext": BuildExt},
        zip_safe=False,
    )
