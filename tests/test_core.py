"""Whole runs: files, determinism, stopping, what is refused."""

import csv
import json
import multiprocessing
import pickle
import signal
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dso import DeepSymbolicOptimizer
from dso.errors import UserError
from dso.policy import Policy
from dso.program import Program
from dso.runs.tables import ResultFiles
from dso.task.regression import RegressionTask
from tests.support.function_sets import KOZA
from tests.support.runs import TIME_COLUMNS, config, read


def log_of(model, steps):
    rows = [model.trainer.step().row for _ in range(steps)]
    return [{k: v for k, v in row.items() if k not in TIME_COLUMNS} for row in rows]


def test_a_run_leaves_its_files_and_returns_its_result(tmp_path):
    model = DeepSymbolicOptimizer(config(tmp_path))
    result = model.train()
    folder = tmp_path / "run"
    names = ["config.json", "dso_Nguyen-5_0.csv", "dso_Nguyen-5_0_hof.csv", "dso_Nguyen-5_0_pf.csv"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert model.save_path == str(folder)
    log = read(folder / "dso_Nguyen-5_0.csv")
    assert len(log) == 4
    assert log[-1]["nevals"] == "400"
    hof = read(folder / "dso_Nguyen-5_0_hof.csv")
    assert list(hof[0])[:5] == [
        "r",
        "count_on_policy",
        "count_off_policy",
        "expression",
        "traversal",
    ]
    assert {"nmse_test", "nmse_test_noiseless", "success"} <= set(hof[0])
    assert float(hof[0]["r"]) == result["r"] == float(log[-1]["r_best"])
    assert hof[0]["traversal"] == result["traversal"]
    assert int(hof[0]["count_on_policy"]) >= 1
    front = read(folder / "dso_Nguyen-5_0_pf.csv")
    complexities = [int(row["complexity"]) for row in front]
    assert complexities == sorted(set(complexities))
    assert front[-1]["r"] == hof[0]["r"]
    keys = list(result)
    assert keys[:2] == ["seed", "r"]
    assert keys[-2:] == ["n_samples", "n_cached"]
    expected = ["nmse_test", "nmse_test_noiseless", "success", "expression", "traversal", "program"]
    assert keys[2:8] == expected
    assert all(key.startswith("error_") for key in keys[8:-2])
    n_invalid = sum(value for key, value in result.items() if key.startswith("error_node_"))
    shares = [float(row["invalid_avg_full"]) for row in log]
    assert n_invalid == round(100 * sum(shares))


def test_the_reward_is_that_of_the_program_returned():
    model = DeepSymbolicOptimizer(config())
    result = model.train()
    assert model.task.reward_function(result["program"]) == result["r"]


def test_the_config_that_is_written_repeats_the_run(tmp_path):
    first = DeepSymbolicOptimizer(config(tmp_path)).train()
    path = tmp_path / "run" / "config.json"
    written = json.loads(path.read_text())
    assert written["checkpoint"]["load_path"] is None
    assert written["experiment"]["task_name"] == "Nguyen-5"
    second = DeepSymbolicOptimizer(str(path)).train()
    assert second["traversal"] == first["traversal"]


def test_the_config_that_is_written_starts_a_run_of_its_own(tmp_path):
    given = config(tmp_path, experiment={"seed": 4, "starting_seed": 3, "timestamp": "then"})
    model = DeepSymbolicOptimizer(given)
    model.train()
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert written["experiment"]["seed"] == 3
    assert "timestamp" not in written["experiment"]


def test_a_program_is_evaluated_once_for_all_tables(monkeypatch):
    model = DeepSymbolicOptimizer(config(training={"early_stopping": False}))
    model.train_one_step()
    evaluate, asked = model.task.evaluate, []

    def count(program, **options):
        asked.append(repr(program))
        return evaluate(program, **options)

    monkeypatch.setattr(model.task, "evaluate", count)
    rows = [model.trainer.keeper.hall_of_fame.rows, model.trainer.keeper.pareto_front.rows]
    first = model.reports.tables(*rows)
    assert model.reports.tables(*rows) == first
    assert len(asked) == len(set(asked)) > 0
    model.finish()


def test_the_same_seed_twice_gives_the_same_files_but_for_times(tmp_path):
    for name in ("a", "b"):
        DeepSymbolicOptimizer(config(tmp_path / name)).train()
    for suffix in ("", "_hof", "_pf"):
        file = f"run/dso_Nguyen-5_0{suffix}.csv"
        assert read(tmp_path / "a" / file) == read(tmp_path / "b" / file)


def test_another_seed_and_another_task_draw_other_programs():
    logs = []
    for seed, dataset in ((0, "Nguyen-5"), (1, "Nguyen-5"), (0, "Nguyen-6")):
        model = DeepSymbolicOptimizer(
            config(experiment={"seed": seed}, task={"dataset": dataset, "function_set": KOZA})
        )
        model.setup()
        (row,) = log_of(model, 1)
        logs.append((row["l_avg_full"], row["a_ent_full"]))
    assert logs[0] != logs[1]
    assert logs[0] != logs[2]


def test_interleaved_optimisers_do_what_each_does_alone():
    sections = ({"experiment": {"seed": 0}}, {"experiment": {"seed": 5}, "policy": {"cell": "gru"}})
    alone = []
    for section in sections:
        model = DeepSymbolicOptimizer(config(**section))
        model.setup()
        alone.append(log_of(model, 4))
    models = [DeepSymbolicOptimizer(config(**section)) for section in sections]
    for model in models:
        model.setup()
    together = [[], []]
    for _ in range(4):
        for model, rows in zip(models, together, strict=True):
            rows += log_of(model, 1)
    assert together == alone


def test_training_again_starts_afresh():
    model = DeepSymbolicOptimizer(config())
    assert model.train()["traversal"] == model.train()["traversal"]


def test_the_program_returned_can_be_pickled_and_scored():
    program = DeepSymbolicOptimizer(config()).train()["program"]
    copy = pickle.loads(pickle.dumps(program))
    assert copy.r == program.r
    assert copy.evaluate == program.evaluate


def test_an_iteration_makes_no_program(monkeypatch):
    model = DeepSymbolicOptimizer(config(training={"early_stopping": False}))
    model.setup()
    made = []
    original = Program.__init__
    monkeypatch.setattr(
        Program, "__init__", lambda self, *a, **k: made.append(1) or original(self, *a, **k)
    )
    for _ in range(3):
        model.train_one_step()
    assert made == []
    model.finish()
    assert made != []


def test_steps_by_hand_end_with_the_result():
    model = DeepSymbolicOptimizer(config())
    results = [model.train_one_step() for _ in range(4)]
    assert results[:3] == [None, None, None]
    assert results[3]["n_samples"] == 400
    assert model.stop_reason == "n_samples = 400 are spent"
    with pytest.raises(RuntimeError, match="n_samples = 400"):
        model.train_one_step()


def test_sections_can_be_changed_until_setup():
    model = DeepSymbolicOptimizer(config())
    model.config_training.update(batch_size=50, n_samples=50)
    model.config_prior = {"length": {"on": True, "min_": 3, "max_": 9}}
    result = model.train()
    assert result["n_samples"] == 50
    assert model.config["prior"] == {"length": {"on": True, "min_": 3, "max_": 9}}
    lengths = model.trainer.keeper.hall_of_fame.rows.programs.lengths
    assert 3 <= lengths.min() <= lengths.max() <= 9


def test_a_success_ends_the_run():
    easy = config(task={"dataset": "Nguyen-1", "threshold": 10.0}, training={"n_samples": 10**6})
    model = DeepSymbolicOptimizer(easy)
    assert model.train()["success"] is True
    assert model.stop_reason == "the best program is a success"
    assert model.trainer.standing.iteration == 1


def test_a_callback_and_the_clock_end_the_run():
    model = DeepSymbolicOptimizer(config(training={"n_samples": 10**6}))
    model.train(callback=lambda standing: standing.iteration == 2)
    assert model.trainer.standing.iteration == 2
    model.config_training["max_seconds"] = 1e-6
    model.train()
    assert model.trainer.standing.iteration == 1


def test_an_interrupt_finishes_with_results_on_disk(tmp_path):
    def interrupt(standing):
        if standing.iteration == 2:
            signal.raise_signal(signal.SIGINT)

    model = DeepSymbolicOptimizer(config(tmp_path, training={"n_samples": 10**6}))
    result = model.train(callback=interrupt)
    assert model.stop_reason == "interrupted"
    assert result["n_samples"] == 200
    assert len(read(tmp_path / "run" / "dso_Nguyen-5_0.csv")) == 2
    assert read(tmp_path / "run" / "dso_Nguyen-5_0_hof.csv")


def test_result_files_are_there_while_the_run_goes_on(tmp_path):
    model = DeepSymbolicOptimizer(config(tmp_path))
    model.setup()
    keeper = model.trainer.keeper
    tables = ResultFiles(model.folder, model.reports, keeper, min_seconds=0, max_share=np.inf)
    model.journal.recorders.append(tables)
    model.train_one_step()
    folder = tmp_path / "run"
    assert len(read(folder / "dso_Nguyen-5_0.csv")) == 1
    assert read(folder / "dso_Nguyen-5_0_hof.csv")
    assert read(folder / "dso_Nguyen-5_0_pf.csv")
    model.finish()


def test_an_error_in_an_iteration_leaves_the_log_so_far(tmp_path, monkeypatch):
    model = DeepSymbolicOptimizer(config(tmp_path, logging={"save_freq": 10}))
    model.train_one_step()

    def fail(*arguments, **others):
        raise UserError("the task failed")

    monkeypatch.setattr(model.evaluator, "evaluate", fail)
    with pytest.raises(UserError, match="the task failed"):
        model.train_one_step()
    assert len(read(tmp_path / "run" / "dso_Nguyen-5_0.csv")) == 1


@pytest.mark.parametrize("baseline", ["ewma_R", "R_e", "ewma_R_e", "combined"])
@pytest.mark.parametrize("epsilon", [0.05, 1.0, None])
def test_every_baseline_runs_with_and_without_risk_seeking(baseline, epsilon):
    model = DeepSymbolicOptimizer(config(training={"baseline": baseline, "epsilon": epsilon}))
    assert model.train()["n_samples"] == 400
    for parameter in model.policy.parameters():
        assert np.isfinite(parameter.detach().numpy()).all()


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_every_update_rule_runs(optimizer):
    model = DeepSymbolicOptimizer(config(policy_optimizer={"optimizer": optimizer}))
    assert np.isfinite(model.train()["r"])


def test_a_run_with_memory(caplog):
    training = {"use_memory": True, "warm_start": 50, "memory_capacity": 60}
    model = DeepSymbolicOptimizer(config(training={**training, "memory_threshold": 0.0}))
    result = model.train()
    assert result["n_samples"] == 450
    memory = model.trainer.learner.risk_filter.memory
    assert 50 < len(memory) <= 60
    assert sum("memory_threshold" in message for message in caplog.messages) == 1


def test_novel_batches_hold_a_batch_of_new_programs_and_what_came_with_them():
    def rows(**policy):
        model = DeepSymbolicOptimizer(
            config(
                task={"function_set": ["exp", "sub", "add", "mul"]},
                prior={"length": {"min_": 1, "max_": 7}},
                policy=policy,
            )
        )
        model.setup()
        return [model.trainer.step().row for _ in range(3)]

    plain = rows()
    novel = rows(sample_novel_batch=True, max_attempts_at_novel_batch=1000)
    assert plain[1]["n_novel_full"] < 80
    assert [row["n_novel_full"] for row in novel[:2]] == [100, 100]
    assert novel[1]["nevals"] > 300
    few = rows(sample_novel_batch=True, max_attempts_at_novel_batch=2)
    assert plain[2]["nevals"] == 300 < few[2]["nevals"] <= 600


@pytest.mark.parametrize("complexity", ["token", "length", None])
def test_every_complexity_runs(complexity):
    model = DeepSymbolicOptimizer(config(training={"complexity": complexity}))
    model.train()
    assert (len(model.trainer.keeper.pareto_front) == 1) is (complexity is None)


def test_data_given_as_arrays_are_named_by_shape_in_the_config(tmp_path):
    X = np.linspace(1.0, 2.0, 20)[:, None]
    data = config(tmp_path, task={"dataset": (X, X[:, 0] ** 2)})
    assert np.isfinite(DeepSymbolicOptimizer(data).train()["r"])
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert written["task"]["dataset"] == ["ndarray (20, 1)", "ndarray (20,)"]


def test_a_drawn_seed_is_stored_and_repeats_the_run():
    first = DeepSymbolicOptimizer(config(experiment={"seed": None}))
    result = first.train()
    assert first.config["experiment"]["seed"] == result["seed"]
    again = DeepSymbolicOptimizer(config(experiment={"seed": result["seed"]}))
    assert again.train()["traversal"] == result["traversal"]


class NeverLearns:
    """A policy optimiser of the user's own, without a base class."""

    def __init__(self, policy, label):
        self.label, self.queues = label, []

    def step(self, batch, baseline, queue):
        self.queues.append(len(queue))
        return {}


class SaysNothing(NeverLearns):
    def __init__(self, policy):
        super().__init__(policy, "")

    def step(self, batch, baseline, queue):
        return None


class SaysWords(SaysNothing):
    def step(self, batch, baseline, queue):
        return {"loss": "low"}


class ReturnsAList(SaysNothing):
    def step(self, batch, baseline, queue):
        return [1.0]


@pytest.mark.parametrize("made", [SaysNothing, SaysWords, ReturnsAList])
def test_what_an_optimiser_of_ones_own_says_is_checked(made):
    section = {"policy_optimizer_type": f"{__name__}:{made.__name__}"}
    message = rf"{made.__name__}\.step returned .*; expected a dict of numbers"
    with pytest.raises(UserError, match=message):
        DeepSymbolicOptimizer(config(policy_optimizer=section)).train()


def test_an_optimiser_of_ones_own_needs_only_a_step():
    section = {"policy_optimizer_type": f"{__name__}:NeverLearns", "label": "x", "pqt_k": 3}
    model = DeepSymbolicOptimizer(config(policy_optimizer=section))
    model.train()
    assert model.policy_optimizer.label == "x"
    assert model.policy_optimizer.queues[0] == 1
    assert 1 <= model.policy_optimizer.queues[-1] <= 3


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("training", {"epsilon": 0}, r"training\.epsilon"),
        ("training", {"epsilon": 2}, r"training\.epsilon"),
        (
            "policy_optimizer",
            {"policy_optimizer_type": "pqt", "pqt_k": 101},
            r"policy_optimizer\.pqt_k: 101; allowed: at most training\.batch_size = 100",
        ),
        ("policy_optimizer", {"pqt_batch_size": 0}, r"policy_optimizer\.pqt_batch_size"),
        ("policy_optimizer", {"ppo_clip_ratio": 1.0}, r"policy_optimizer\.ppo_clip_ratio"),
        (
            "policy_optimizer",
            {"policy_optimizer_type": "ppq"},
            "'ppq' in policy_optimizer\\.policy_optimizer_type",
        ),
        (
            "policy_optimizer",
            {"policy_optimizer_type": "tests.test_core:Nothing"},
            r"policy_optimizer\.policy_optimizer_type.*'Nothing'",
        ),
        (
            "policy_optimizer",
            {"policy_optimizer_type": f"{__name__}:NeverLearns", "labell": "x"},
            "Did you mean 'label'",
        ),
        (
            "policy",
            {"policy_type": "tests.support.plugins:BagOfSymbols", "widht": 4},
            "Did you mean 'width'",
        ),
        ("policy", {"action_prob_lowerbound": 1.0}, r"policy\.action_prob_lowerbound"),
        ("policy", {"max_attempts_at_novel_batch": 0}, r"policy\.max_attempts_at_novel_batch"),
        ("training", {"memory_capacity": 0}, r"training\.memory_capacity"),
        ("gp_meld", {"run_gp_meld": True, "n_islands": 101}, r"gp_meld\.n_islands: 101; .* = 100"),
    ],
)
def test_bad_values_are_refused_by_name(section, values, message):
    with pytest.raises(UserError, match=message):
        DeepSymbolicOptimizer(config(**{section: values})).setup()


