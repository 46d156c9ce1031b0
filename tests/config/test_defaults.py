"""Defaults: the documented values, the reference files, the examples."""

import importlib.util
import json
import logging
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dso.config import load_config, validate
from dso.config.base import Section
from dso.config.config import TASK_DEFAULTS, Config, common_defaults
from dso.config.files import read_config, shipped_configs

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {
    "regression": {"Constant-7", "Nguyen-2", "Nguyen-2-GPmeld", "PiecewiseFunction-1", "Poly-1"},
    "control": {
        "Acrobot-v1",
        "BipedalWalker",
        "BipedalWalkerAuto",
        "CartPole-v1",
        "CartPoleSwingUp",
        "CustomCartPoleContinuous-v0",
        "CustomCartPoleContinuous-v0_DecisionTree",
        "Hopper",
        "HopperBullet",
        "InvertedDoublePendulum-v5",
        "InvertedDoublePendulumBullet",
        "InvertedPendulumSwingupBullet",
        "LunarLander",
        "LunarLanderAuto",
        "LunarLanderMultiDiscrete",
        "MountainCar-v0",
        "Pendulum-v1",
    },
}

COMMON = {
    "experiment": {"logdir": "./logs", "exp_name": None, "seed": 0},
    "task": {"task_type": None},
    "training": {
        "n_samples": 2_000_000,
        "batch_size": 1000,
        "epsilon": 0.05,
        "baseline": "R_e",
        "alpha": 0.5,
        "b_jumpstart": False,
        "n_cores_batch": 1,
        "complexity": "token",
        "parsimony": 0.0,
        "warmup": None,
        "const_optimizer": "lm",
        "const_params": {},
        "max_seconds": None,
        "max_megabytes": None,
        "reward_threshold": None,
        "patience": None,
        "early_stopping": True,
        "verbose": True,
        "debug": 0,
        "use_memory": False,
        "memory_capacity": 1000,
        "warm_start": None,
        "memory_threshold": None,
    },
    "logging": {
        "save_all_iterations": False,
        "save_summary": False,
        "save_positional_entropy": False,
        "save_pareto_front": True,
        "save_cache": False,
        "save_cache_r_min": 0.9,
        "save_freq": 1,
        "save_token_count": False,
        "save_top_samples_per_batch": 0.0,
        "hof": 100,
    },
    "state_manager": {
        "type": "hierarchical",
        "observe_action": False,
        "observe_parent": True,
        "observe_sibling": True,
        "observe_dangling": False,
        "embedding": False,
        "embedding_size": 8,
    },
    "policy": {
        "policy_type": "rnn",
        "max_length": 64,
        "cell": "lstm",
        "num_layers": 1,
        "num_units": 32,
        "initializer": "zeros",
        "action_prob_lowerbound": 0.0,
        "sample_novel_batch": False,
        "max_attempts_at_novel_batch": 10,
        "debug": 0,
    },
    "policy_optimizer": {
        "policy_optimizer_type": "pg",
        "summary": False,
        "learning_rate": 0.001,
        "optimizer": "adam",
        "entropy_weight": 0.005,
        "entropy_gamma": 1.0,
        "pqt_k": 10,
        "pqt_batch_size": 1,
        "pqt_weight": 200.0,
        "pqt_use_pg": False,
        "ppo_clip_ratio": 0.2,
        "ppo_n_iters": 10,
        "ppo_n_mb": 4,
        "debug": 0,
    },
    "gp_meld": {
        "run_gp_meld": False,
        "verbose": False,
        "generations": 20,
        "population_size": None,
        "p_crossover": 0.5,
        "p_mutate": 0.5,
        "tournament_size": 5,
        "train_n": 50,
        "mutate_tree_max": 3,
        "crossover_operator": "cxOnePoint",
        "mutation_operator": "multi_mutate",
        "parallel_eval": False,
        "ind_representation": "",
        "n_attempts": 8,
        "p_join": 0.0,
        "p_perturb": 0.1,
        "p_fit": 1.0,
        "p_archive": 0.0,
        "p_semantic": 0.0,
        "semantic_entries": 30_000,
        "semantic_partners": 2,
        "keep_population": False,
        "n_islands": 1,
        "migration_interval": 10,
        "n_migrants": 2,
        "restart_after": None,
        "probe_size": 8,
    },
    "semantic": {
        "on": False,
        "max_share": 0.5,
        "per_sample": 1,
        "max_entries": 300_000,
        "max_bytes": None,
        "max_vectors": 50_000_000,
        "max_lookups": 200_000_000,
        "max_contexts": 12_000,
        "max_programs": 50,
        "max_seconds": None,
        "part": 0,
        "n_parts": 1,
    },
    "pretrained": {
        "on": False,
        "weights": None,
        "n_candidates": 128,
        "method": "beam",
        "imitation_steps": 20,
        "imitation_rate": 0.03,
        "advice_weight": 0.0,
        "advice_iterations": 20,
        "part": 0,
        "n_parts": 1,
    },
    "islands": {
        "n": 1,
        "interval": 10,
        "n_migrants": 5,
        "topology": "ring",
        "portfolio": [],
    },
    "reduce": {"on": False, "after": 3},
    "finishing": {"on": None, "max_share": 0.1, "snap": True},
    "prior": {
        "count_constraints": False,
        "relational": {"on": False, "targets": [], "effectors": [], "relationship": None},
        "length": {"on": False, "min_": 4, "max_": 30},
        "repeat": {"on": False, "tokens": "const", "min_": None, "max_": 3},
        "inverse": {"on": False},
        "trig": {"on": False, "arc": True},
        "const": {"on": False},
        "no_inputs": {"on": False},
        "uniform_arity": {"on": False},
        "soft_length": {"on": False, "loc": 10, "scale": 5},
        "domain_range": {"on": False},
        "language_model": {"on": False, "weight": 1.0, "temperature": 1.0, "formulas": None},
        "multi_discrete": {"on": False, "dense": False, "ordered": False},
        "max_size": {"on": False, "max_": None},
        "max_depth": {"on": False, "max_": None},
        "argument_size": {"on": False, "limits": {}},
        "nesting": {"on": False, "limits": {}},
        "argument_type": {"on": False, "tokens": [], "allowed": "inputs"},
        "all_inputs": {"on": False},
        "mutually_exclusive": {"on": False, "tokens": []},
        "units": {"on": False},
    },
    "postprocess": {"show_count": 5, "save_plots": True},
    "checkpoint": {"load_path": None, "save_freq": 23, "units": "hours", "save_on_done": False},
}
REGRESSION_TASK = {
    "task_type": "regression",
    "dataset": "Nguyen-1",
    "header": None,
    "y_limit": 100,
    "weights": None,
    "dataset_test": None,
    "validation_fraction": 0,
    "elementwise_loss": None,
    "loss_function": None,
    "loss_scale": "log",
    "batching": "auto",
    "batching_rows": None,
    "function_set": None,
    "complexities": {},
    "guesses": [],
    "template": None,
    "metric": "inv_nrmse",
    "metric_params": [1.0],
    "extra_metric_test": None,
    "extra_metric_test_params": [],
    "model_selection": "auto",
    "threshold": 1e-12,
    "protected": False,
    "reward_noise": 0.0,
    "reward_noise_type": "r",
    "normalize_variance": False,
    "decision_tree_threshold_set": [],
    "poly_optimizer_params": {
        "degree": 3,
        "coef_tol": 1e-6,
        "regressor": "dso_least_squares",
        "regressor_params": {},
    },
    "X_units": None,
    "y_units": None,
    "dimensionless_constants_only": False,
    "dimensional_constraint_penalty": None,
    "knowledge": [],
    "knowledge_penalty": 0.0,
}
CONTROL_TASK = {
    "task_type": "control",
    "env": "CustomCartPoleContinuous-v0",
    "env_kwargs": {},
    "observation_names": None,
    "action_spec": [None],
    "stages": {
        "order": None,
        "sweeps": 1,
        "distill": True,
        "distill_episodes": 10,
        "distill_rounds": 2,
        "distill_samples": 20_000,
        "joint_candidates": 600,
        "joint_episodes": 16,
        "actions": [],
    },
    "start": None,
    "algorithm": None,
    "anchor": None,
    "n_episodes_train": 25,
    "n_episodes_test": 1000,
    "success_score": 999999.0,
    "function_set": ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", 0.1, 1, 5],
    "protected": False,
    "fix_seeds": True,
    "episode_seed_shift": 0,
    "reward_scale": True,
    "decision_tree_threshold_set": [],
    "ref_action": None,
    "n_episodes_validation": 200,
    "n_validated": 50,
    "racing": "auto",
    "refine_rounds": None,
}
USUAL = ("inverse", "trig", "const", "no_inputs", "uniform_arity", "soft_length")


