"""Everything a report shows, as one plain structure that becomes JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError
from dso.report.curves import QUANTILES, learning_curves, reward_distribution
from dso.report.formula import MathML, to_mathml
from dso.report.pick import chosen_row, picked_row
from dso.report.policy_data import episode_returns, read_policy
from dso.report.run_data import RunData, arities, load_run_data
from dso.runs.batches import settings_of
from dso.runs.results import RunName, RunResults, numbers, truths

if TYPE_CHECKING:
    import pandas as pd

    from dso.library import Library

ROW_COLUMNS = ("r", "complexity", "count_on_policy", "count_off_policy", "expression", "traversal")
MAX_DISTRIBUTIONS = 12
MAX_PREDICTIONS = 200
MAX_SOURCES = 40
RUNNING_SECONDS = 90.0
"""A run without a result whose log is older than this is taken to have been stopped."""

SETTINGS = (
    ("task", "task_type", "env", "dataset", "function_set", "metric", "threshold"),
    ("training", "n_samples", "batch_size", "epsilon", "baseline", "complexity"),
    ("policy", "policy_type", "max_length", "cell", "num_units", "sample_novel_batch"),
    ("policy_optimizer", "policy_optimizer_type", "learning_rate", "optimizer"),
    ("policy_optimizer", "entropy_weight", "entropy_gamma"),
    ("gp_meld", "run_gp_meld"),
    ("semantic", "on"),
    ("pretrained", "on"),
)
"""Section and keys of the config that the page names; it has the whole config as text too."""


class Collector:
    """Read run folders again and again; what has not changed is not worked out again.

    Parameters
    ----------
    folders : sequence of str or Path
        Run folders; that of a batch of several configs stands for all of its own.
    """

    def __init__(self, folders: Sequence[str | Path]) -> None:
        self.settings = [one for path in folders for one in settings_of(Path(path))]
        self.folders = [_Folder(RunResults(setting.folder)) for setting in self.settings]
        self._formulas: dict[str, MathML] = {}

    def stamp(self) -> tuple:
        """Return what changes when a file does, or when a run falls silent."""
        minute = int(time.time() // 60)
        return minute, tuple(folder.results.stamp() for folder in self.folders)

    def collect(self) -> dict[str, Any]:
        """Return what the page shows; numbers that are not finite are None."""
        paths = [setting.folder for setting in self.settings]
        names = [
            setting.label if setting.values else name
            for setting, name in zip(self.settings, _distinct_names(paths), strict=True)
        ]
        n_runs = max(1, sum(len(folder.runs()) for folder in self.folders))
        folders, runs = [], []
        for i, folder in enumerate(self.folders):
            own = folder.describe_runs(n_runs)
            values = self.settings[i].values
            folders.append({"name": names[i], "values": values, **folder.describe(own)})
            for run in own:
                label = f"seed {run['seed']}"
                name = label if len(self.folders) == 1 else f"{names[i]}, {label}"
                runs.append({"folder": i, "name": name, **run})
        return _plain(
            {
                "generated": time.strftime("%Y-%m-%d %H:%M:%S"),
                "quantiles": QUANTILES,
                "folders": folders,
                "runs": runs,
                "formulas": self._formulas_of(runs),
            }
        )

    def _formulas_of(self, runs: list[dict[str, Any]]) -> dict[str, MathML]:
        """Return the MathML of every expression that is shown, and forget all others."""
        texts = {run["result"].get("expression") for run in runs}
        texts |= {row["expression"] for run in runs for row in (*run["hof"], *run["pf"])}
        known = self._formulas
        self._formulas = {
            text: known.get(text) or to_mathml(text) for text in sorted(texts - {None, ""})
        }
        return self._formulas


class _Folder:
    """One run folder with its data and the predictions made so far."""

    def __init__(self, results: RunResults) -> None:
        self.results = results
        self._data: RunData | None = None
        self._reason: str | None = ""
        self._loaded_for: dict[str, Any] | None = None
        self._predictions: dict[str, np.ndarray | None] = {}
        self._known_sources: dict[str, dict[str, str]] = {}
        self._policies: dict[RunName, tuple[int | None, dict[str, Any] | None]] = {}

    def runs(self) -> list[RunName]:
        """Return the runs with files, and those that only ``summary.csv`` knows."""
        found = self.results.runs()
        seeds = {run.seed for run in found}
        task = str(self.results.config().get("experiment", {}).get("task_name", "run"))
        ended = numbers(self.results.summary(), "seed")
        lost = {int(seed) for seed in ended[np.isfinite(ended)]} - seeds
        return [*found, *(RunName(task, seed, f"dso_{task}_{seed}") for seed in sorted(lost))]

    def describe_runs(self, n_runs: int) -> list[dict[str, Any]]:
        """Return one entry per run, with less detail the more runs there are."""
        n_points = int(np.clip(30_000 // n_runs, 60, 400))
        n_hof = int(np.clip(400 // n_runs, 3, 100))
        n_pf = int(np.clip(800 // n_runs, 8, 60))
        summary = self.results.summary()
        entries = []
        for i, run in enumerate(self.runs()):
            log = self.results.log(run)
            hof, pf = self.results.best(run, "_hof"), self.results.best(run, "_pf")
            ended = _result(summary, run.seed)
            result = ended or _result_so_far(log, hof, pf)
            picked = picked_row(pf, ended)
            shown = _spread(len(pf), n_pf, picked)
            entries.append(
                {
                    "task": run.task,
                    "seed": run.seed,
                    "status": _state(ended) if ended else self._status(run, result),
                    "result": result,
                    "n_iterations": len(log),
                    "curves": learning_curves(log, n_points),
                    "distribution": self._distribution(run) if i < MAX_DISTRIBUTIONS else None,
                    "hof": _rows(hof.head(n_hof)),
                    "n_hof": len(hof),
                    "pf": _rows(pf.iloc[shown]),
                    "policy": self._policy(run),
                    "reductions": self.results.reductions(run),
                    "returns": episode_returns(self.results.path / f"{run.prefix}_returns.csv"),
                    "picked": shown.index(picked) if picked is not None else None,
                    "n_pf": len(pf),
                }
            )
        return entries

    def describe(self, runs: list[dict[str, Any]]) -> dict[str, Any]:
        """Return what its runs have in common."""
        config = self.results.config()
        self._load_data(config)
        traversals = _traversals(runs)
        library = None if self._data is None else self._data.library
        return {
            "path": str(self.results.path),
            "config": config,
            "settings": _settings(config),
            "n_samples": _section(config, "training").get("n_samples"),
            "issues": self._issues(),
            "inputs": _input_names(library),
            "arities": arities(traversals, library),
            "data": self._shown_data(),
            "no_data": self._reason,
            "predictions": self._predict(traversals),
            "sources": self._sources(traversals),
        }

    def _policy(self, run: RunName) -> dict[str, Any] | None:
        """Return what is shown of a run's policy, read again if its file has changed."""
        path = self.results.path / f"{run.prefix}_policy.json"
        stamp = path.stat().st_mtime_ns if path.exists() else None
        known = self._policies.get(run)
        if known is None or known[0] != stamp:
            known = self._policies[run] = stamp, read_policy(path)
        return known[1]

    def _issues(self) -> list[str]:
        if not self.results.path.is_dir():  # of a batch, none of whose runs has begun there
            return []
        return [f"{name} {why}" for name, why in sorted(self.results.issues.items())]

    def _status(self, run: RunName, result: dict[str, Any]) -> str:
        """Return the state of a run that ``summary.csv`` does not know, as those from Python."""
        training = _section(self.results.config(), "training")
        n_samples = training.get("n_samples")
        if isinstance(n_samples, int) and result.get("n_samples", 0) >= n_samples:
            return "done"
        if training.get("early_stopping") and result.get("success"):
            return "done"
        try:
            age = time.time() - (self.results.path / f"{run.prefix}.csv").stat().st_mtime
        except OSError:
            return "unknown"
        return "running" if age < RUNNING_SECONDS else "stopped"

    def _distribution(self, run: RunName) -> dict[str, Any] | None:
        rewards = self.results.all_rewards(run)
        return None if rewards is None else reward_distribution(rewards)

    def _load_data(self, config: dict[str, Any]) -> None:
        if config == self._loaded_for:
            return
        self._loaded_for, self._data = config, None
        self._predictions, self._known_sources = {}, {}
        try:
            self._data, self._reason = load_run_data(config, self.results.path), None
        except (UserError, OSError, ValueError, TypeError, RecursionError) as error:
            self._reason = str(error)

    def _shown_data(self) -> dict[str, Any] | None:
        data = self._data
        return None if data is None else {"X": data.X.T, "y": data.y, "is_test": data.is_test}

    def _sources(self, traversals: list[str]) -> dict[str, dict[str, str]]:
        """Return the best programs as Python and C."""
        if self._data is None:
            return {}
        chosen = traversals[:MAX_SOURCES]
        known = self._known_sources
        self._known_sources = {
            text: known[text] if text in known else self._data.sources(text) for text in chosen
        }
        return {text: sources for text, sources in self._known_sources.items() if sources}

    def _predict(self, traversals: list[str]) -> dict[str, np.ndarray]:
        if self._data is None:
            return {}
        chosen = traversals[:MAX_PREDICTIONS]
        known = self._predictions
        self._predictions = {
            text: known[text] if text in known else self._data.predict(text) for text in chosen
        }
        return {text: y for text, y in self._predictions.items() if y is not None}