@pytest.mark.parametrize(
    ("sections", "is_told"),
    [
        ({"training": {"epsilon": 0.01}}, True),
        ({"training": {"epsilon": 0.02}}, False),
        ({"training": {"epsilon": 0.01, "baseline": "ewma_R"}}, False),
        ({"gp_meld": {"run_gp_meld": True}, "training": {"epsilon": 0.01}}, False),
    ],
)
def test_a_baseline_that_lets_nothing_be_learned_is_told(sections, is_told, caplog):
    DeepSymbolicOptimizer(config(**sections)).setup()
    assert ("nothing is learned from rewards" in caplog.text) == is_told


def test_results_with_constants_can_be_pickled():
    task = {**config()["task"], "function_set": ["add", "mul", "const"]}
    result = DeepSymbolicOptimizer(config(task=task)).train()
    copy = pickle.loads(pickle.dumps(result))
    assert repr(copy["program"]) == repr(result["program"])
    assert copy["program"].evaluate == result["program"].evaluate


@pytest.mark.slow
def test_runs_with_constants_come_back_from_other_processes():
    sections = config(task={"function_set": ["add", "mul", "const"]})
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        first, second = pool.map(trained, [sections, sections])
    assert repr(first["program"]) == repr(second["program"])
    np.testing.assert_array_equal(first["program"].constants, second["program"].constants)


