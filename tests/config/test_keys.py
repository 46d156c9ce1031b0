"""Keys of older configs, and keys that nobody knows."""

import copy
import logging

import pytest

from dso.config import load_config, validate
from dso.config.old_keys import MOVED
from dso.errors import UserError

REGRESSION = {"task": {"task_type": "regression"}}


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "dso")
    return caplog


def values_for(section: str, key: str) -> object:
    """Return a valid value that is not the default."""
    default = load_config(REGRESSION)[section][key]
    others = {"logdir": "elsewhere", "exp_name": "name", "cell": "gru", "optimizer": "sgd"}
    if key in others or key == "initializer":
        return others.get(key, "var_scale")
    if isinstance(default, bool):
        return not default
    return default / 2 if isinstance(default, float) else default + 1


@pytest.mark.parametrize(("old", "new"), MOVED.items(), ids=lambda place: ".".join(place))
def test_a_moved_key_is_mapped_with_one_warning(
    old: tuple[str, str], new: tuple[str, str], warnings: pytest.LogCaptureFixture
) -> None:
    value = values_for(*new)
    user = copy.deepcopy(REGRESSION) | {old[0]: {old[1]: value}}
    before = copy.deepcopy(user)
    config = load_config(user)
    assert config[new[0]][new[1]] == value
    assert old[1] not in config.get(old[0], {})
    assert [record.message for record in warnings.records] == [
        f"config: {'.'.join(old)} is now {'.'.join(new)}."
    ]
    assert user == before
    validate(config)
    # A second pass, as when a loaded config is handed on, is silent.
    assert load_config(config) == config
    assert len(warnings.records) == 1


def test_the_documented_moves_are_all_there() -> None:
    def keys(old_section: str, new_section: str) -> set[str]:
        return {o[1] for o, n in MOVED.items() if (o[0], n[0]) == (old_section, new_section)}

    assert keys("training", "logging") == {
        "hof",
        "save_all_epoch",
        "save_summary",
        "save_positional_entropy",
        "save_pareto_front",
        "save_cache",
        "save_cache_r_min",
        "save_freq",
        "save_token_count",
    }
    assert MOVED["training", "save_all_epoch"] == ("logging", "save_all_iterations")
    assert keys("training", "experiment") == {"logdir", "seed", "exp_name"}
    assert keys("controller", "state_manager") == {
        *("observe_action", "observe_parent", "observe_sibling", "observe_dangling"),
        *("embedding", "embedding_size"),
    }
    assert keys("controller", "policy") == {
        "max_length",
        "cell",
        "num_layers",
        "num_units",
        "initializer",
    }
    assert keys("controller", "policy_optimizer") == {
        *("learning_rate", "optimizer", "entropy_weight", "entropy_gamma", "summary"),
        *("pqt_k", "pqt_batch_size", "pqt_weight", "pqt_use_pg"),
        *("ppo_clip_ratio", "ppo_n_iters", "ppo_n_mb"),
    }


@pytest.mark.parametrize("name", ["pqt", "ppo"])
def test_the_old_switches_choose_the_policy_optimizer(
    name: str, warnings: pytest.LogCaptureFixture
) -> None:
    config = load_config(REGRESSION | {"controller": {name: True}})
    assert config["policy_optimizer"]["policy_optimizer_type"] == name
    assert len(warnings.records) == 1
    config = load_config(REGRESSION | {"controller": {name: False}})
    assert config["policy_optimizer"]["policy_optimizer_type"] == "pg"
    assert len(warnings.records) == 2


def test_where_old_and_new_are_given_the_new_counts(warnings: pytest.LogCaptureFixture) -> None:
    config = load_config(REGRESSION | {"training": {"hof": 7}, "logging": {"hof": 8}})
    assert config["logging"]["hof"] == 8
    assert [record.message for record in warnings.records] == [
        "config: training.hof is now logging.hof, which is given too and counts."
    ]


@pytest.mark.parametrize(
    "old",
    [
        {"training": {"n_epochs": 100, "n_samples": 2_000_000}},
        {"prior": {"state_checker": {"on": True}}},
        {"task": {"task_type": "regression", "multiobject": False}},
    ],
)
def test_a_removed_key_is_dropped_with_one_warning(
    old: dict, warnings: pytest.LogCaptureFixture
) -> None:
    assert load_config(REGRESSION | old) == load_config(REGRESSION)
    assert len(warnings.records) == 1
    assert "is ignored" in warnings.text


@pytest.mark.parametrize("others", [{}, {"n_samples": None}])
def test_a_number_of_iterations_is_a_number_of_samples(
    others: dict, warnings: pytest.LogCaptureFixture
) -> None:
    config = load_config(REGRESSION | {"training": {"n_epochs": 2, "batch_size": 500, **others}})
    assert config["training"]["n_samples"] == 1000
    assert len(warnings.records) == 1
    assert "n_epochs" not in load_config(config)["training"]


