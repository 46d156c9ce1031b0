"""Build script: metadata, extras and the native core. Tool settings live in pyproject.toml."""

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


GYM = ["gymnasium[box2d,mujoco]>=1.0"]
CONTROL = [*GYM, "stable-baselines3>=2.4"]
TENSORBOARD = ["tensorboard>=2.16"]
DASK = ["distributed>=2024.1"]
PLOTS = ["matplotlib>=3.9"]
JAX = ["jax>=0.4.30"]
BENCH = ["gplearn>=0.4.3", "pyoperon>=0.6"]
BROWSER = ["playwright>=1.40"]
TEST = ["pytest>=8", "hypothesis>=6", "mpmath>=1.3", "jsonschema>=4.20"]

if __name__ == "__main__":
    os.chdir(ROOT)
    ParallelCompile("DSO_BUILD_JOBS", default=os.cpu_count() or 1).install()
    setup(
        name="deep-symbolic-optimization",
        version="0.1.0",
        description="Deep reinforcement learning for symbolic optimisation",
        long_description=(ROOT / "README.md").read_text(encoding="utf-8")
        if (ROOT / "README.md").exists()
        else "",
        long_description_content_type="text/markdown",
        license="BSD-3-Clause",
        python_requires=">=3.11",
        # config/ at the top level travels with the package, and is found in a clone as it is.
        packages=[*find_packages(include=["dso", "dso.*"]), "dso.shipped_config"],
        package_dir={"dso.shipped_config": "config"},
        package_data={
            "dso": ["py.typed"],
            "dso.shipped_config": ["*.json", "examples/*/*"],
            "dso.task.control": ["anchors/*.npz"],
            "dso.task.regression": ["*.json"],
            "dso.report": ["assets/*"],
        },
        install_requires=[
            "torch>=2.4",
            "numpy>=1.26",
            "pandas>=2.1",
            "scipy>=1.11",
            "sympy>=1.12",
            "pydantic>=2.6",
            "json5>=0.9.14",
            "click>=8.1",
            "rich>=13",
            "joblib>=1.3",
            "scikit-learn>=1.6",
        ],
        extras_require={
            "control": CONTROL,
            "tensorboard": TENSORBOARD,
            "plots": PLOTS,
            "dask": DASK,
            "jax": JAX,
            "bench": BENCH,
            "browser": BROWSER,
            "all": [*CONTROL, *TENSORBOARD, *PLOTS, *DASK, *JAX],
            # Stable-Baselines3, jax and the browser come with scripts/test.sh --all.
            "test": [*GYM, *TENSORBOARD, *PLOTS, *DASK, *TEST],
        },
        ext_modules=[native_core()],
        cmdclass={"build_ext": BuildExt},
        zip_safe=False,
    )