def trained(sections):
    return DeepSymbolicOptimizer(sections).train()


@pytest.mark.parametrize("seed", [0, 3])
def test_towers_of_exponentials_under_protection_end_no_run(tmp_path, seed):
    functions = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", 1.0, 5.0]
    task = {"function_set": functions, "protected": True}
    sections = config(tmp_path, task=task, experiment={"seed": seed}, logging={"hof": 60})
    assert np.isfinite(DeepSymbolicOptimizer(sections).train()["r"])
    texts = pd.read_csv(next((tmp_path / "run").glob("*_hof.csv")))["expression"]
    assert len(texts) == 60
    assert not texts.str.contains("nan|zoo|oo").any()


class RefusesLongOnes(RegressionTask):
    def reward_function(self, program, optimizing=False):
        program.invalid = len(program) > 5
        return float("nan") if len(program) == 5 else super().reward_function(program, optimizing)


def test_programs_that_a_task_calls_invalid_count_as_such():
    task = {**config()["task"], "task_type": f"{__name__}:RefusesLongOnes"}
    model = DeepSymbolicOptimizer(config(task=task))
    result = model.train()
    batch = model.last.batch
    np.testing.assert_array_equal(batch.cause != 0, batch.programs.lengths >= 5)
    assert len(result["program"]) < 5
    assert result["error_node_invalid"] > 0