def differences(given: dict, base: dict, place: str = "") -> dict:
    """Return the leaves of `given` that are not in `base`, by their dotted place."""
    result: dict = {}
    for key, value in given.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            result |= differences(value, base[key], f"{place}{key}.")
        elif key not in base or base[key] != value:
            result[f"{place}{key}"] = value
    return result


def test_common_defaults_are_the_documented_ones() -> None:
    assert common_defaults() == COMMON


def test_a_custom_task_gets_the_common_defaults_and_its_own_keys() -> None:
    config = load_config({"task": {"task_type": "my.module:Task", "anything": {"x": 1}}})
    assert config == COMMON | {"task": {"task_type": "my.module:Task", "anything": {"x": 1}}}
    assert validate(config).to_dict()["task"] == config["task"]


def test_regression_changes_what_it_is_documented_to_change() -> None:
    config = load_config({"task": {"task_type": "regression"}})
    assert config.pop("task") == REGRESSION_TASK
    assert differences(config, COMMON) == {
        "policy_optimizer.learning_rate": 0.0005,
        "policy_optimizer.entropy_weight": 0.03,
        "policy_optimizer.entropy_gamma": 0.7,
        "prior.length.on": True,
        "prior.length.max_": 64,
        "prior.repeat.on": True,
        **{f"prior.{name}.on": True for name in [*USUAL, "units"]},
    }


