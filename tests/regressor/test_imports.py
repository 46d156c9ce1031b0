"""What the estimator and the command line import before there is anything to do.

Torch alone takes longer to import than many a search takes.
"""

import subprocess
import sys

SLOW = {"torch", "sympy", "matplotlib", "pandas", "scipy", "sklearn", "rich", "joblib", "gymnasium"}


def printed(code: str) -> list[str]:
    """Return the lines that a fresh interpreter prints."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return run.stdout.splitlines()


def test_the_estimator_imports_little_more_than_scikit_learn() -> None:
    code = """
import sys
import sklearn.base, sklearn.utils.validation
before = set(sys.modules)
from dso import DeepSymbolicRegressor
DeepSymbolicRegressor()
print(*before)
print(*set(sys.modules) - before)
"""
    theirs, more = (line.split() for line in printed(code))
    assert {"torch", "sympy", "matplotlib", "pydantic"}.isdisjoint(theirs)
    assert [name for name in more if name.split(".")[0] != "dso"] == []
    assert 0 < len(more) < 10


def test_the_help_of_the_command_line_imports_nothing_slow() -> None:
    code = """
import atexit, runpy, sys
atexit.register(lambda: print(*sys.modules))
sys.argv = ["dso.run", "--help"]
runpy.run_module("dso.run", run_name="__main__", alter_sys=True)
"""
    *text, line = printed(code)
    assert any("--n-cores-task" in row for row in text)
    assert any("Search as CONFIG says" in row for row in text)
    modules = line.split()
    assert SLOW.isdisjoint(modules)
    assert "dso.launch.command" in modules
    assert len(modules) < 700
