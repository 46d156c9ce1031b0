"""Whatever a user hands in, a run ends with a result or with an error that says what is wrong."""

import json
import os
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso import DeepSymbolicOptimizer
from dso.config import Config, load_config, validate
from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.program import from_str_tokens
from dso.task import make_task
from tests.support.configs import ANYTHING, places

LIBRARY = Library(create_tokens(2, ["add", "mul", "div", "sin", "const", "poly"]))
HUGE = st.sampled_from([0, -1, 1e308, -1e308, 1e-308, 2**31, 2**63, 2**64, 10**400, 0.5])
WORDS = st.sampled_from(
    ["", "x1", "sin", "add", "Nguyen-1", "a:b", "os:system", "../x", "\0", "é\u202e", "None", "1e9"]
)
VALUES = ANYTHING | HUGE | WORDS | st.lists(HUGE | WORDS, max_size=3)

# Sizes within their limits are a matter of patience; these keep a run short.
SHORT = {
    "experiment": {"logdir": None},
    "training": {"n_samples": 40, "batch_size": 20, "verbose": False, "n_cores_batch": 1},
}
SMALL = {
    ("training", "n_samples"),
    ("training", "batch_size"),
    ("training", "warm_start"),
    ("training", "max_seconds"),
    ("training", "n_cores_batch"),
    ("training", "const_params"),
    ("policy", "num_units"),
    ("policy", "num_layers"),
    ("policy", "max_length"),
    ("policy", "max_attempts_at_novel_batch"),
    ("policy_optimizer", "pqt_batch_size"),
    ("policy_optimizer", "ppo_n_iters"),
    ("state_manager", "embedding_size"),
}
SECTIONS = ("training", "policy_optimizer", "prior", "state_manager", "policy", "logging", "task")
PLACES = [p for p in places(Config) if len(p) >= 2 and p[0] in SECTIONS and p[:2] not in SMALL]


def refused(error):
    """Assert that an error says something."""
    assert str(error)


@settings(max_examples=40, deadline=None)
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=3))
def test_any_config_runs_or_is_refused(changes):
    user = {"task": {"task_type": "regression", "dataset": "Nguyen-1"}, **SHORT}
    user = json.loads(json.dumps(user))
    for path, value in changes:
        section = user
        for step in path[:-1]:
            inner = section.get(step) if isinstance(section, dict) else None
            section[step] = section = dict(inner) if isinstance(inner, dict) else {}
        section[path[-1]] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = DeepSymbolicOptimizer(user)
            model.train(lambda standing: standing.iteration >= 2)
        except UserError as error:
            refused(error)


CELLS = st.one_of(
    st.floats(allow_nan=True).map(repr),
    st.integers().map(str),
    st.sampled_from(
        ["", " ", "x1", "nan", "inf", "1e999", '"', '"1,2"', "1;2", "\ufeff", "é", "0x1"]
    ),
    st.text(max_size=4),
)
TEXTS = st.lists(st.lists(CELLS, max_size=4), max_size=6).map(
    lambda rows: "\n".join(",".join(row) for row in rows)
)
NUMBERS = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.floats(-10, 10).map(repr), min_size=width, max_size=width), min_size=2
    ).map(lambda rows: "\n".join(",".join(row) for row in rows))
)


@settings(max_examples=150, deadline=None)
@given(content=st.one_of(TEXTS.map(str.encode), NUMBERS.map(str.encode), st.binary(max_size=80)))
def test_any_csv_is_data_or_is_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            section = validate(load_config({"task": {"dataset": str(path)}})).task.to_dict()
            section.pop("validation_fraction", None)
            task = make_task(**section)
        except UserError as error:
            refused(error)
            return
    assert np.isfinite(task.X_train).all()
    assert np.isfinite(task.y_train).all()


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(max_size=30)
    | st.lists(st.sampled_from([*LIBRARY.names, "1.5", "-1", "nan", "inf", "1e999", "sub", ""]))
    .map(",".join)
)  # fmt: skip
def test_any_traversal_is_a_program_or_is_refused(text):
    try:
        program = from_str_tokens(text, LIBRARY)
    except UserError as error:
        refused(error)
        return
    assert len(program.traversal) >= 1
    assert isinstance(repr(program), str)


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=60) | st.recursive(ANYTHING, st.lists).map(json.dumps))
def test_any_file_is_a_config_or_is_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("c") / "c.json"
    path.write_bytes(text.encode("utf-8", "replace"))
    try:
        validate(load_config(path))
    except UserError as error:
        refused(error)


@pytest.mark.parametrize("depth", [60, 100_000])
def test_deep_nesting_is_refused(tmp_path, depth):
    path = tmp_path / "c.json"
    path.write_text('{"task": ' + "[" * depth + "]" * depth + "}")
    with pytest.raises(UserError):
        validate(load_config(path))
    assert os.path.exists(path)