def test_control_changes_what_it_is_documented_to_change() -> None:
    config = load_config({"task": {"task_type": "control"}})
    assert config.pop("task") == CONTROL_TASK
    assert differences(config, COMMON) == {
        "training.n_samples": 200_000,
        "training.batch_size": 200,
        "training.epsilon": 0.1,
        "training.early_stopping": False,
        "gp_meld.run_gp_meld": True,
        "gp_meld.keep_population": True,
        "gp_meld.population_size": 1000,
        "gp_meld.n_islands": 4,
        "gp_meld.p_fit": 0.1,
        "gp_meld.p_perturb": 0.3,
        "policy_optimizer.entropy_weight": 0.01,
        "policy_optimizer.entropy_gamma": 0.85,
        "prior.length.on": True,
        **{f"prior.{name}.on": True for name in USUAL},
    }


def test_without_a_task_type_regression_is_taken_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "dso"):
        config = load_config()
        assert config == load_config({"task": {"task_type": "regression"}})
        assert load_config({"task": {"task_type": None}}) == config
    assert len(caplog.records) == 2
    assert caplog.text.count("no task.task_type given") == 2


def test_the_gp_preset_is_the_documented_one() -> None:
    config = load_config("config_regression_gp.json")
    assert differences(config, load_config({"task": {"task_type": "regression"}})) == {
        "training.epsilon": 0.01,
        "gp_meld.run_gp_meld": True,
        "gp_meld.p_join": 0.5,
        "gp_meld.keep_population": True,
        "gp_meld.n_islands": 4,
        "gp_meld.restart_after": 20,
        "gp_meld.p_semantic": 0.2,
        "prior.length.max_": 40,
        "prior.repeat.max_": 6,
        "prior.domain_range.on": True,
    }


