"""Scripts start: what they import is there, and what they look into has the names they use."""

import importlib
import os
import subprocess
import sys

import pytest

from tests.support.scripts import ROOT

NAMES = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))
SHORT = ["benchmark_gp.py", "benchmark_throughput.py"]
"""Those that are done in seconds and look into a run by the names of its parts."""
EXTRAS = {"site_files": "mkdocs"}
"""Scripts that only work with a package of an optional extra."""


@pytest.mark.parametrize("name", NAMES)
def test_what_scripts_import_is_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name])
    monkeypatch.syspath_prepend(ROOT / "scripts")  # some use each other
    importlib.import_module(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_short_benchmarks_run(name: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "scripts" / name)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
