"""Runs on more rows than the search sees at a time, and with rows set aside."""

import csv

import numpy as np
import pytest

from dso import DeepSymbolicOptimizer
from dso.errors import UserError
from dso.evaluation import Evaluator, RowBatches
from dso.fitting import make_fitter
from dso.memory import HallOfFame, ParetoFront, ScoredPrograms
from dso.memory.judge import Judge
from dso.program import ProgramBatch, from_str_tokens
from dso.program.batch import Batch
from dso.streams import Stream
from dso.task import make_task
from dso.task.regression import load_dataset

FUNCTIONS = ["add", "sub", "mul", "sin", "exp", "const"]
TEXTS = (
    "x1",
    "mul,const,x1",
    "add,x1,x2",
    "add,mul,const,x1,mul,const,x2",
    "exp,exp,exp,mul,x1,x1",
)


def data(n_rows, noise=0.1, seed=0):
    random = np.random.default_rng(seed)
    X = random.uniform(-2, 2, (n_rows, 2))
    return X, 1.5 * X[:, 0] + np.sin(X[:, 1]) + noise * random.normal(size=n_rows)


def config(n_rows, tmp_path=None, **sections):
    merged = {
        "experiment": {
            "logdir": None if tmp_path is None else str(tmp_path),
            "exp_name": "run",
            "seed": 1,
        },
        "task": {"task_type": "regression", "dataset": data(n_rows), "function_set": FUNCTIONS},
        "training": {"n_samples": 1200, "batch_size": 60, "verbose": False},
        "logging": {"hof": 20},
    }
    for name, section in sections.items():
        merged[name] = {**merged.get(name, {}), **section}
    return merged


def trained(*args, **sections):
    model = DeepSymbolicOptimizer(config(*args, **sections))
    return model, model.train()


def log_of(model, steps=12):
    model.setup()
    return [
        {k: v for k, v in model.trainer.step().row.items() if k != "time"} for _ in range(steps)
    ]


def rewards_on_all_rows(model, programs):
    """Score rows by themselves, constants as they are."""
    task = make_task(**{**model.config["task"], "batching": False})
    return task.rewards(programs).values


def make(n_rows=3000, **options):
    task = make_task("regression", dataset=data(n_rows), function_set=FUNCTIONS, **options)
    return task, Evaluator(task, task.library, fitter=make_fitter(task, "lm", {}))


def batch_of(task, texts=TEXTS):
    return ProgramBatch.from_rows([from_str_tokens(t, task.library).tokens for t in texts])


def scored(evaluator, programs, iteration=0):
    scores = evaluator.evaluate(Batch(programs, np.ones(len(programs), bool)), iteration)
    rewards = np.where(scores.cause == 0, scores.rewards, -np.inf)
    programs = ProgramBatch(programs.tokens, programs.lengths, scores.programs.constants)
    return ScoredPrograms(programs, rewards, programs.lengths.astype(float))


def test_up_to_a_thousand_rows_nothing_changes() -> None:
    logs = [
        log_of(DeepSymbolicOptimizer(config(1000, task={"batching": batching})), 4)
        for batching in ("auto", True, False)
    ]
    assert logs[0] == logs[1] == logs[2]
    assert "n_rows" not in logs[0][0]


@pytest.mark.parametrize(
    ("options", "n_rows", "seen"),
    [
        ({}, 1001, 1000),
        ({"batching_rows": 50}, 1001, 50),
        ({"batching_rows": 50}, 1000, 1000),
        ({"batching_rows": 50, "batching": True}, 200, 50),
        ({"batching_rows": 5000, "batching": True}, 200, 200),
        ({"batching": False}, 3000, 3000),
        ({"validation_fraction": 0.5}, 2000, 1000),
        ({"reward_noise": 0.1}, 3000, 3000),
    ],
)
def test_how_many_rows_the_search_sees(options, n_rows, seen) -> None:
    assert make(n_rows, **options)[0].n_search_rows == seen


