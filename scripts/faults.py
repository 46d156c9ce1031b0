"""Do to a run what machines and people do, and print what became of its result.

    python scripts/faults.py                 # every fault, for command, batch and estimator
    python scripts/faults.py --only estimator

A result is kept where the expression that the run finds without the fault, or, where a signal ends
it, any, is printed, in summary.csv, or in the estimator. The last line counts those that are lost.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = {
    "task": {"task_type": "regression", "dataset": "Nguyen-5"},
    "training": {"n_samples": 6000, "batch_size": 100, "early_stopping": False},
    "checkpoint": {"save_freq": 1, "units": "iterations"},
    "postprocess": {"save_plots": False},
}
FIT = """
import json, sys
import numpy as np
from dso import DeepSymbolicRegressor
X = np.random.default_rng(0).random((40, 2))
y = np.sin(3 * X[:, 0]) + X[:, 1] + 0.1 * np.random.default_rng(1).standard_normal(40)
config = json.load(open(sys.argv[1]))
config["training"]["n_samples"] = 6000
model = DeepSymbolicRegressor(config=config, random_state=0, n_jobs=1, output_directory=sys.argv[2],
                              run_id="run")
model.fit(X, y)
with open(sys.argv[3], "w") as file:
    json.dump({"equation": model.get_best()["equation"], "unwritten": model.unwritten_}, file)
"""
CLOCK = """
import itertools, time
jumps = itertools.cycle([0, 86400, -86400, 10**9, -10**6])
real = time.time
time.time = lambda: max(real() + next(jumps), 1.0)
"""


@dataclass
class Fault:
    """What is done to a process.

    Attributes
    ----------
    shell : str
        Stands behind the command.
    before : callable
        Is called in the process before it starts.
    during : callable
        Is given the run folder and the process, once the folder is there.
    environment : dict
    is_signal : bool
        Whether the run ends early.
    """

    shell: str = ""
    before: Callable[[], None] | None = None
    during: Callable[[Path, int], None] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    is_signal: bool = False


def limit_files() -> None:
    """Refuse to write beyond 3 kB of a file, as a full disk does."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))


def delete(folder: Path, group: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def replace(folder: Path, group: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.write_text("")


def send(number: int) -> Fault:
    return Fault(during=lambda folder, group: os.killpg(group, number), is_signal=True)


FAULTS = {
    "none": Fault(),
    "disk full": Fault(before=limit_files),
    "folder deleted": Fault(during=delete),
    "folder replaced by a file": Fault(during=replace),
    "output closed": Fault(shell=">&-"),
    "output full": Fault(shell="> /dev/full"),
    "reader gone": Fault(shell="| head -1"),
    "errors closed": Fault(shell="2>&-"),
    "SIGINT": send(signal.SIGINT),
    "SIGTERM": send(signal.SIGTERM),
    "SIGHUP": send(signal.SIGHUP),
    "locale C, ASCII output": Fault(
        environment={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
                     "PYTHONIOENCODING": "ascii"}
    ),
    "clock that jumps": Fault(),
}  # fmt: skip


def run(who: str, name: str, fault: Fault, folder: Path) -> tuple[str, str, int]:
    """Return the expressions that were kept, what was said of missing files, the exit status."""
    work = folder / re.sub(r"\W+", "_", f"{who} {name}")
    work.mkdir()
    (work / "fit.py").write_text(FIT)
    config = {**CONFIG, "experiment": {"logdir": str(work), "exp_name": "run"}}
    (work / "c.json").write_text(json.dumps(config))
    paths = [str(ROOT)]
    if name.startswith("clock"):
        (work / "site").mkdir()
        (work / "site" / "sitecustomize.py").write_text(CLOCK)
        paths.insert(0, str(work / "site"))
    options = {"command": "", "batch": "--runs 2 --n 2"}
    program = f"{sys.executable} -W ignore"
    if who == "estimator":
        command = f"{program} fit.py c.json {work} {work}/result.json"
    else:
        command = f"{program} -m dso.run c.json {options[who]}"
    shell = f"set -o pipefail; {command} {fault.shell}"
    process = subprocess.Popen(
        ["bash", "-c", shell],
        cwd=work,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **fault.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=fault.before,
    )
    if fault.during is not None:
        logs = work / "run"
        while process.poll() is None and not list(logs.glob("dso_*_hof.csv")):
            if (time.sleep(0.02) or True) and list(logs.glob("checkpoint/*.zip")):
                break
        fault.during(logs, process.pid)
    output, errors = process.communicate()
    found = set(re.findall(r"^  expression: (.+)$", output, re.M))
    with contextlib.suppress(OSError, KeyError):
        lines = (work / "run" / "summary.csv").read_text().splitlines()
        found |= {row["expression"] for row in csv.DictReader(lines)}
    missing = re.findall(r"Not written: (.*)", errors)
    with contextlib.suppress(OSError, ValueError):
        result = json.loads((work / "result.json").read_text())
        found.add(result["equation"])
    with contextlib.suppress(OSError, ValueError, LookupError):
        if fault.is_signal and who == "estimator":
            found.add((work / "run" / "hall_of_fame.csv").read_text().splitlines()[-1])
    if "Traceback" in errors:
        missing.append(errors.strip().splitlines()[-1])
    return " | ".join(sorted(found)), f"{len(missing)} named" if missing else "", process.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["command", "batch", "estimator"], default=None)
    options = parser.parse_args()
    lost = 0
    print("| who | fault | result | missing files | exit status |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for who in [options.only] if options.only else ["command", "batch", "estimator"]:
            expected = ""
            for name, fault in FAULTS.items():
                found, missing, status = run(who, name, fault, Path(folder))
                expected = expected or found
                is_kept = bool(found) if fault.is_signal else found == expected
                lost += not is_kept
                shown = "kept" if is_kept else f"LOST: {found or 'nothing'}"
                print(f"| {who} | {name} | {shown} | {missing} | {status} |", flush=True)
    print(lost, "lost")
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