GP = {"run_gp_meld": True, "generations": 3, "train_n": 20}


def test_genetic_programming_alone_switches_on_and_counts_its_offspring(tmp_path):
    sections = {"training": {"n_samples": 4000}, "gp_meld": {"run_gp_meld": True}}
    model = DeepSymbolicOptimizer(config(tmp_path, **sections))
    result = model.train()
    rows = read(tmp_path / "run" / "dso_Nguyen-5_0.csv")
    assert list(rows[0])[-3:] == ["n_offspring", "n_offspring_novel", "n_refused"]
    n_offspring = [int(row["n_offspring"]) for row in rows]
    assert sum(n_offspring) + 100 * len(rows) == result["n_samples"] == int(rows[-1]["nevals"])
    assert n_offspring[0] > 1500  # 20 generations of 100, but for those that failed
    assert model.trainer.standing.n_offspring == sum(n_offspring)
    assert int(rows[0]["n_refused"]) > 0
    # The front and the hall of fame take in every offspring, not only those that train.
    assert result["r"] == model.trainer.keeper.hall_of_fame.rows.rewards[0]


def test_the_policy_learns_from_offspring_it_could_have_written(monkeypatch):
    training = {"n_samples": 10_000, "early_stopping": False}
    model = DeepSymbolicOptimizer(config(gp_meld=GP, training=training))
    model.setup()
    learned = []
    step = model.policy_optimizer.step
    monkeypatch.setattr(
        model.policy_optimizer, "step", lambda b, *rest: (learned.append(b), step(b, *rest))[1]
    )
    for _ in range(3):
        model.train_one_step()
    batch = model.last.batch
    assert len(batch) == 100 + 20
    assert batch.on_policy.sum() == 100
    off_policy = [b.programs[~b.on_policy] for b in learned]
    assert all(len(programs) for programs in off_policy)
    assert all(model.prior.allowed(programs).all() for programs in off_policy)
    replay = model.policy.replay(off_policy[-1])
    log_prob, _ = model.policy.log_prob_and_entropy(replay)
    assert bool(log_prob.isfinite().all())