def test_what_is_kept_is_rewarded_on_all_rows(tmp_path) -> None:
    model, result = trained(3000, tmp_path, task={"batching_rows": 60})
    assert model.evaluator.task is not model.task
    for kept in (model.trainer.keeper.hall_of_fame.rows, model.trainer.keeper.pareto_front.rows):
        expected = rewards_on_all_rows(model, kept.programs)
        np.testing.assert_allclose(kept.rewards, expected, rtol=1e-12)
    assert result["r"] == pytest.approx(result["program"].r, rel=1e-12)
    # Their constants are fitted to all rows: fitting again gains next to nothing.
    hof = model.trainer.keeper.hall_of_fame.rows
    gains = model.judge.evaluator.rewards(hof.programs) - hof.rewards
    assert gains.min() > -1e-9
    assert np.median(gains) < 1e-8
    assert gains.max() < 1e-3
    with open(tmp_path / "run" / "dso_regression_1.csv", newline="") as file:
        log = list(csv.DictReader(file))
    assert {row["n_rows"] for row in log} == {"60"}
    assert float(log[-1]["r_best"]) == pytest.approx(result["r"], rel=1e-12)
    assert float(log[-1]["r_max"]) != float(log[-1]["r_best"])


def test_threads_and_repetition_do_not_matter() -> None:
    # More rows than a tile, so that few programs are dealt out singly.
    run = {"task": {"batching_rows": 700}}
    logs = [
        log_of(DeepSymbolicOptimizer(config(9000, training={"n_cores_batch": n}, **run)), 4)
        for n in (1, 3, 1)
    ]
    assert logs[0] == logs[1] == logs[2]


def test_rows_are_drawn_again_every_few_iterations() -> None:
    task, evaluator = make(batching_rows=100)
    batches = RowBatches(evaluator, task, seed=3)
    seen = {}
    for iteration in range(25):
        assert batches.start(iteration) == (iteration % 10 == 0)
        assert not batches.start(iteration)
        seen[iteration] = evaluator.task.fit_data.y.copy()
        assert len(set(seen[iteration])) == 100
        assert set(seen[iteration]) <= set(task.y_train)
    np.testing.assert_array_equal(seen[0], seen[9])
    assert set(seen[9]) != set(seen[10])
    other = RowBatches(make(batching_rows=100)[1], task, seed=3)
    other.start(14)
    np.testing.assert_array_equal(other.evaluator.task.fit_data.y, seen[10])
    RowBatches(evaluator, task, seed=4).start(14)
    assert set(evaluator.task.fit_data.y) != set(seen[10])


def test_rewards_of_other_rows_are_never_mixed() -> None:
    task, evaluator = make(batching_rows=50)
    batches = RowBatches(evaluator, task, seed=0)
    programs = batch_of(task)
    batches.start(0)
    first = scored(evaluator, programs, 9)
    batches.start(10)
    scores = evaluator.evaluate(Batch(programs, np.ones(len(programs), bool)), 10)
    fresh = make()[1]
    fresh.change_task(evaluator.task, 0)
    expected = scored(fresh, programs)
    valid = expected.rewards > -np.inf
    np.testing.assert_array_equal(scores.rewards[valid], expected.rewards[valid])
    np.testing.assert_array_equal(scores.programs.constants, expected.programs.constants)
    assert (scores.rewards[valid] != first.rewards[valid]).all()
    # They count as known and go on being counted, but were evaluated again.
    assert not scores.is_new.any()
    assert scores.n_evaluated == len(programs)
    assert evaluator.counts(programs.keys())[0].tolist() == [2] * len(programs)
    again = evaluator.evaluate(Batch(programs, np.ones(len(programs), bool)), 11)
    assert again.n_evaluated == 0
    np.testing.assert_array_equal(again.rewards, scores.rewards)


def test_the_memory_of_the_quantile_is_rewarded_again() -> None:
    model = DeepSymbolicOptimizer(
        config(
            3000,
            task={"batching_rows": 50, "function_set": ["add", "sin"]},
            training={"use_memory": True, "warm_start": 60},
        )
    )
    model.setup()
    for _ in range(11):
        model.trainer.step()
        memory = model.trainer.learner.risk_filter.memory
        expected = model.evaluator.rewards(memory.programs)
        np.testing.assert_array_equal(memory.rewards, expected)


