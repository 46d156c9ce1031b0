"""Checking values: what is refused and how it is said, what is accepted, what comes out."""

import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dso.config import Config, load_config, validate
from dso.errors import UserError
from tests.support.configs import ANYTHING, places


def check(config: dict) -> Config:
    """Load and validate; a config without a task is regression."""
    return validate(load_config({"task": {"task_type": "regression"}} | config))


def task(**values: Any) -> dict:
    return {"task": {"task_type": "regression", **values}}


def control(**values: Any) -> dict:
    return {"task": {"task_type": "control", **values}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        # Misspelt and misplaced keys.
        ({"training": {"bach_size": 3}}, r"key 'bach_size' in training. Did you mean 'batch_size'"),
        ({"logging": {"save_fre": 3}}, r"'save_fre' in logging. Did you mean 'save_freq'"),
        ({"state_manager": {"typ": "x"}}, r"'typ' in state_manager. Did you mean 'type'"),
        ({"policy": {"cel": "lstm"}}, r"'cel' in policy. Did you mean 'cell'"),
        ({"policy_optimizer": {"optimiser": 1}}, r"Did you mean 'optimizer'"),
        ({"checkpoint": {"save_frq": 1}}, r"'save_frq' in checkpoint. Did you mean 'save_freq'"),
        ({"semantic": {"onn": 1}}, r"'onn' in semantic"),
        ({"prior": {"lenght": {}}}, r"unknown prior 'lenght'. Did you mean 'length'"),
        ({"prior": {"length": {"max": 3}}}, r"'max' in prior.length. Did you mean 'max_'"),
        ({"prior": {"length": [{"max": 3}]}}, r"'max' in prior.length.0. Did you mean 'max_'"),
        ({"training": {"learning_rate": 1}}, r"training.learning_rate: is a key of section 'pol"),
        (task(tresholt=1), r"'tresholt' in task. Did you mean 'threshold'"),
        (task(poly_optimizer_params={"degre": 1}), r"task.poly_optimizer_params. Did .*'degree'"),
        (task(dataset={"name": "a", "nois": 1}), r"'nois' in task.dataset. Did .*'noise'"),
        (task(template={"combin": "f(x)"}), r"'combin' in task.template. Did .*'combine'"),
        (task(template={"": None}), r"unknown key '' in task.template"),
        (control(stages={"actions": [{"functions": []}]}), r"'functions' in task.stages.actions.0"),
        (control(env_kwarg={}), r"'env_kwarg' in task. Did you mean 'env_kwargs'"),
        # Values that are not in a table.
        ({"task": {"task_type": "regresion"}}, r"task type 'regresion'.*'regression'"),
        ({"task": {"task_type": 5}}, r"unknown task type 5"),
        ({"training": {"baseline": "Re"}}, r"'Re' in training.baseline. Did you mean 'R_e'"),
        ({"training": {"complexity": "mutations"}}, r"training.complexity.*length, token"),
        ({"training": {"const_optimizer": "scipi"}}, r"Did you mean 'scipy'"),
        ({"policy": {"policy_type": "rn"}}, r"'rn' in policy.policy_type. Did you mean 'rnn'"),
        ({"policy": {"initializer": "zero"}}, r"policy.initializer. Did you mean 'zeros'"),
        ({"policy_optimizer": {"optimizer": "adamw"}}, r"Did you mean 'adam'"),
        ({"gp_meld": {"crossover_operator": "cxTwoPoint"}}, r"Allowed: cxOnePoint"),
        ({"gp_meld": {"mutation_operator": "mutUniform"}}, r"Allowed: multi_mutate"),
        (
            {"gp_meld": {"crossover_operator": "cxModifiedPMX"}},
            r"crossover_operator 'cxModifiedPMX' belongs to the task 'binding', .*'cxOnePoint'\.$",
        ),
        (
            {"gp_meld": {"mutation_operator": "multi_constrained_mutate"}},
            r"'multi_constrained_mutate' belongs to the task 'binding', .*'multi_mutate'\.$",
        ),
        ({"prior": {"relational": {"relationship": "chil"}}}, r"prior.relational.relationship"),
        ({"checkpoint": {"units": "days"}}, r"checkpoint.units.*hours, iterations, minutes"),
        (task(metric="inv_nrms"), r"task.metric: unknown metric 'inv_nrms'.*'inv_nrmse'"),
        (task(reward_noise_type="y"), r"task.reward_noise_type"),
        (task(poly_optimizer_params={"regressor": "laso"}), r"Did you mean 'lasso'"),
        # Wrong types.
        ({"training": {"batch_size": "many"}}, r"training.batch_size: should be .*got 'many'"),
        ({"training": {"batch_size": 2.5}}, r"training.batch_size: .*integer, got 2.5"),
        ({"training": {"batch_size": True}}, r"training.batch_size: .*integer, got True"),
        ({"training": {"batch_size": None}}, r"training.batch_size: .*integer, got None"),
        ({"training": {"epsilon": "0.1"}}, r"training.epsilon: .*number, got '0.1'"),
        ({"training": {"verbose": 1}}, r"training.verbose: .*boolean, got 1"),
        ({"training": 5}, r"training: should be a dict of keys and values, got 5"),
        ({"training": None}, r"training: should be a dict"),
        ({"task": 5}, r"task: should be a dict"),
        ({"prior": {"length": 3}}, r"prior.length: should be a dict"),
        ({"prior": {"my:Prior": 3}}, r"'my:Prior' should be a dict of its arguments"),
        ({"policy": {"num_units": "32"}}, r"policy.num_units: .*integer or .*list, got '32'"),
        ({"policy": {"num_units": [32, 0]}}, r"policy.num_units.1: .*got 0"),
        (
            task(function_set=["add", None]),
            r"function_set.1: expected a name, .* got None",
        ),
        (task(function_set="add,sub"), r"task.function_set: .*list"),
        (task(decision_tree_threshold_set=["a"]), r"task.decision_tree_threshold_set.0"),
        (task(dataset=5), r"task.dataset: expected the name of a benchmark.*got 5"),
        (task(dataset=""), r"task.dataset"),
        (task(dataset={"noise": 0.1}), r"task.dataset.name: is required"),
        (control(action_spec=[None, 3]), r"task.action_spec.1"),
        # Numbers out of bounds.
        ({"training": {"batch_size": 0}}, r"training.batch_size: .*equal to 1, got 0"),
        ({"training": {"n_samples": -1}}, r"training.n_samples"),
        ({"training": {"n_samples": 10**30}}, r"training.n_samples"),
        ({"training": {"epsilon": 0}}, r"training.epsilon: .*greater than 0, got 0"),
        ({"training": {"epsilon": 2}}, r"training.epsilon: .*less than or equal to 1, got 2"),
        ({"training": {"epsilon": float("nan")}}, r"training.epsilon: .*finite"),
        ({"training": {"max_seconds": -1}}, r"training.max_seconds"),
        ({"training": {"max_seconds": float("inf")}}, r"training.max_seconds"),
        ({"training": {"patience": 0}}, r"training.patience"),
        ({"training": {"alpha": 0}}, r"training.alpha"),
        ({"training": {"n_cores_batch": 0}}, r"training.n_cores_batch: expected -1"),
        ({"training": {"n_cores_batch": -2}}, r"training.n_cores_batch"),
        ({"experiment": {"seed": -1}}, r"experiment.seed"),
        ({"experiment": {"seed": 2**64}}, r"experiment.seed"),
        ({"policy": {"max_length": 0}}, r"policy.max_length"),
        ({"policy": {"action_prob_lowerbound": 1}}, r"policy.action_prob_lowerbound"),
        ({"policy_optimizer": {"learning_rate": -1}}, r"policy_optimizer.learning_rate"),
        ({"policy_optimizer": {"entropy_weight": -1}}, r"policy_optimizer.entropy_weight"),
        ({"policy_optimizer": {"entropy_gamma": 1.5}}, r"policy_optimizer.entropy_gamma"),
        ({"policy_optimizer": {"ppo_clip_ratio": 1}}, r"policy_optimizer.ppo_clip_ratio"),
        ({"gp_meld": {"population_size": 0}}, r"gp_meld.population_size"),
        ({"gp_meld": {"generations": -1}}, r"gp_meld.generations"),
        ({"gp_meld": {"train_n": 0}}, r"gp_meld.train_n"),
        ({"gp_meld": {"p_mutate": 1.1}}, r"gp_meld.p_mutate"),
        ({"prior": {"soft_length": {"scale": 0}}}, r"prior.soft_length.scale"),
        ({"prior": {"nesting": {"limits": {"sin": {"sin": -1}}}}}, r"limits.sin.sin"),
        (task(threshold=-1), r"task.threshold"),
        (task(y_limit=0), r"task.y_limit"),
        (task(validation_fraction=1), r"task.validation_fraction"),
        (task(reward_noise=-0.1), r"task.reward_noise"),
        (control(n_episodes_train=0), r"task.n_episodes_train"),
        # Values that do not go together.
        ({"training": {"n_samples": 0}}, r"^training.n_samples is 0, for which pretrained.on must"),
        ({"gp_meld": {"population_size": 60, "n_islands": 61}}, r"gp_meld: n_islands \(61\) is gr"),
        ({"prior": {"length": {"min_": 70}}}, r"prior.length: min_ \(70\) is greater than max_"),
        ({"prior": {"repeat": {"min_": 5}}}, r"prior.repeat: min_ \(5\) is greater than max_"),
        (
            {"state_manager": {"observe_parent": False, "observe_sibling": False}},
            r"state_manager: at least one of",
        ),
        (task(metric="inv_nmse", metric_params=[0]), r"'inv_nmse' is the same for every program"),
        (task(metric="fraction", metric_params=[0, 0]), r"'fraction' is the same for every"),
        ({"training": {"max_time": 3}}, r"^training.max_time: called training.max_seconds here"),
        (task(max_time=3), r"^task.max_time: called training.max_seconds here"),
        (
            {"experiment": {"max_time": 3}},
            r"^experiment.max_time: called training.max_seconds here",
        ),
        (task(metric="fraction"), r"task.metric_params: metric 'fraction' takes 2 parameters"),
        (task(metric="neg_mse", metric_params=[1.0]), r"'neg_mse' takes 0 parameters, got \[1.0\]"),
        (task(extra_metric_test="fraction"), r"task.extra_metric_test_params: metric 'fraction'"),
        (task(poly_optimizer_params={"regressor_params": {"alpha": 1}}), r"parameter 'alpha'"),
        (control(reward_scale=[1, 0]), r"task.reward_scale: the minimum must be below"),
        (control(reward_scale=[1]), r"task.reward_scale"),
        ({"training": {"const_params": {"n_start": 2}}}, r"const_params: .*'n_start'.*'n_starts'"),
        ({"training": {"const_params": {"n_starts": 0}}}, r"const_params: n_starts: .*got 0"),
        ({"training": {"const_params": {"snap": "whole"}}}, r"const_params: .*'whole' in snap"),
        ({"training": {"const_params": {"bounds": [1, 0]}}}, r"pair \[low, high\]"),
        ({"training": {"const_params": {"bounds": [[0, 1], [2]]}}}, r"pair \[low, high\]"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named(config: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        check(config)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    "config",
    [
        {"training": {"epsilon": None}},
        {"training": {"epsilon": 1}},
        {"training": {"memory_capacity": 1e3, "n_samples": 2e6}},
        {"training": {"n_cores_batch": -1}},
        {"training": {"n_cores_batch": None, "complexity": None, "const_optimizer": None}},
        {"training": {"const_params": {"bounds": [0, None]}}},
        {"training": {"const_params": {"bounds": [[0, 1], [None, 2]], "n_starts": 3}}},
        {"experiment": {"seed": None, "logdir": None}},
        {"logging": {"hof": None, "save_freq": None}},
        {"logging": {"save_freq": 0}},
        {"policy": {"num_units": [8, 16], "cell": "gru"}},
        {"policy_optimizer": {"entropy_gamma": None}},
        {"prior": {"relational": [{"on": True, "targets": "x1", "effectors": ["sin", "1.0", 2]}]}},
        {"prior": {"length": {"on": False, "min_": 70}}},
        {"prior": {"language_model": {"on": True, "weight": None, "formulas": "own.txt"}}},
        {"prior": {"argument_size": {"on": True, "limits": {"pow": [-1, 1], "exp": 5}}}},
        {"prior": {"nesting": {"on": True, "limits": {"sin": {"sin": 0}}}}},
        {"prior": {"all_inputs": {"on": True}, "max_size": {"on": True, "max_": 30}}},
        {"prior": {"my.module:Prior": [{"on": True, "x": 1}], "a/b.py:Prior": {"on": True}}},
        task(function_set=["add", "const", 1.0, "2.5", "mine:op"], metric="mine:score"),
        task(dataset="my/data.csv", header=False, y_limit=None),
        task(dataset={"name": "Nguyen-1", "noise": 0.1, "seed": None, "backup": True}),
        task(decision_tree_threshold_set=[[0.1], [0.2, 0.3]]),
        task(metric="fraction", metric_params=[0.1, 0]),
        control(action_spec=["anchor", None, ["add", "x1", 2.0], "x1"], reward_scale=[0, 1]),
        control(ref_action=[0, 1], reward_scale=False, success_score=None),
    ],
    ids=str,
)
def test_what_is_allowed_is_kept(config: dict) -> None:
    typed = check(config).to_dict()
    for section, values in config.items():
        for key, value in values.items():
            if key != "const_params":
                kept = typed[section][key]
                one = isinstance(value, dict) and key != "dataset"
                assert (kept | value if one else kept) == kept if one else matches(kept, value)


def matches(kept: object, value: object) -> bool:
    """Tell whether a list or scalar is kept, defaults of a list of priors aside."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return all(k | v == k for k, v in zip(kept, value, strict=True))
    return kept == value


def test_every_problem_is_said_at_once() -> None:
    wrong = {"batch_size": 0, "alpha": 2, "epsilon": 3, "debug": -1, "verbose": 0, "patience": 0}
    with pytest.raises(UserError) as error:
        check({"training": wrong})
    assert str(error.value).count("training.") == 5
    assert str(error.value).endswith("(and 1 more)")


def test_the_typed_config_is_frozen_and_converts_back() -> None:
    config = load_config({"task": {"task_type": "regression", "dataset": "Nguyen-5"}})
    typed = validate(config)
    assert typed.task.dataset == "Nguyen-5"
    assert typed.training.batch_size == 1000
    assert typed.prior.length.max_ == 64
    with pytest.raises(ValidationError):
        typed.training.batch_size = 3
    assert validate(typed.to_dict()).to_dict() == typed.to_dict()


def test_only_the_alternative_that_was_meant_is_spoken_of() -> None:
    with pytest.raises(UserError) as error:
        check({"policy": {"num_units": [32, 0]}})
    assert str(error.value) == ("policy.num_units.1: should be greater than or equal to 1, got 0.")


def test_keys_of_a_run_are_absent_until_it_writes_them() -> None:
    assert set(check({}).to_dict()["experiment"]) == {"logdir", "exp_name", "seed"}


def test_values_set_after_loading_may_be_numpys() -> None:
    config = load_config({"task": {"task_type": "regression"}})
    config["training"]["batch_size"] = np.int64(7)
    config["policy"]["num_units"] = (8, np.int32(4))
    typed = validate(config)
    assert typed.training.batch_size == 7
    assert typed.policy.num_units == [8, 4]


def test_validation_changes_no_argument_and_needs_no_section() -> None:
    config = load_config({"task": {"task_type": "regression"}}) | {"notes": {}}
    before = repr(config)
    validate(config)
    assert repr(config) == before
    assert validate({}).training.batch_size == 1000


def test_an_emptied_prior_means_no_prior() -> None:
    config = load_config({"task": {"task_type": "regression"}})
    config["prior"] = {}
    values = validate(config).to_dict()["prior"]
    assert not any(isinstance(prior, dict) and prior["on"] for prior in values.values())


def test_lists_of_priors_stay_lists() -> None:
    two = [{"on": True, "tokens": "sin", "max_": 1}, {"on": True, "tokens": ["exp"], "min_": 1}]
    values = check({"prior": {"repeat": two}}).to_dict()["prior"]["repeat"]
    assert values == [
        {"on": True, "tokens": "sin", "min_": None, "max_": 1},
        {"on": True, "tokens": ["exp"], "min_": 1, "max_": 3},
    ]


def test_keys_of_plug_ins_are_passed_on() -> None:
    config = check(
        {
            "policy": {"policy_type": "mine:Policy", "depth": 3},
            "policy_optimizer": {"policy_optimizer_type": "mine.py:Learner", "rate": [1]},
            "prior": {"mine:Prior": {"on": True, "width": 2}},
        }
    ).to_dict()
    assert config["policy"]["depth"] == 3
    assert config["policy"]["max_length"] == 64
    assert config["policy_optimizer"]["rate"] == [1]
    assert config["prior"]["mine:Prior"] == {"on": True, "width": 2}


def test_data_are_passed_on_by_reference() -> None:
    X, y = np.zeros((1000, 2)), np.zeros(1000)
    for dataset in ((X, y), [X, y]):
        kept = check(task(dataset=dataset)).to_dict()["task"]["dataset"]
        assert kept[0] is X
        assert kept[1] is y


def test_a_benchmark_dict_keeps_the_keys_that_were_given() -> None:
    dataset = {"name": "Nguyen-1", "noise": 0.1}
    assert check(task(dataset=dataset)).to_dict()["task"]["dataset"] == dataset


def test_metrics_of_ones_own_have_the_parameters_that_are_given() -> None:
    own = {"metric": "module:function", "extra_metric_test": "module:other"}
    assert check(task(**own)).task.metric_params == []
    assert check(task(**own)).task.extra_metric_test_params == []
    assert check(task(**own, metric_params=[2.0])).task.metric_params == [2.0]


def test_metric_params_follow_the_metric_unless_given() -> None:
    assert check(task(metric="neg_mse")).task.metric_params == []
    assert check(task(metric="inv_mse")).task.metric_params == [1.0]
    assert check(task(metric="inv_mse", metric_params=[2])).task.metric_params == [2.0]
    assert check(task(extra_metric_test="inv_mse")).task.extra_metric_test_params == [1.0]


def test_options_of_the_constant_fit_follow_the_optimizer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def params(**training: object) -> dict:
        return check({"training": training}).training.const_params

    assert params() == {"bounds": None, "n_starts": 1, "max_iterations": 50, "snap": None}
    assert params(const_params={"n_starts": 4})["n_starts"] == 4
    assert params(const_optimizer="scipy") == {"method": "L-BFGS-B", "options": {"gtol": 1e-3}}
    assert params(const_optimizer="scipy", const_params={"options": {"ftol": 1}, "tol": 0.1}) == {
        "method": "L-BFGS-B",
        "options": {"gtol": 1e-3, "ftol": 1},
        "tol": 0.1,
    }
    # Not every method has the option gtol.
    only_method = {"method": "Nelder-Mead"}
    assert params(const_optimizer="scipy", const_params=only_method) == only_method
    assert caplog.records == []
    # Options for SciPy in an old file that names no optimizer are set aside, and said.
    with caplog.at_level(logging.WARNING, "dso"):
        assert params(const_params={"method": "L-BFGS-B", "n_starts": 2})["n_starts"] == 2
    assert [record.message for record in caplog.records] == [
        "config: training.const_params.method is for const_optimizer 'scipy'; ignored."
    ]
    with pytest.raises(UserError, match="'method' is an option of const_optimizer 'scipy'"):
        validate({"training": {"const_params": {"method": "L-BFGS-B"}}})


def test_parameters_of_the_regressor_follow_the_regressor() -> None:
    def params(**values: object) -> dict:
        return check(task(poly_optimizer_params=values)).task.poly_optimizer_params.regressor_params

    assert params() == {"cutoff_p_value": 1.0, "n_max_terms": None, "coef_tol": 1e-6}
    assert params(regressor_params={"n_max_terms": 5})["n_max_terms"] == 5
    assert params(regressor="dso_lasso")["gamma"] == 0.1
    assert params(regressor="ridge", regressor_params={"alpha": 2}) == {"alpha": 2}


@pytest.mark.parametrize("source", [5, ["a"], 1.5])
def test_a_source_that_is_not_a_config_is_refused(source: Any) -> None:
    with pytest.raises(UserError, match="a path, a dict or None is expected"):
        load_config(source)
    with pytest.raises(UserError, match="a dict of sections is expected"):
        validate(source)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(places(Config)), ANYTHING), min_size=1, max_size=3))
def test_any_value_anywhere_is_taken_or_refused_in_words(
    changes: list[tuple[tuple[str, ...], object]],
) -> None:
    user: dict = {}
    for (*path, name), value in changes:
        section = user
        for step in path:
            section = section.setdefault(step, {}) if isinstance(section, dict) else {}
        if isinstance(section, dict):
            section[name] = value
    try:
        config = load_config(user)
        typed = validate(config)
    except UserError:
        return
    assert repr(load_config(config)) == repr(config)
    assert repr(validate(typed.to_dict()).to_dict()) == repr(typed.to_dict())
