"""Every module can be imported, and a search runs, without what only Unix systems have.

This is what native Windows needs of the Python code. No machine with Windows takes part.
"""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import importlib, pkgutil, signal, sys

# What other packages need of Unix they have seen by now.
import filelock, joblib, matplotlib.pyplot, pandas, rich.console, scipy.stats
import sklearn.linear_model, sympy, torch

for name in ("fcntl", "grp", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
for name in ("SIGHUP", "SIGVTALRM", "SIGALRM", "SIGKILL", "setitimer", "getitimer"):
    delattr(signal, name)

import dso

for module in pkgutil.walk_packages(dso.__path__, "dso."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

result = dso.DeepSymbolicOptimizer(
    {
        "experiment": {"logdir": sys.argv[1], "exp_name": "one"},
        "task": {"task_type": "regression", "dataset": "Nguyen-1"},
        "training": {"n_samples": 200, "batch_size": 100, "verbose": False},
    }
).train()
print(result["n_samples"])
"""


@pytest.mark.slow
def test_nothing_needs_what_only_unix_has(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["200"]
    assert (tmp_path / "one" / "dso_Nguyen-1_0_hof.csv").exists()