def test_a_queue_holds_rewards_on_all_rows() -> None:
    model = DeepSymbolicOptimizer(
        config(
            3000,
            task={"batching_rows": 50},
            policy_optimizer={"policy_optimizer_type": "pqt", "pqt_k": 5},
        )
    )
    model.setup()
    for _ in range(12):
        model.trainer.step()
    rows = model.trainer.learner.queue.rows
    np.testing.assert_allclose(rows.rewards, rewards_on_all_rows(model, rows.programs), rtol=1e-12)


def test_the_judge_takes_what_would_be_kept_and_takes_it_once() -> None:
    task, evaluator = make(batching_rows=50)
    RowBatches(evaluator, task, 0).start(0)
    judge = Judge(task, make()[1])
    seen = scored(evaluator, batch_of(task))
    hall, front = HallOfFame(2), ParetoFront()
    first = judge.select(seen, hall, front, 0)
    assert len(first) == 4  # all valid ones
    hall.update(first)
    front.update(first)
    assert len(judge.select(seen, hall, front, 0)) == 0
    # Against a full hall of fame only what is better on the rows of the search is looked at.
    other = scored(evaluator, batch_of(task, ("sin,x2", "x2", "add,mul,const,x1,sin,x2")))
    chosen = judge.select(other, hall, front, 0)
    assert [task.library.names[t] for t in chosen.programs.row(0)] == [
        "add", "mul", "const", "x1", "sin", "x2",
    ]  # fmt: skip
    assert len(chosen) == 1


def test_the_judge_prefers_the_front_where_it_cannot_take_all() -> None:
    task, evaluator = make(batching_rows=500)
    RowBatches(evaluator, task, 0).start(0)
    judge = Judge(task, make()[1], rows_per_iteration=1, least_programs=2)
    texts = ("mul,const,x1", "add,mul,const,x1,x2", "add,x2,mul,const,x1", "x1", "add,x2,x2")
    seen = scored(evaluator, batch_of(task, texts))
    chosen = judge.select(seen, HallOfFame(9), ParetoFront(), 0)
    assert sorted(chosen.programs.lengths.tolist()) == [3, 5]
    assert judge.max_programs == 2


def test_the_standing_of_a_judge_can_be_restored() -> None:
    task, evaluator = make(batching_rows=50)
    judge, other = Judge(task, make()[1]), Judge(task, make()[1])
    seen = scored(evaluator, batch_of(task))
    judge.select(seen, HallOfFame(9), None, 0)
    other.load_state_dict(judge.state_dict())
    assert len(other.select(seen, HallOfFame(9), None, 0)) == 0


def test_batching_does_not_go_with_noisy_rewards() -> None:
    with pytest.raises(
        UserError, match=r"task\.batching: true does not go with task\.reward_noise"
    ):
        make(batching=True, reward_noise=0.1)


# Rows set aside.


def test_rows_set_aside_belong_to_the_data() -> None:
    X, y = data(50)
    tasks = [
        make_task("regression", dataset=(X, y), validation_fraction=0.3).dataset for _ in range(2)
    ]
    first = tasks[0]
    assert (len(first.y_train), len(first.y_validation)) == (35, 15)
    np.testing.assert_array_equal(first.y_validation, tasks[1].y_validation)
    assert sorted([*first.y_train, *first.y_validation]) == sorted(y)
    for rows, targets in ((first.X_train, first.y_train), (first.X_validation, first.y_validation)):
        places = [int(np.flatnonzero(y == value)[0]) for value in targets]
        np.testing.assert_array_equal(X[places], rows)
    np.testing.assert_array_equal(first.y_test, y)
    places = []
    for seed in (0, 1):
        source = {"name": "Nguyen-5", "seed": seed}
        aside = load_dataset(source, validation_fraction=0.3).y_validation
        places.append(np.flatnonzero(np.isin(load_dataset(source).y_train, aside)).tolist())
    assert places[0] != places[1]


@pytest.mark.parametrize(("n", "fraction"), [(10, 0.1), (10, 0.95), (3, 0.5)])
def test_too_few_rows_on_a_side_are_refused(n, fraction) -> None:
    with pytest.raises(UserError, match=r"task\.validation_fraction: .* rows sets .* aside"):
        make_task("regression", dataset=data(n), validation_fraction=fraction)