def _input_names(library: Library | None) -> dict[str, str]:
    """Return what the inputs x1, x2, ... of traversals are called, where they have other names."""
    names = [] if library is None else list(library.input_names or [])
    return {f"x{i + 1}": name for i, name in enumerate(names) if name != f"x{i + 1}"}


def _traversals(runs: list[dict[str, Any]]) -> list[str]:
    """Return every program once: the results of all runs, then fronts, then halls of fame."""
    results = [run["result"].get("traversal") for run in runs]
    rows = [row["traversal"] for kind in ("pf", "hof") for run in runs for row in run[kind]]
    return [text for text in dict.fromkeys([*results, *rows]) if text]


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a hall of fame or front; evaluation results under ``more``."""
    if not {"r", "expression", "traversal"} <= set(table.columns):
        return []
    more = [name for name in table.columns if name not in (*ROW_COLUMNS, "success")]
    columns: dict[str, Any] = {name: numbers(table, name) for name in (*ROW_COLUMNS[:4], *more)}
    success = truths(table, "success")
    rows = []
    for i, (expression, traversal) in enumerate(
        zip(table["expression"].fillna(""), table["traversal"].fillna(""), strict=True)
    ):
        rows.append(
            {
                **{name: columns[name][i] for name in ROW_COLUMNS[:4] if name in table},
                "length": traversal.count(",") + 1,
                "expression": expression,
                "traversal": traversal,
                "success": bool(success[i]),
                "more": {name: columns[name][i] for name in more},
            }
        )
    return rows


def _spread(n: int, n_rows: int, kept: int | None) -> list[int]:
    """Return about this many of `n` rows, with the first, the last and the one to be kept."""
    chosen = set(np.linspace(0, n - 1, min(n, n_rows)).astype(int).tolist())
    return sorted(chosen | ({kept} if kept is not None else set()))


def _result(summary: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return a run's row of ``summary.csv``, empty where it has none."""
    if not len(summary):
        return {}
    rows = summary[numbers(summary, "seed") == seed]
    if not len(rows):
        return {}
    row = {name: value for name, value in rows.iloc[-1].items() if value == value}
    return {**row, "success": bool(truths(rows, "success")[-1])}


