"""The example configs for control run, with a small budget."""

from pathlib import Path

import numpy as np
import pytest

from dso import DeepSymbolicOptimizer
from dso.config import load_config
from dso.config.files import shipped_configs
from dso.errors import UserError

EXAMPLES = [path for path in shipped_configs() if path.parent.name == "control"]
WITHOUT_ANCHOR = {"BipedalWalker", "Hopper"}


def small(path: Path) -> dict:
    """Return an example that plays few episodes."""
    config = load_config(path)
    config["experiment"]["logdir"] = None
    config["training"].update(n_samples=40, batch_size=20, verbose=False)
    config["gp_meld"].update(generations=1, population_size=20, train_n=5, n_islands=1)
    config["task"].update(
        n_episodes_train=1, n_episodes_test=1, n_episodes_validation=1, n_validated=2
    )
    config["task"]["refine_rounds"] = min(1, config["task"]["refine_rounds"])
    return config


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path) -> None:
    model = DeepSymbolicOptimizer(small(path))
    if path.stem in WITHOUT_ANCHOR:
        with pytest.raises(UserError, match="none comes with dso"):
            model.train()
        return
    result = model.train()
    assert result["n_samples"] >= 40
    assert np.isfinite(result["r_avg_test"])


def test_all_examples_are_found() -> None:
    assert len(EXAMPLES) >= 10