def test_what_null_leaves_to_the_default(warnings: pytest.LogCaptureFixture) -> None:
    task = {"task": {"task_type": "regression", "poly_optimizer_params": None}}
    assert validate(load_config(task)) == validate(load_config(REGRESSION))
    assert warnings.records == []


def test_priors_with_parameters_that_are_off_are_told(warnings: pytest.LogCaptureFixture) -> None:
    priors = {
        "max_depth": {"max_": 3},
        "repeat": [{"on": True, "max_": 1}, {"tokens": "sin", "max_": 2}],
        "max_size": {"on": False, "max_": 9},
        "length": {"max_": 20},  # on by default
    }
    load_config(REGRESSION | {"prior": priors})
    assert [record.message for record in warnings.records] == [
        'config: prior.max_depth is off; "on": true switches it on.',
        'config: prior.repeat is off; "on": true switches it on.',
    ]


def test_the_name_of_an_environment_is_env_today(warnings: pytest.LogCaptureFixture) -> None:
    config = load_config({"task": {"task_type": "control", "name": "Hopper-v5"}})
    assert config["task"]["env"] == "Hopper-v5"
    assert "name" not in config["task"]
    assert [record.message for record in warnings.records] == ["config: task.name is now task.env."]


def test_the_name_of_a_custom_task_is_left_to_it(warnings: pytest.LogCaptureFixture) -> None:
    config = load_config({"task": {"task_type": "my:Task", "name": "mine"}})
    assert config["task"] == {"task_type": "my:Task", "name": "mine"}
    assert warnings.records == []


@pytest.mark.parametrize("section", ["experiment", "gp_meld", "postprocess"])
def test_lenient_sections_ignore_unknown_keys_with_one_warning(
    section: str, warnings: pytest.LogCaptureFixture
) -> None:
    config = load_config(REGRESSION | {section: {"foo": 1, "bar": 2}})
    assert config == load_config(REGRESSION)
    assert [record.message for record in warnings.records] == [
        f"config: {section} has no key 'foo', 'bar'; ignored."
    ]


def test_unknown_sections_are_ignored_with_one_warning(
    warnings: pytest.LogCaptureFixture,
) -> None:
    assert load_config(REGRESSION | {"notes": {"a": 1}}) == load_config(REGRESSION)
    assert [record.message for record in warnings.records] == [
        "config: the config has no section 'notes'; ignored."
    ]


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ({"experiment": {"logdirs": "x"}}, "logdir"),
        ({"gp_meld": {"generation": 1}}, "generations"),
        ({"postprocess": {"save_plot": True}}, "save_plots"),
        ({"controller": {"learning_rat": 1}}, "learning_rate"),
        ({"trainig": {}}, "training"),
        ({"policy_optimiser": {}}, "policy_optimizer"),
    ],
)
def test_a_slip_is_an_error_even_there(slip: dict, meant: str) -> None:
    with pytest.raises(UserError, match=f"Did you mean '{meant}'"):
        load_config(REGRESSION | slip)


@pytest.mark.parametrize(("key", "section"), [("n_samples", "training"), ("seed", "experiment")])
def test_a_key_outside_its_section_is_an_error(key: str, section: str) -> None:
    with pytest.raises(UserError, match=f"'{key}' is a key of section '{section}'"):
        load_config(REGRESSION | {key: 1})


def test_what_a_run_wrote_into_its_config_is_known(warnings: pytest.LogCaptureFixture) -> None:
    written = {
        "starting_seed": 3,
        "cmd": "run.py --b Nguyen-2",
        "timestamp": "2030-01-01-000000",
        "task_name": "Nguyen-2",
        "save_path": "logs/x",
    }
    config = load_config(REGRESSION | {"experiment": written, "checkpoint": {}})
    assert config["experiment"] == load_config(REGRESSION)["experiment"] | written
    assert validate(config).to_dict()["experiment"] == config["experiment"]
    assert warnings.records == []


def test_the_schema_named_for_an_editor_is_not_a_section(
    warnings: pytest.LogCaptureFixture,
) -> None:
    assert "$schema" not in load_config(REGRESSION | {"$schema": "../schema.json"})
    assert warnings.records == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"training": {"hof": 3}}, "training.hof: is now logging.hof"),
        ({"training": {"n_epochs": 3}}, "training.n_epochs: is no longer a key"),
    ],
)
def test_old_keys_set_after_loading_are_errors_that_say_where_they_went(
    config: dict, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        validate(config)
