"""What the untrained policy writes under the default regression priors.

The expected statistics were measured on 10 000 draws of the original.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from dso.config import load_config
from dso.policy import RNNPolicy
from dso.prior import make_joint_prior
from dso.streams import Stream
from dso.task import make_task

MEASURED = json.loads(Path(__file__).parents[1].joinpath("data/untrained_policy.json").read_text())


@pytest.mark.parametrize("benchmark", MEASURED)
def test_lengths_tokens_and_validity_are_those_measured(benchmark):
    expected = MEASURED[benchmark]
    config = load_config("config_regression.json")
    task = make_task(task_type="regression", dataset=benchmark)
    prior = make_joint_prior(config["prior"], task.library, max_length=64)
    programs = RNNPolicy(task.library, prior).sample(10_000, Stream(0, "sample")).programs

    assert programs.lengths.mean() == pytest.approx(expected["mean_length"], abs=0.3)
    written = programs.tokens[programs.tokens >= 0]
    frequencies = np.bincount(written, minlength=task.library.L) / len(written)
    for name, frequency in expected["token_frequencies"].items():
        assert frequencies[task.library.index(name)] == pytest.approx(frequency, abs=0.01), name
    if expected["invalid_rate"] is not None:
        invalid = (task.rewards(programs).cause != 0).mean()
        assert invalid == pytest.approx(expected["invalid_rate"], abs=0.02)
