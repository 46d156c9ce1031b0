"""The three jobs that dso is for, done in an empty folder with the wheel installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("dso", "config", "setup.py", "pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY.md")


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what the wheel installs, the command in its folder bin."""
    build, site = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("site")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, build / name)
    pip = [sys.executable, "-m", "pip", "-q"]
    wheel = [*pip, "wheel", "--no-deps", "-w", str(build / "wheels")]
    subprocess.run([*wheel, str(build)], check=True)
    (made,) = (build / "wheels").glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(made)], check=True)
    return site


@pytest.mark.slow
@pytest.mark.parametrize("job", ["formula", "policy", "study"])
def test_a_job(job: str, installed: Path, tmp_path: Path) -> None:
    folders = [installed / "bin", Path(sys.executable).parent]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]]),
        "PYTHONPATH": str(installed),
    }
    outcome = subprocess.run(
        ["bash", str(ROOT / "tests" / "jobs" / f"{job}.sh")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