def test_runs_with_genetic_programming_repeat_for_any_number_of_threads():
    def rows(**training):
        model = DeepSymbolicOptimizer(config(gp_meld=GP, training=training))
        model.setup()
        return log_of(model, 3)

    assert rows() == rows(n_cores_batch=3) == rows(n_cores_batch=None)


def test_genetic_programming_serves_a_task_in_python():
    task = {"task_type": "tests.support.plugins:CountTokens", "weight": 1.0}
    model = DeepSymbolicOptimizer(
        {
            "experiment": {"logdir": None},
            "task": task,
            "training": {"batch_size": 20, "n_samples": 300, "verbose": False},
            "policy": {"max_length": 15},
            "gp_meld": {**GP, "train_n": 10},
        }
    )
    result = model.train()
    assert result["r"] == 15.0
    assert len(result["program"]) == 15


def test_a_generation_can_be_followed(caplog):
    caplog.set_level("INFO", logger="dso")
    model = DeepSymbolicOptimizer(config(gp_meld={**GP, "verbose": True}))
    model.setup()
    model.train_one_step()
    lines = [r.message for r in caplog.records if r.message.startswith("gp_meld: generation")]
    assert len(lines) == 3
    assert "offspring scored" in lines[0]


def test_constants_are_found_and_shown(tmp_path):
    model = DeepSymbolicOptimizer(
        config(
            tmp_path,
            task={"dataset": "Constant-1"},
            training={"n_samples": 60_000, "batch_size": 1000},
            experiment={"seed": 1},
        )
    )
    result = model.train()
    assert result["success"]
    numbers = [float(name) for name in result["traversal"].split(",") if "." in name]
    assert numbers == result["program"].constants.tolist()
    assert "const" not in result["expression"]
    hall_of_fame = next(tmp_path.rglob("*_hof.csv")).read_text()
    assert "const" not in hall_of_fame
    np.testing.assert_allclose(
        result["program"].execute(model.task.X_train), model.task.y_train, rtol=1e-9
    )


