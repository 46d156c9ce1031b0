"""Hand in what nobody means, and count what is neither taken nor refused in words.

    python scripts/fuzz.py                    # all kinds, as often as `CASES` says
    python scripts/fuzz.py formulas --n 500   # one kind

Each kind runs in a process of its own, which is ended where a case takes longer than ten seconds.
A case fails where it raises anything but a UserError, hangs, ends the process, or takes it above
two gigabytes. The last line counts these; the seeds of the cases that failed are printed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

CASES = {
    "configs": 5000,
    "csvs": 2000,
    "checkpoints": 2000,
    "estimators": 2000,
    "formulas": 10_000,
    "folders": 500,
}
MAX_SECONDS = 10.0
MAX_SECONDS_TO_START = 600.0
MAX_BYTES = 2 * 2**30

Case = Callable[[random.Random], None]

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 7, 0.5, -0.5, 1e-308, 1e308, 1e200, 2**31, 2**63, 10**30),
    *(float("nan"), float("inf"), "", "x1", "sin", "a:b", "os:system", "../x", "~", "\0", "\ud800"),
    *("é\u202e", "1e9", "None", [], {}, [[]], [1, [2]], {"a": 1}, {"on": True}, ["x1"] * 50),
    *(2.0, 3.0, "poly", "const", ["add", "const"], [None], 10**6, 10**9, "/dev/zero", "/dev/null"),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value inside one."""
    found = [path]
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(item, (*path, key))
    return found


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a copy with another value in one place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


def mutated(content: bytes, dice: random.Random) -> bytes:
    """Return bytes with some of them changed, cut, repeated or inserted."""
    data = bytearray(content)
    for _ in range(dice.choice([1, 1, 1, 2, 4])):
        i, j = sorted(dice.randrange(len(data) + 1) for _ in range(2))
        kind = dice.randrange(5)
        if kind == 0 and data:
            data[min(i, len(data) - 1)] = dice.randrange(256)
        elif kind == 1:
            del data[i : min(j, i + 40)]
        elif kind == 2:
            data[i:i] = data[i : min(j, i + 40)] * dice.randint(1, 20)
        elif kind == 3:
            tokens = (b"\0", b",", b"\n", b'"', b"nan", b"1e999", b"-", b"[" * 2000, b"9" * 5000)
            data[i:i] = dice.choice(tokens)
        else:
            data = data[: max(i, 1)]
    return bytes(data)


# ------------------------------------------------------------------------------------- kinds


def configs(folder: Path) -> Case:
    from dso import DeepSymbolicOptimizer
    from dso.config import load_config

    user = {
        "experiment": {"logdir": None},
        "task": {"task_type": "regression", "dataset": "Nguyen-1"},
        "training": {"n_samples": 40, "batch_size": 20, "verbose": False},
    }
    whole = load_config(user)
    # How long a run takes within what is allowed is a matter of patience.
    patience = {
        ("training", name)
        for name in ("n_samples", "batch_size", "warm_start", "max_seconds", "n_cores_batch")
    } | {("policy", "num_units"), ("policy", "num_layers"), ("policy", "max_length")}
    patience |= {("policy", "max_attempts_at_novel_batch"), ("policy_optimizer", "ppo_n_iters")}
    patience |= {("semantic", name) for name in whole["semantic"] if name.startswith("max_")}
    patience |= {("state_manager", "embedding_size"), ("policy_optimizer", "pqt_batch_size")}
    patience |= {("gp_meld", name) for name in ("generations", "population_size", "n_attempts")}
    patience |= {("gp_meld", "semantic_entries"), ("gp_meld", "semantic_partners")}
    free = [p for p in places(whole) if p and p[:2] not in patience and p[0] != "training"]
    free += [p for p in places(whole) if p[:1] == ("training",) and len(p) == 2]
    free = [p for p in free if p[:2] not in patience]
    DeepSymbolicOptimizer(user).train()  # so that all is imported

    def case(dice: random.Random) -> None:
        config = user
        for _ in range(dice.randint(1, 3)):
            path = dice.choice(free)
            nested: Any = dice.choice(VALUES)
            for name in reversed(path):
                nested = {name: nested} if isinstance(name, str) else [nested]
            config = _merged(config, nested)
        os.chdir(folder)
        DeepSymbolicOptimizer(config).train()

    return case


def _merged(base: Any, other: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(other, dict)):
        return other
    return {**base, **{k: _merged(base[k], v) if k in base else v for k, v in other.items()}}


def csvs(folder: Path) -> Case:
    from dso.task.regression.dataset import from_file

    table = "\n".join(f"{i},{i * 0.37:.4f},{(i * 7) % 5}" for i in range(30)).encode()
    seeds = [
        b"x1,x2,y\n" + table,
        table,
        b'"a b","c,d",y\n' + table,
        "\ufeffä,ß,y\n".encode() + table,
    ]
    path = folder / "data.csv"

    def case(dice: random.Random) -> None:
        path.write_bytes(mutated(dice.choice(seeds), dice))
        from_file(path, dice.choice([None, True, False]))

    return case


