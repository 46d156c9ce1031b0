"""Values given one by one: section.key=value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dso.config import load_config, read_assignments, validate, with_values
from dso.errors import UserError

JSON_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just([1, "a"])


@given(value=JSON_VALUES)
def test_json_is_read_as_json(value):
    assert read_assignments([f"task.metric={json.dumps(value)}"]) == {"task.metric": value}


def test_what_is_not_json_is_text():
    given_texts = ["task.dataset=Nguyen-5", "experiment.exp_name= a=b "]
    assert read_assignments(given_texts) == {
        "task.dataset": "Nguyen-5",
        "experiment.exp_name": "a=b",
    }


@pytest.mark.parametrize("text", ["x", "x=1", "training.=1", ".n_samples=1", "=", "task.metric"])
def test_other_forms_are_refused(text):
    with pytest.raises(UserError, match=r"section\.key=value"):
        read_assignments([text])


def test_json_that_is_cut_off_is_refused():
    with pytest.raises(UserError, match="is not JSON"):
        read_assignments(['task.function_set=["add"'])


def test_values_are_laid_over_a_config_that_stays_as_it_is():
    config = load_config({"task": {"task_type": "regression", "dataset": "Nguyen-5"}})
    before = json.dumps(config)
    changed = with_values(
        config, {"training.n_samples": 5, "prior.length.max_": 9, "gp_meld.run_gp_meld": True}
    )
    checked = validate(changed)
    assert checked.training.n_samples == 5
    assert checked.gp_meld.run_gp_meld
    assert changed["prior"]["length"] == {**config["prior"]["length"], "max_": 9}
    assert json.dumps(config) == before


@pytest.mark.parametrize(
    ("place", "nearest"),
    [
        ("training.n_sampels", "n_samples"),
        ("trianing.n_samples", "training"),
        ("gp_meld.run_gp_mels", "run_gp_meld"),  # which a file may hold, with a warning
        ("prior.lenght.max_", "length"),
        ("prior.length.mx_", "max_"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(place, nearest):
    with pytest.raises(UserError, match=f"--set: unknown .*Did you mean '{nearest}'"):
        with_values({}, {place: 1})


def test_keys_of_the_task_that_is_chosen_are_known():
    control = {"task": {"task_type": "control"}}
    assert with_values(control, {"task.env": "X"})["task"]["env"] == "X"
    with pytest.raises(UserError, match="'env'"):
        with_values({}, {"task.env": "X"})


def test_keys_of_plug_ins_are_left_to_them():
    own = {"task": {"task_type": "mine:Task"}}
    assert with_values(own, {"task.anything": 1})["task"]["anything"] == 1