def test_constants_that_stay_at_one_need_no_fit():
    model = DeepSymbolicOptimizer(
        config(
            task={"dataset": "Nguyen-1", "function_set": ["add", "mul", "sub", "const"]},
            training={"const_optimizer": "dummy"},
        )
    )
    assert np.isfinite(model.train()["r"])


def test_a_policy_that_is_none_is_refused():
    model = DeepSymbolicOptimizer(config(policy={"policy_type": "dso.program.batch:Batch"}))
    with pytest.raises(UserError, match="not a subclass of Policy"):
        model.setup()


class Lacking(Policy):
    def __init__(self, library, prior):
        pass


def test_a_policy_that_lacks_methods_is_told_which():
    model = DeepSymbolicOptimizer(config(policy={"policy_type": f"{__name__}:Lacking"}))
    with pytest.raises(UserError, match=r"Lacking\): lacks .*log_prob_and_entropy.*sample"):
        model.setup()


def test_keys_that_a_policy_of_ones_own_does_not_take_are_told_once(caplog):
    section = {
        "policy_type": "tests.support.plugins:BagOfSymbols",
        "action_prob_lowerbound": 0.01,
        "cell": "gru",
        "width": 4,
    }
    DeepSymbolicOptimizer(config(policy=section)).train()
    told = [record.message for record in caplog.records if "does not take" in record.message]
    assert len(told) == 1
    assert "does not take cell, action_prob_lowerbound; ignored" in told[0]


