"""What a start costs: imports, and a command until it shows its first formula.

CPU-seconds of the process, which other work on the machine changes little, and seconds on the wall,
which it does. The least of several passes counts.

    python scripts/benchmark_startup.py --passes 5
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

TABLE = Path(__file__).resolve().parents[1] / "config/examples/regression/Energy.csv"
FORMULA = "best R"
IMPORTS = [
    "import dso",
    "from dso import DeepSymbolicOptimizer",
    "from dso import DeepSymbolicRegressor",
]
COMMANDS = {
    "dso run Nguyen-2.json": ["run", "Nguyen-2.json", "--seed", "0"],
    "dso fit Energy.csv": ["fit", str(TABLE), "--target", "energy", "--drop", "id"],
}


def measured(command: Sequence[str], wanted: str | None = None) -> tuple[float, float]:
    """Return CPU-seconds and seconds until a command ends, or until it shows a text."""
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    shown = ""
    for line in process.stdout:
        shown += line
        if wanted is not None and wanted in line:
            process.kill()
            break
    else:
        if wanted is not None:
            sys.exit(f"{' '.join(command)} shows no {wanted!r}:\n{shown}")
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime, time.monotonic() - start


def main() -> None:
    """Print a line for each import and each command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--passes", type=int, default=5)
    n_passes = parser.parse_args().passes
    with tempfile.TemporaryDirectory() as folder:
        cases = {text: (["-c", text], None) for text in IMPORTS}
        for name, arguments in COMMANDS.items():
            cases[name] = (["-m", "dso", *arguments, "--logdir", folder], FORMULA)
        for name, (command, wanted) in cases.items():
            figures = []
            for k in range(n_passes):
                own = [] if wanted is None else ["--exp-name", f"{command[2]}-{k}"]
                figures.append(measured([*command, *own], wanted))
            cpu, wall = (min(column) for column in zip(*figures, strict=True))
            print(f"{name:40s} {cpu:5.2f} CPU-s, {wall:5.2f} s", flush=True)


if __name__ == "__main__":
    main()
