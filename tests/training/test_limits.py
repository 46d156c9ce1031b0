"""What ends an iteration before its own end."""

import signal

import numpy as np
import pytest

from dso import DeepSymbolicOptimizer
from dso.semantic.budget import Budget, SemanticLimits
from dso.training.stopping import Standing, Stopping
from tests.support.runs import config


def test_the_clock_runs_from_where_it_is_started() -> None:
    stopping = Stopping(n_samples=10, max_seconds=100.0)
    assert not stopping.is_over
    stopping.start_clock(99.0)
    assert 0 < stopping.seconds_left <= 1
    stopping.start_clock(100.0)
    assert stopping.is_over
    assert stopping.reason(Standing()) == "max_seconds = 100 are over"
    stopping.start_end()
    assert 5 < stopping.seconds_left <= 10
    assert Stopping(n_samples=10).seconds_left == np.inf


def test_a_signal_cuts_where_nothing_is_to_be_gone_on_with() -> None:
    stopping = Stopping(n_samples=10)
    stopping.heed(signal.SIGINT)
    assert not stopping.is_over
    stopping.cuts_on_signal = True
    assert stopping.is_over
    stopping.start_end()  # which is there for what was found
    assert not stopping.is_over


def test_a_meld_ends_when_time_is_over() -> None:
    sections = {
        "training": {"n_samples": 10**9, "batch_size": 100, "early_stopping": False},
        "gp_meld": {"run_gp_meld": True, "generations": 10**6},
    }
    model = DeepSymbolicOptimizer(config(**sections))
    model.setup()
    model.stopping.max_seconds = 60.0
    n_asked = 0

    def generation(*arguments: object) -> object:
        nonlocal n_asked
        n_asked += 1
        if n_asked == 3:
            model.stopping.start_clock(60.0)
        return breed(*arguments)

    controller = model.trainer.sources["gp"].controller
    breed, controller.breeder.breed = controller.breeder.breed, generation
    model.iterate()
    assert n_asked == 3
    assert model.stop_reason == "max_seconds = 60 are over"


def test_semantic_mutation_keeps_to_a_small_budget() -> None:
    sections = {
        "training": {"n_samples": 3000, "batch_size": 100, "early_stopping": False},
        "gp_meld": {"run_gp_meld": True, "p_semantic": 0.1},
    }
    assert DeepSymbolicOptimizer(config(**sections)).train()["n_samples"] < 6000


def test_a_search_by_values_can_be_asked_to_end() -> None:
    is_over = False
    budget = Budget.of(SemanticLimits(), lambda: is_over)
    part = budget.part(max_lookups=5)
    assert part.seconds_left > 0
    is_over = True
    assert part.seconds_left == 0
    assert part.is_spent


@pytest.mark.slow
def test_what_is_found_by_values_may_be_enough_for_its_end() -> None:
    def n_lookups(reward: float) -> int:
        sections = {
            "task": {
                "dataset": {"name": "Nguyen-12", "noise": 0.1},
                "function_set": ["add", "sub", "mul", "sin", "const"],
            },
            "training": {"n_samples": 10**9, "batch_size": 100},
            "semantic": {"on": True, "max_lookups": 10**6},
        }
        model = DeepSymbolicOptimizer(config(**sections))
        model.setup()
        keeper = model.trainer.keeper
        model.stopping.is_enough = lambda: keeper.r_best >= reward
        return model.trainer.step().row["n_semantic_lookups"]

    assert n_lookups(0.5) < n_lookups(2.0)