def test_an_error_in_a_callback_gives_the_files_back(tmp_path):
    def fail(standing):
        raise ArithmeticError

    model = DeepSymbolicOptimizer(config(tmp_path, logging={"save_freq": -1}))
    with pytest.raises(ArithmeticError):
        model.train(fail)
    assert len(read(tmp_path / "run" / "dso_Nguyen-5_0.csv")) == 1


def test_there_is_no_result_before_there_is_a_run():
    with pytest.raises(RuntimeError, match="no run yet"):
        DeepSymbolicOptimizer(config()).finish()


def test_fitted_polynomials_are_shown_in_every_result(tmp_path):
    X = np.random.default_rng(0).uniform(0, 3, (60, 2))
    y = np.exp(0.5 * X[:, 0] ** 2 - 1)
    task = {"dataset": (X, y), "function_set": ["add", "mul", "exp", "poly"]}
    model = DeepSymbolicOptimizer(
        config(tmp_path, task=task, training={"n_samples": 2000, "batch_size": 500})
    )
    result = model.train()
    assert result["success"]
    assert result["program"].polynomial is not None
    assert str(result["program"].polynomial) in result["traversal"]
    assert "exp(" in result["expression"]
    np.testing.assert_allclose(result["program"].execute(X), y, rtol=1e-6)
    assert result["program"].r == pytest.approx(1.0)
    for suffix in ("hof", "pf"):
        file = next(Path(model.save_path).glob(f"*_{suffix}.csv"))
        rows = list(csv.DictReader(file.read_text().splitlines()))
        assert rows
        for row in rows:
            assert "poly" not in row["traversal"] + row["expression"]
    best = rows[-1]  # of the front: reward and complexity ascend
    assert best["traversal"] == result["traversal"]
    assert int(best["complexity"]) == result["program"].complexity


def test_expressions_bear_the_names_of_the_data(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    X = random.uniform(-2, 2, (40, 2))
    y = X[:, 1] + np.sin(X[:, 0])
    table = np.column_stack([X, y])
    file = tmp_path / "pendulum.csv"
    np.savetxt(file, table, delimiter=",", header="θ,speed (km/h),force", comments="")
    frame = pd.DataFrame(X, columns=["θ", "speed (km/h)"])
    for k, dataset in enumerate((str(file), (frame, y))):
        config = {
            "experiment": {"logdir": str(tmp_path), "exp_name": f"run{k}"},
            "task": {"task_type": "regression", "dataset": dataset, "function_set": ["add", "sin"]},
            "training": {"n_samples": 2000, "batch_size": 500, "verbose": False},
        }
        result = DeepSymbolicOptimizer(config).train()
        assert result["expression"] == "speed_km_h + sin(θ)"
        assert set(result["traversal"].split(",")) == {"add", "sin", "x1", "x2"}
        assert str(result["program"].sympy_expr) == result["expression"]
        (rows,) = (tmp_path / f"run{k}").glob("*_hof.csv")
        assert pd.read_csv(rows)["expression"][0] == result["expression"]
        assert str(pickle.loads(pickle.dumps(result["program"])).sympy_expr) == result["expression"]