def checkpoints(folder: Path) -> Case:
    from dso import DeepSymbolicOptimizer
    from dso.runs.checkpoint import read_checkpoint, write_checkpoint

    config = {
        "experiment": {"logdir": None},
        "task": {"task_type": "regression", "dataset": "Nguyen-5"},
        "training": {"n_samples": 10**6, "batch_size": 40, "verbose": False, "use_memory": True},
        "policy_optimizer": {"policy_optimizer_type": "pqt", "pqt_k": 5},
    }
    first = DeepSymbolicOptimizer(config)
    for _ in range(2):
        first.train_one_step()
    whole = Path(first.save(folder / "whole.zip"))
    content, (about, state) = whole.read_bytes(), read_checkpoint(whole)
    inside = places({"about": about, "state": state})
    model, path = DeepSymbolicOptimizer(config), folder / "changed.zip"
    model.setup()

    def case(dice: random.Random) -> None:
        if dice.random() < 0.5:
            path.write_bytes(mutated(content, dice))
        else:
            where = dice.choice(inside[1:])
            arrays = [np.zeros(3), np.ones((2, 2), np.int32), np.empty(0)]
            new = dice.choice([*VALUES, *(arrays if where[0] == "state" else [])])
            both = changed({"about": about, "state": state}, where, new)
            if not (isinstance(both["about"], dict) and isinstance(both["state"], dict)):
                return
            write_checkpoint(path, both["about"], both["state"])
        try:
            model.load(path)
            if model.stop_reason is None:
                model.train_one_step()
        finally:
            model.setup()

    return case


def estimators(folder: Path) -> Case:
    from dso import DeepSymbolicRegressor

    X = np.random.default_rng(0).random((20, 2))
    config = {
        "task": {"task_type": "regression", "function_set": ["add", "sin", "const", "poly"]},
        "training": {"batch_size": 50, "complexity": "length"},
    }
    model = DeepSymbolicRegressor(
        config=config, n_samples=200, random_state=0, verbosity=0, n_jobs=1,
        output_directory=folder, run_id="run",
    )  # fmt: skip
    model.fit(X, np.sin(3 * X[:, 0]) + X[:, 1])
    path = folder / "run" / "estimator.json"
    content, state = path.read_bytes(), json.loads(path.read_text())
    inside = places(state)

    def case(dice: random.Random) -> None:
        if dice.random() < 0.3:
            path.write_bytes(mutated(content, dice))
        else:
            path.write_text(json.dumps(changed(state, dice.choice(inside), dice.choice(VALUES))))
        loaded = DeepSymbolicRegressor.from_file(folder / "run")
        loaded.predict(X)
        repr(loaded)
        len(loaded.equations_) + len(loaded.hall_of_fame_)
        for form in (loaded.sympy, loaded.latex_table, loaded.numpy_code, loaded.constants):
            form()

    return case


def formulas(folder: Path) -> Case:
    from dso.library.expression import evaluate, parse
    from dso.library.functions import NAMES, OPERATORS

    names, X = list(NAMES), np.random.default_rng(0).random((7, 3))

    def expression(dice: random.Random, depth: int) -> str:
        kind = dice.randrange(7) if depth else 0
        if kind == 0:
            return dice.choice(
                [*("x1", "x2", "x3", "pi", "1.5") * 4, "1e308", "10**400", "x9", "y"]
            )
        if kind < 4:
            operator = dice.choice(
                ["+", "-", "*", "/", "**", "^", "%", "//", "@", ",", " if ", "<"]
            )
            return f"({expression(dice, depth - 1)}{operator}{expression(dice, depth - 1)})"
        if kind == 4:
            return dice.choice("-+~") * dice.choice([1, 2, 450]) + expression(dice, depth - 1)
        name = dice.choice(names)
        n_arguments = OPERATORS[NAMES[name]].arity if dice.random() < 0.9 else dice.randint(0, 3)
        parts = (expression(dice, depth - 1) for _ in range(n_arguments))
        return f"{name}({','.join(parts)})"

    def case(dice: random.Random) -> None:
        text = expression(dice, dice.randint(0, 6))
        if dice.random() < 0.3:
            text = mutated(text.encode(), dice).decode(errors="replace")
        with np.errstate(all="ignore"):
            evaluate(parse(text, input_names=["x1", "x2", "x3"]), X)

    return case


