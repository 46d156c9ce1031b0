"""What ends an iteration before its own end."""

import signal

import numpy as np
import pytest

from dso import DeepSymbolicOptimizer
from dso.processes import resident_bytes
from dso.semantic.budget import Budget, SemanticLimits
from dso.training import memory_limit
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


def test_a_process_that_grows_too_large_ends_the_run_with_what_it_has(monkeypatch) -> None:
    sizes = iter([10_000_000] * 5)  # and a gigabyte from then on
    monkeypatch.setattr(memory_limit, "resident_bytes", lambda: next(sizes, 10**9))
    monkeypatch.setattr(memory_limit, "SECONDS_BETWEEN_LOOKS", 0.0)
    model = DeepSymbolicOptimizer(
        config(training={"n_samples": 10**9, "batch_size": 50, "max_megabytes": 500.0})
    )
    assert model.train()["program"] is not None
    assert model.stop_reason == "the process is larger than max_megabytes = 500"
    assert model.trainer.standing.iteration == 6


def test_memory_is_looked_at_now_and_then_and_the_end_has_its_own_share(monkeypatch) -> None:
    sizes = [450_000_000, 600_000_000, 10]
    monkeypatch.setattr(memory_limit, "resident_bytes", lambda: sizes.pop(0))
    clock = [0.0]
    monkeypatch.setattr(memory_limit.time, "monotonic", lambda: clock[0])
    limit = memory_limit.MemoryLimit(500)
    assert not limit.is_reached
    assert limit.bytes_left == 50_000_000
    assert len(sizes) == 2
    clock[0] = 0.2
    assert limit.is_reached
    clock[0] = 0.4
    assert limit.is_reached  # what was too much once ends the run
    assert not sizes
    limit.max_bytes = 600_000_000
    limit._n_bytes = 700_000_000
    limit.start_end()
    assert not limit.is_reached
    assert limit.max_bytes == pytest.approx(770_000_000)
    assert memory_limit.MemoryLimit().bytes_left == np.inf


def test_the_size_of_a_process_is_what_it_holds() -> None:
    before = resident_bytes()
    held = np.ones(20_000_000)
    assert 0.9 * held.nbytes < resident_bytes() - before < 1.5 * held.nbytes


def test_a_library_of_values_takes_its_part_of_the_memory_that_is_left(monkeypatch) -> None:
    model = DeepSymbolicOptimizer(config(semantic={"on": True}, training={"n_samples": 10**6}))
    model.setup()
    source = model.trainer.sources["semantic"]
    asked = []

    def search(limits, *others):
        asked.append(limits.max_bytes)
        raise InterruptedError

    monkeypatch.setattr(source.seeder, "_search", search)
    for megabytes in (None, resident_bytes() / 1e6 + 100):
        source.stopping = Stopping(n_samples=10, max_megabytes=megabytes)
        with pytest.raises(InterruptedError):
            source.propose(0, None)
    assert asked[0] is None
    assert 15_000_000 < asked[1] < 30_000_000


def test_a_search_within_another_ends_with_it() -> None:
    outer, inner = Stopping(n_samples=10, max_seconds=60.0), Stopping(n_samples=10)
    inner.within = outer
    outer.start_clock()
    assert not inner.is_over
    assert 50 < inner.seconds_left <= 60
    outer.cuts_on_signal = True
    outer.heed(signal.SIGINT)
    assert inner.is_over


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


@pytest.mark.parametrize("meld", [False, True])
def test_a_batch_of_episodes_ends_when_time_is_over(meld: bool) -> None:
    model = DeepSymbolicOptimizer(
        config(
            task={"task_type": "control", "env": "Pendulum-v1", "n_episodes_train": 4},
            training={"n_samples": 10**9, "batch_size": 60},
            gp_meld={"run_gp_meld": meld, "population_size": 60, "generations": 2},
        )
    )
    model.setup()
    model.stopping.max_seconds = 60.0
    play, asked = model.task.rollouts.play, []

    def count(policies: object, *arguments: object) -> object:
        asked.append(policies)
        if len(asked) == (2 if meld else 1):  # the policy has two rungs
            model.stopping.start_clock(60.0)
        return play(policies, *arguments)

    model.task.rollouts.play = count
    model.iterate()
    assert model.stop_reason == "max_seconds = 60 are over"
    assert 0 < model.trainer.standing.n_samples < (120 if meld else 60)