@pytest.mark.parametrize("batching", [{}, {"batching": True, "batching_rows": 40}])
def test_rows_set_aside_rank_what_is_kept(tmp_path, batching) -> None:
    model, result = trained(300, tmp_path, task={"validation_fraction": 0.4, **batching})
    task = model.task
    for kept in (model.trainer.keeper.hall_of_fame.rows, model.trainer.keeper.pareto_front.rows):
        expected = task.validation_rewards(kept.programs).values
        np.testing.assert_allclose(kept.rewards, expected, rtol=1e-12)
        train = task.rewards(kept.programs).values
        np.testing.assert_allclose(kept.training_rewards, train, rtol=1e-12)
    hof = model.trainer.keeper.hall_of_fame.rows
    assert (np.diff(hof.rewards) <= 0).all()
    assert (np.diff(hof.training_rewards) > 0).any()
    assert (result["r_val"], result["r"]) == (hof.rewards[0], hof.training_rewards[0])
    with open(tmp_path / "run" / "dso_regression_1_hof.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["r_val"]) for row in rows] == hof.rewards.tolist()
    assert [float(row["r"]) for row in rows] == hof.training_rewards.tolist()
    # The search never saw them.
    assert not set(task.dataset.y_validation) & set(model.evaluator.task.fit_data.y)


def test_the_noise_of_few_rows_is_not_chosen() -> None:
    """A program that fits the training rows by luck is ranked below one that holds elsewhere."""
    task = make_task("regression", dataset=data(40, 0.3), function_set=FUNCTIONS,
                     validation_fraction=0.5)  # fmt: skip
    judge = Judge(task, None)
    programs = batch_of(task, ("add,sin,x2,mul,const,x1", "mul,const,x1"))
    evaluator = Evaluator(task, task.library, fitter=make_fitter(task, "lm", {}))
    seen = scored(evaluator, programs)
    lucky = ScoredPrograms(seen.programs, np.array([0.1, 0.9]), seen.complexities)
    chosen = judge.select(lucky, HallOfFame(5), ParetoFront(), 0).ranked()
    np.testing.assert_array_equal(chosen.programs.lengths, [6, 3])
    np.testing.assert_array_equal(chosen.training_rewards, [0.1, 0.9])


def test_a_program_that_is_invalid_on_rows_set_aside_is_not_kept() -> None:
    X = np.linspace(1, 2, 40)[:, None]
    X[make_rows_aside(40, 0.25)[0]] = 800
    task = make_task("regression", dataset=(X, np.arange(40.0)), function_set=["exp", "add"],
                     validation_fraction=0.25)  # fmt: skip
    evaluator = Evaluator(task, task.library)
    seen = scored(evaluator, batch_of(task, ("exp,x1", "x1")))
    assert (seen.rewards > 0).all()
    chosen = Judge(task, None).select(seen, HallOfFame(5), ParetoFront(), 0)
    hall = HallOfFame(5)
    hall.update(chosen)
    assert hall.rows.programs.lengths.tolist() == [1]


def make_rows_aside(n, fraction):
    random = Stream(0, "validation rows").generator()
    return random.choice(n, round(fraction * n), replace=False)


def test_success_asks_for_the_fit_on_both_parts() -> None:
    X = np.arange(20.0)[:, None]
    aside = make_rows_aside(20, 0.2)
    for bad in (aside[:1], np.setdiff1d(np.arange(20), aside)[:1], []):
        y = X[:, 0] * 1e6
        y[bad] += 1.5  # one row in twenty that is not met
        task = make_task("regression", dataset=(X, y / 1e6), function_set=["add"],
                         validation_fraction=0.2, threshold=3.6e-15)  # fmt: skip
        result = task.evaluate(from_str_tokens("x1", task.library))
        assert result["nmse_test"] < 3.6e-15  # over all rows
        assert result["success"] is (len(bad) == 0)


def test_a_reward_threshold_asks_for_both_parts() -> None:
    run = {"task": {"validation_fraction": 0.3}}
    model, result = trained(200, training={"n_samples": 600}, **run)
    lower, upper = sorted([result["r"], result["r_val"]])
    assert lower < upper
    for threshold, stops in ((upper, False), (lower - 0.3, True)):
        model, _ = trained(200, training={"n_samples": 600, "reward_threshold": threshold}, **run)
        assert ("reward_threshold" in model.stop_reason) is stops
