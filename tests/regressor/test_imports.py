"""What it costs to import the estimator, in a fresh interpreter."""

import re
import subprocess
import sys


def cpu_seconds(code: str) -> float:
    """Return the CPU time of a fresh interpreter, the least of four: other work only adds to it."""
    program = f"{code}\nimport time; print(time.process_time())"
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
        for _ in range(4)
    ]
    return min(float(run.stdout.split()[-1]) for run in runs)


def test_the_estimator_costs_little_more_than_scikit_learn() -> None:
    sklearn = "import sklearn.base, sklearn.utils.validation"
    assert cpu_seconds("from dso import DeepSymbolicRegressor") < cpu_seconds(sklearn) + 0.3


def test_what_is_slow_is_imported_at_fit() -> None:
    code = "import sys; from dso import DeepSymbolicRegressor; DeepSymbolicRegressor()\n"
    code += "print([m for m in ('torch', 'sympy', 'matplotlib', 'pydantic') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.strip() == "[]"


def test_the_help_of_the_command_line_is_there_at_once() -> None:
    code = """
import sys
from click.testing import CliRunner
import dso.run
outcome = CliRunner().invoke(dso.run.main, ["--help"])
assert "Search as CONFIG says" in outcome.output
"""
    assert cpu_seconds(code) < 0.7
    run = subprocess.run(
        [sys.executable, "-m", "dso.run", "--help"], capture_output=True, check=True, text=True
    )
    assert re.search(r"--n_cores_task", run.stdout)