def _state(result: dict[str, Any]) -> str:
    return "failed" if result.get("error") else "done"


def _result_so_far(log: pd.DataFrame, hof: pd.DataFrame, pf: pd.DataFrame) -> dict[str, Any]:
    """Return what can be said of a run that has not ended."""
    result: dict[str, Any] = {}
    if len(log):
        result = {"r": numbers(log, "r_best")[-1], "n_samples": numbers(log, "nevals")[-1]}
        result["t"] = float(np.nansum(numbers(log, "time")))
    chosen = chosen_row(pf)
    best = _rows(hof.head(1) if chosen is None else pf.iloc[[chosen]])
    if best:
        result |= {name: best[0][name] for name in ("r", "expression", "traversal", "success")}
        result |= best[0]["more"]
    return result


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    section = config.get(name)
    return section if isinstance(section, dict) else {}


def _settings(config: dict[str, Any]) -> list[tuple[str, str]]:
    settings = []
    for section, *keys in SETTINGS:
        for key in keys:
            value = _section(config, section).get(key)
            if value is not None:
                shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
                settings.append((f"{section}.{key}", shown))
    return settings


def _distinct_names(paths: list[Path]) -> list[str]:
    """Return the last part of each path, with more of it where two would be called the same."""
    resolved = [path.resolve() for path in paths]
    names = [path.name for path in resolved]
    if len(set(names)) == len(names):
        return names
    return [f"{path.parent.name}/{path.name}" for path in resolved]


def _plain(value: Any) -> Any:
    """Return a value of JSON's types: numbers with six digits, None where not finite."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if not np.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.6g}")
    return value if value is None or isinstance(value, bool | int | str) else str(value)