def test_the_best_preset_is_the_gp_preset_with_search_by_values_and_reductions() -> None:
    best, gp = load_config("config_regression_best.json"), load_config("config_regression_gp.json")
    assert differences(best, gp) == {
        "training.n_samples": 40_000_000,
        "semantic.on": True,
        "semantic.max_share": 0.75,
        "reduce.on": True,
    }


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name", ["config_common.json", "config_regression.json", "config_control.json", "schema.json"]
)
def test_reference_files_are_what_the_code_says(name: str) -> None:
    written = (ROOT / "config" / name).read_text(encoding="utf-8")
    assert written == script("write_config_files").reference_files()[name], (
        "run scripts/write_config_files.py"
    )


def test_reference_files_hold_the_defaults() -> None:
    def read(name: str) -> dict:
        return read_config(ROOT / "config" / name)

    schema = {"$schema": "schema.json"}
    assert read("config_common.json") == schema | common_defaults()
    assert read("config_regression.json") == schema | TASK_DEFAULTS["regression"]
    assert read("config_control.json") == schema | TASK_DEFAULTS["control"]


def test_every_key_has_a_meaning() -> None:
    def without_meaning(model: type[Section], place: str) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            if not field.description:
                found.append(f"{place}{name}")
            if isinstance(field.default, Section):
                found += without_meaning(type(field.default), f"{place}{name}.")
        return found

    assert without_meaning(Config, "") == []


def test_there_is_an_example_of_each_name() -> None:
    for task, names in EXAMPLES.items():
        folder = ROOT / "config" / "examples" / task
        assert {path.stem for path in folder.glob("*.json")} == names


@pytest.mark.parametrize("path", list(shipped_configs()), ids=lambda path: path.stem)
def test_every_config_of_ours_loads_without_complaint(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "dso"):
        typed = validate(load_config(path))
    if path.name != "config_common.json":  # which names no task
        assert caplog.records == []
        assert typed.task.task_type == (
            "control" if "control" in str(path.relative_to(ROOT)) else "regression"
        )


def test_examples_have_the_documented_values() -> None:
    assert load_config("Nguyen-2-GPmeld.json")["gp_meld"]["run_gp_meld"] is True
    assert "poly" in load_config("Poly-1.json")["task"]["function_set"]
    assert load_config("LunarLander.json")["task"]["action_spec"] == [None, "anchor"]
    lander = load_config("LunarLanderMultiDiscrete.json")
    assert lander["task"]["ref_action"] == [0, 1]
    assert lander["task"]["success_score"] == 215
    assert len(lander["task"]["decision_tree_threshold_set"]) == 8
    assert lander["prior"]["soft_length"] == {"on": True, "loc": 30, "scale": 8}
    assert lander["prior"]["multi_discrete"]["on"] is True
    car = load_config("MountainCar-v0.json")["task"]
    assert sum(map(len, car["decision_tree_threshold_set"])) == 18


def test_the_piecewise_data_are_found_and_are_what_the_generator_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = Path(load_config("PiecewiseFunction-1.json")["task"]["dataset"])
    generator = script("generate_piecewise_function")
    assert data.read_text(encoding="utf-8") == generator.text()
    x1, x2, y = generator.table().T
    assert 0 < (x1 < 0).sum() < len(x1)
    assert ((y == x1 + x2) | (x1 >= 0)).all()
    assert ((y == x1 * x2) | (x1 < 0)).all()


def test_the_schema_accepts_our_configs_and_refuses_slips() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "config" / "schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    for path in shipped_configs():
        assert [error.message for error in validator.iter_errors(read_config(path))] == []
    for slip in (
        {"trainin": {}},
        {"training": {"bach_size": 1}},
        {"training": {"epsilon": 2}},
        {"prior": {"lenght": {}}},
        {"policy": {"policy_type": "rn"}},
        {"task": {"metric": "mse"}},
    ):
        assert not validator.is_valid(slip), slip


def test_importing_the_config_loads_nothing_heavy() -> None:
    code = (
        "import sys, dso.config; dso.config.validate(dso.config.load_config({}));"
        "print([m for m in ('torch', 'numpy', 'sympy', 'pandas', 'json5') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.strip() == "[]"
