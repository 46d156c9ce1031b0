"""Small runs: their configs, and their files read again without what depends on the time."""

import csv
import json
from pathlib import Path

import numpy as np

TIME_COLUMNS = ("time", "t")
EVERYTHING = {
    "logging": {
        "save_all_iterations": True,
        "save_summary": True,
        "save_positional_entropy": True,
        "save_cache": True,
        "save_cache_r_min": None,
        "save_token_count": True,
        "save_top_samples_per_batch": 0.05,
    },
    "policy_optimizer": {"summary": True},
}
EVERY_2 = {"save_freq": 2, "units": "iterations"}


def config(tmp_path=None, **sections):
    """Return a small run: four iterations of 100 samples, nothing shown."""
    merged = {
        "experiment": {"logdir": None if tmp_path is None else str(tmp_path), "exp_name": "run"},
        "task": {"task_type": "regression", "dataset": "Nguyen-5"},
        "training": {"n_samples": 400, "batch_size": 100, "verbose": False},
    }
    for name, section in sections.items():
        is_other_task = section.get("task_type", "regression") != "regression"
        merged[name] = section if is_other_task else {**merged.get(name, {}), **section}
    return merged


def read(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in TIME_COLUMNS} for row in rows]


def long(tmp_path, name="run", **sections):
    """Return a config of seven iterations with a checkpoint every second one."""
    merged = config(
        tmp_path,
        checkpoint=EVERY_2,
        experiment={"exp_name": name},
        **{k: v for k, v in sections.items() if k != "training"},
        training={
            "n_samples": 10**6,
            "batch_size": 60,
            "early_stopping": False,
            **sections.get("training", {}),
        },
    )
    return merged


def stop_after(n):
    return lambda standing: standing.iteration >= n


def files(folder):
    """Return the content of every result file, without what depends on the time."""
    contents = {}
    for path in sorted(folder.glob("dso_*")):
        if path.suffix == ".npy":
            contents[path.name] = np.load(path).tobytes()
        elif path.is_file():
            lines = path.read_text().splitlines()
            names = lines[0].split(",")
            contents[path.name] = [
                [x for x, name in zip(line.split(","), names, strict=False) if name != "time"]
                for line in lines
            ]
    return contents


def change_config(folder: Path, section: str, **values: object) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config[section].update(values)
    path.write_text(json.dumps(config))