def folders(folder: Path) -> Case:
    from dso import DeepSymbolicOptimizer
    from dso.config import load_config
    from dso.launch.jobs import unfinished
    from dso.report import Collector, build_page
    from dso.report.text import LogEval

    config = {
        "experiment": {"logdir": str(folder), "exp_name": "whole"},
        "task": {"task_type": "regression", "dataset": "Nguyen-5"},
        "training": {"n_samples": 300, "batch_size": 100, "verbose": False},
        "logging": {"save_all_iterations": True},
        "checkpoint": {"save_freq": 1, "units": "iterations", "save_on_done": True},
    }
    model = DeepSymbolicOptimizer(config)
    result = model.train()
    del result["program"]
    assert model.folder is not None
    model.folder.append_summary({**result, "t": 1.0})
    model.folder.append_summary({"seed": 1, "error": "it broke"})
    whole, other = folder / "whole", folder / "other"

    def case(dice: random.Random) -> None:
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(whole, other)
        files = sorted(path for path in other.rglob("*") if path.is_file())
        for path in dice.sample(files, dice.randint(1, 3)):
            content = path.read_bytes()
            path.unlink()
            kind = dice.randrange(8)
            if kind == 0:
                path.mkdir()
            elif kind == 1:
                os.mkfifo(path)
            elif kind == 2:
                path.symlink_to(dice.choice(["/dev/zero", "/nowhere", path.name, "/dev/full"]))
            elif kind == 3 and path.suffix == ".json":
                state = json.loads(content)
                new = changed(state, dice.choice(places(state)), dice.choice(VALUES))
                path.write_text(json.dumps(new))
            elif kind < 7:
                path.write_bytes(mutated(content, dice))
        list(LogEval(other).lines())
        build_page(Collector([other]).collect(), "page")
        model.folder.path = other  # type: ignore[union-attr]
        model.folder.append_summary({**result, "t": 1.0}, replace=True)  # type: ignore[union-attr]
        unfinished(other, load_config)

    return case


KINDS: dict[str, Callable[[Path], Case]] = {
    "configs": configs,
    "csvs": csvs,
    "checkpoints": checkpoints,
    "estimators": estimators,
    "formulas": formulas,
    "folders": folders,
}


# ------------------------------------------------------------------------------------ running


def work(kind: str, first: int, last: int, pipe: Any) -> None:
    """Do cases one after the other; tell the number of each before, and what became of it."""
    from dso.errors import UserError

    logging.getLogger("dso").addHandler(logging.NullHandler())
    logging.getLogger("dso").propagate = False
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name, open(os.devnull, "w") as nothing:
        case = KINDS[kind](Path(name))
        for i in range(first, last):
            pipe.send((i, "begins", ""))
            outcome, what = "taken", ""
            try:
                with contextlib.redirect_stdout(nothing):
                    case(random.Random(f"{kind} {i}"))
            except UserError:
                outcome = "refused"
            except Exception:
                outcome, what = "traceback", traceback.format_exc()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            if peak > MAX_BYTES:
                outcome, what = "memory", f"{peak / 2**30:.1f} GiB"
            pipe.send((i, outcome, what))
            if outcome == "memory":
                os._exit(0)  # another process goes on, since a peak does not fall


def fuzz(kind: str, n: int, patience: float) -> Counter[str]:
    """Do the cases of a kind, and count what became of them."""
    counts: Counter[str] = Counter()
    while (i := counts.total()) < n:
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=work, args=(kind, i, n, theirs)
        )
        process.start()
        theirs.close()
        for i, outcome, what in outcomes(process, ours, patience):
            counts[outcome] += 1
            if what:
                print(f"{kind} {i}: {outcome}\n{what}", flush=True)
        process.kill()
        process.join()
    return counts


def outcomes(process: Any, pipe: Any, patience: float) -> Iterator[tuple[int, str, str]]:
    """Yield the outcome of each case, until the process is through, has died, or must be ended."""
    current = None  # the case under way; before the first one all that cases start from is made
    while True:
        if not pipe.poll(patience if current is not None else MAX_SECONDS_TO_START):
            yield current or 0, "hang", f"more than {patience:g} s"
            return
        try:
            i, outcome, what = pipe.recv()
        except EOFError:
            process.join()
            if current is not None:
                yield current, "death", f"its process ended with {process.exitcode}"
            return
        current = i if outcome == "begins" else None
        if outcome != "begins":
            yield i, outcome, what


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], default=[])
    parser.add_argument("--n", type=int, default=None, help="cases of each kind")
    parser.add_argument(
        "--patience", type=float, default=MAX_SECONDS, help="seconds; more on a busy machine"
    )
    options = parser.parse_args()
    failures = 0
    for kind in options.kinds or KINDS:
        start = time.monotonic()
        counts = fuzz(kind, options.n or CASES[kind], options.patience)
        failures += sum(n for outcome, n in counts.items() if outcome not in ("taken", "refused"))
        shown = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items()))
        print(f"{kind}: {shown}; {time.monotonic() - start:.0f} s", flush=True)
    print(failures, "failures")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
