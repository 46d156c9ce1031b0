"""Run folders to report on: one of a real batch, and copies of it to spoil."""

import shutil
from pathlib import Path

import pytest

from dso.config import load_config
from dso.launch.jobs import Job
from dso.launch.runner import run_one


def config_of(folder: Path, seed: int, name: str, **sections: dict) -> dict:
    config = load_config(
        {
            "experiment": {"logdir": str(folder), "exp_name": name, "seed": seed},
            "task": {
                "task_type": "regression",
                "dataset": "Nguyen-5",
                "function_set": ["add", "sub", "mul", "sin", "cos", "const"],
            },
            "training": {"n_samples": 1200, "batch_size": 200, "verbose": False},
            "logging": {"save_all_iterations": True, "hof": 20},
            "prior": {"length": {"min_": 4, "max_": 20}},
        }
    )
    config["experiment"]["starting_seed"] = 0
    for section, values in sections.items():
        config[section].update(values)
    return config


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two runs that have ended; not to be changed."""
    folder = tmp_path_factory.mktemp("logs")
    for seed in (0, 1):
        run_one(Job(seed, config_of(folder, seed, "batch", reduce={"on": True, "after": 1})))
    return folder / "batch"


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder that a test may spoil."""
    return Path(shutil.copytree(finished, tmp_path / "runs"))
