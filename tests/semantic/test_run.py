"""The search by values as a part of a run: what it finds counts, joins, is judged like the rest."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from dso import DeepSymbolicOptimizer
from dso.errors import UserError
from dso.semantic import SemanticSearch
from tests.support.function_sets import KOZA
from tests.support.runs import config, read

SEMANTIC = ("n_semantic_vectors", "n_semantic_lookups")
SMALL = {"on": True, "max_entries": 3000, "max_lookups": 30_000}


def points(n_rows: int, n_inputs: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 3, (n_rows, n_inputs))


def on(X: np.ndarray, y: np.ndarray, semantic: dict | None = None, **sections):
    """Return a model that searches some data by values first."""
    task = {"dataset": (X, y), "function_set": KOZA, **sections.pop("task", {})}
    training = {"n_samples": 4_000_000, **sections.pop("training", {})}
    sections |= {"task": task, "training": training}
    return DeepSymbolicOptimizer(
        config(semantic=semantic or {**SMALL, "max_share": 1.0}, **sections)
    )


def log(tmp_path) -> list[dict[str, str]]:
    (path,) = (p for p in (tmp_path / "run").glob("dso_*_0.csv"))
    return read(path)


def test_a_target_that_can_be_solved_for_ends_the_run_in_its_first_iteration(tmp_path) -> None:
    budget = {"n_samples": 4_000_000}
    gp = {"run_gp_meld": True, "generations": 2}
    sections: dict[str, Any] = {"task": {"dataset": "Nguyen-12"}, "gp_meld": gp}
    model = DeepSymbolicOptimizer(
        config(tmp_path, semantic={"on": True}, training=budget, **sections)
    )
    result = model.train()
    assert result["success"]
    assert model.stop_reason == "the best program is a success"
    (row,) = log(tmp_path)
    n_semantic = sum(int(row[name]) for name in SEMANTIC)
    assert list(row)[-2:] == list(SEMANTIC)
    assert result["n_samples"] == int(row["nevals"]) == 100 + n_semantic
    assert n_semantic > 40_000
    assert row["n_offspring"] == "0"  # nothing is left to breed for
    assert float(row["r_max"]) == result["r"] > 1 - 1e-12
    assert model.prior.allowed(model.trainer.keeper.best.programs).all()
    # One program is reported, the best of those that are exact.
    assert len(model.last.proposals["semantic"].batch) == 1


def test_without_anything_found_nothing_changes_but_the_columns(tmp_path) -> None:
    def run(name: str, **semantic) -> tuple[list[dict[str, str]], bytes]:
        sections = {"gp_meld": {"run_gp_meld": True, "generations": 2}}
        model = DeepSymbolicOptimizer(config(tmp_path / name, semantic=semantic, **sections))
        model.train()
        hall = next((tmp_path / name / "run").glob("*_hof.csv")).read_bytes()
        return log(tmp_path / name), hall

    plain, searched = run("off", max_entries=7), run("on", on=True, max_share=0.0)
    for name in SEMANTIC:
        assert [row.pop(name) for row in searched[0]] == ["0"] * len(plain[0])
    assert plain == searched


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_it_uses_no_more_than_its_share_of_the_budget(share: float) -> None:
    X = points(40)
    y = np.random.default_rng(1).normal(size=40)
    for names in (KOZA, [*KOZA, "const"]):
        model = on(
            X,
            y,
            semantic={"on": True, "max_share": share},
            task={"function_set": names},
            training={"n_samples": 200_000},
        )
        model.train_one_step()
        assert model.last.proposals["semantic"].n_evaluations < 1.1 * share * 200_000


def test_what_comes_near_joins_the_first_batch_off_policy() -> None:
    X = points(60, 3)
    y = 1.7 * X[:, 0] * np.sin(X[:, 2]) + 0.8 * X[:, 1] ** 2 - 0.5
    y += 0.05 * y.std() * np.random.default_rng(2).normal(size=60)
    sections: dict[str, Any] = {
        "task": {"function_set": [*KOZA, "const"]},
        "training": {"n_samples": 3_000_000, "batch_size": 100},
        "policy_optimizer": {"policy_optimizer_type": "pqt", "pqt_k": 5},
        "gp_meld": {"run_gp_meld": True, "generations": 1, "population_size": 80},
    }
    model = on(X, y, semantic={"on": True, "max_entries": 3000, "max_programs": 20}, **sections)
    model.train_one_step()
    trainer = model.trainer
    seeds = model.last.proposals["semantic"]
    assert len(seeds.batch) == 20
    assert not seeds.batch.on_policy.any()
    assert model.prior.allowed(seeds.batch.programs).all()
    batch, kept = model.last.batch, model.last.lesson.kept
    assert (~batch.on_policy[100:120]).all()
    np.testing.assert_array_equal(batch.rewards[100:120], seeds.batch.rewards)
    assert kept[100:120].any()
    # Hall of fame, front, queue and population have the best of them.
    best = seeds.batch.rewards.max()
    assert best > 0.9 > batch.rewards[:100].max()
    assert trainer.keeper.hall_of_fame.rows.rewards[0] >= best
    assert trainer.keeper.pareto_front.rows.rewards.max() >= best
    assert trainer.learner.queue.rows.rewards.max() >= best
    keys = set(trainer.sources["gp"].controller.population.programs.keys().tolist())
    assert keys & set(seeds.batch.programs.keys().tolist())
    assert model.train_one_step() is None
    assert model.last.proposals["semantic"].batch is None
    n_bred = trainer.standing.n_offspring
    assert trainer.standing.n_samples == 2 * 100 + n_bred + seeds.n_evaluations


def test_rewards_are_those_of_the_tasks_metric() -> None:
    X = points(30)
    model = on(X, X[:, 0] * np.sin(X[:, 1]) + X[:, 1] ** 2, task={"metric": "pearson"})
    result = model.train()
    assert result["r"] == pytest.approx(1.0)
    assert model.trainer.standing.iteration == 1


def test_many_rows_are_searched_by_some_and_judged_by_all() -> None:
    X = points(25_000)
    y = X[:, 0] ** 3 / X[:, 1] - np.log(X[:, 0])
    for batching in (True, False):
        model = on(X, y, task={"batching": batching})
        result = model.train()
        assert result["success"]
        assert model.trainer.standing.iteration == 1
        assert result["nmse_test"] < 1e-20


@pytest.mark.slow
@pytest.mark.parametrize("batching", ["auto", False])
def test_a_million_rows_cost_no_more_and_little_memory(batching: object) -> None:
    X = points(1_000_000)
    y = X[:, 0] ** 3 / X[:, 1] - np.log(X[:, 0])
    for target, is_solvable in (
        (y, True),
        (y + np.random.default_rng(0).normal(size=len(y)), False),
    ):
        task = {"batching": batching, "function_set": [*KOZA, "const"]}
        model = on(X, target, task=task, training={"batch_size": 10})
        model.setup()
        tracemalloc.start()
        row = model.trainer.step().row
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert model.trainer.standing.success == is_solvable
        assert 0 < sum(row[name] for name in SEMANTIC) < 4_100_000
        assert peak < 20 * X.nbytes


def test_rows_set_aside_are_not_searched(monkeypatch) -> None:
    seen = []
    search = SemanticSearch.run

    def watch(self, *asked):
        seen.append(self.problem.data.columns.shape)
        return search(self, *asked)

    monkeypatch.setattr(SemanticSearch, "run", watch)
    X = points(100)
    model = on(X, np.exp(X[:, 0]) + X[:, 1] ** 2, task={"validation_fraction": 0.2})
    result = model.train()
    assert seen == [(2, 80)]
    assert result["success"]
    assert result["r_val"] == pytest.approx(1.0)


def test_weights_decide_what_is_near() -> None:
    X = points(200, 1, 3)
    x = X[:, 0]
    is_heavy = np.arange(200) % 2 == 0
    y = np.where(is_heavy, 1.3 * np.sin(x) + 0.7, 0.4 * x**3 - x)
    weights = np.where(is_heavy, 1.0, 1e-8)
    model = on(
        X,
        y,
        task={"dataset": (X, y, weights), "function_set": [*KOZA, "const"]},
        training={"n_samples": 4_000_000},
    )
    model.train_one_step()
    assert model.last.proposals["semantic"].batch.rewards.max() > 0.999


@pytest.mark.parametrize(
    "task",
    [
        {"function_set": ["add", "mul", "sin", "poly"]},
        {"function_set": ["add", "mul", "sin", "tests.support.plugins:half"]},
        {"function_set": ["add", "mul", "sin"], "decision_tree_threshold_set": [1.0]},
    ],
    ids=["poly", "Python", "state checkers"],
)
def test_tokens_that_take_no_part_do_no_harm(task: dict) -> None:
    X = points(30)
    model = on(X, X[:, 0] * np.sin(X[:, 1]) + X[:, 1], task=task)
    assert model.train()["success"]
    assert model.trainer.standing.iteration == 1


def test_a_task_without_data_is_told_so(tmp_path) -> None:
    model = DeepSymbolicOptimizer(
        {
            "experiment": {"logdir": str(tmp_path)},
            "task": {"task_type": "control", "env": "CustomCartPoleContinuous-v0"},
            "semantic": {"on": True},
        }
    )
    with pytest.raises(UserError, match=r"semantic\.on: true; the task .* has no data"):
        model.setup()


def hostile() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    generator = np.random.default_rng(4)
    X = generator.normal(size=(100, 2))
    noise = generator.normal(size=100)
    return {
        "duplicate columns": (X[:, [0, 0, 1, 1]], noise),
        "all negative": (-np.abs(X), noise),
        "huge": (X * 1e300, noise * 1e100),
        "tiny": (X * 1e-300, noise * 1e-100),
        "constant input": (np.ones((100, 2)), noise),
        "ten rows": (X[:10], noise[:10]),
        "50 inputs": (generator.normal(size=(100, 50)), noise),
    }


@pytest.mark.parametrize("name", list(hostile()))
def test_hostile_data_end_no_run_and_give_no_success(name: str) -> None:
    X, y = hostile()[name]
    model = on(X, y, semantic=SMALL | {"max_share": 0.1}, task={"function_set": [*KOZA, "const"]})
    model.setup()
    for _ in range(2):
        model.trainer.step()
    assert not model.trainer.standing.success
    assert not (model.trainer.standing.r_best > 0.99 and name != "ten rows")
