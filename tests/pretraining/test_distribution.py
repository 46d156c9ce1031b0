"""The JSON of a distribution, and the trees that are drawn from it."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dso.errors import UserError
from dso.pretraining.distribution import (
    DEFAULT,
    MAX_INPUTS,
    Distribution,
    load_distribution,
    make_distribution,
)
from dso.pretraining.trees import TreeSampler, Uniforms
from dso.pretraining.vocabulary import Vocabulary

SETTINGS = {"operators": {"add": 1, "sin": 1}, "n_operators": {"2": 1}, "n_inputs": {"1": 1}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operators": {"add": 1, "sinn": 1}}, r"'sinn'.*distribution\.operators.*[Dd]id you mean"),
        ({"operators": {"add": 1, "harmonic": 1}}, "'harmonic'"),
        ({"operators": {"add": 1}}, "at least one unary and one binary"),
        ({"operators": {"add": 1, "sin": -1}}, r"operators\.sin is -1"),
        ({"operators": {"add": 0, "sin": 0}}, "all weights are 0"),
        ({"operators": ["add", "sin"]}, "an object of weights"),
        ({"n_operator": {"2": 1}}, "'n_operator'"),
        ({"n_operators": {"0": 1}}, "'0'"),
        ({"supports": {"negative": 1}}, "'negative'"),
        ({"one": 1.0}, r"distribution\.one is 1\.0"),
        ({"n_points": [100, 20]}, r"n_points is \[100, 20\]"),
        ({"max_tokens": 2}, "max_tokens is 2"),
        ({"operators": {"add": 1, "sigmoid": 1}}, "unknown operator 'sigmoid'.*Allowed: abs, add"),
        ({"operators": {"add": 1, "sin": 0}}, "at least one unary and one binary"),
        ({"operators": {"add": 0, "sin": 1}}, "at least one unary and one binary"),
        ({"operators": {"add": True, "sin": 1}}, r"operators\.add is True"),
        ({"n_inputs": {"3": 1, "4": 1}}, r"'4' in distribution\.n_inputs.*Allowed: 1, 2, 3\."),
        ({"n_operators": {"two": 1}}, "'two'"),
        ({"one": None}, r"distribution\.one is None"),
        ({"constant_values": {"low": 0}}, r"constant_values\.low is 0; a number from"),
        ({"constant_values": {"low": 20}}, r"low is 20\.0, above high, 10\.0"),
        ({"constant_values": {"least": 1}}, "'least'"),
        ({"constant_values": [1, 2]}, r"constant_values is \[1, 2\]; an object of numbers"),
        ({"noise": {"share": 2}}, r"noise\.share is 2; a number from 0 to 1"),
        ({"n_points": 5}, r"n_points is 5; \[fewest, most\]"),
        ({"n_points": [16]}, r"n_points is \[16\]; \[fewest, most\]"),
        ({"n_points": [16, 20.5]}, r"n_points is 20\.5; a whole number"),
        ({"max_tokens": "24"}, "max_tokens is '24'; a whole number from 3 to 30"),
        ({"max_tokens": 31}, "max_tokens is 31; a whole number from 3 to 30"),
        ({"max_nested_trigonometry": -1}, "max_nested_trigonometry is -1"),
        ({"excluded": "x1+x2"}, r"excluded is 'x1\+x2'; a list of formulas"),
        ({"excluded": [1]}, r"excluded is \[1\]; a list of formulas"),
        ({"widest": 0.5}, r"widest is 0\.5; a number from 3"),
    ],
)
def test_what_cannot_be_is_refused(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_distribution({**SETTINGS, **change})


def test_a_key_that_is_needed_is_named() -> None:
    with pytest.raises(UserError, match="'n_inputs' is missing"):
        make_distribution({key: SETTINGS[key] for key in ("operators", "n_operators")})


def test_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    file.write_text(json.dumps(SETTINGS))
    assert load_distribution(file) == make_distribution(SETTINGS)
    file.write_text("{")
    with pytest.raises(UserError, match=r"own\.json is not JSON"):
        load_distribution(file)
    file.write_text("[]")
    with pytest.raises(UserError, match="an object is needed"):
        load_distribution(file)
    with pytest.raises(UserError, match=r"none\.json: No such file"):
        load_distribution(tmp_path / "none.json")


def test_what_is_left_out_has_its_default_and_the_same_hash() -> None:
    short = make_distribution({**SETTINGS, "constant_values": {"high": 5}, "noise": {"share": 0}})
    whole = make_distribution(
        {
            "operators": {"add": 1.0, "sin": 1.0},
            "n_operators": {"2": 1.0},
            "n_inputs": {"1": 1.0},
            "one": 0,
            "n_constants": {"0": 1},
            "constant_kinds": {"factor": 1},
            "max_tokens": 24,
            "max_nested_trigonometry": 1,
            "excluded": [],
            "constant_values": {"low": 0.1, "high": 5.0, "negative": 0.3, "heavy": 0.1},
            "supports": {"signed": 2, "symmetric": 3, "positive": 4, "unit": 1},
            "widest": 10,
            "n_points": [16, 160],
            "noise": {"max": 0.03, "share": 0},
        }
    )
    assert short == whole
    assert (short.hash, short.pool_hash) == (whole.hash, whole.pool_hash)


def test_a_target_may_have_no_noise() -> None:
    assert make_distribution({**SETTINGS, "noise": {"share": 0, "max": 0}}).noise["max"] == 0


def test_numbers_and_rows_do_not_change_the_pool() -> None:
    settings = json.loads(DEFAULT.read_text())
    usual = make_distribution(settings)
    noisier = make_distribution({**settings, "noise": {"share": 1.0, "max": 0.1}})
    other = make_distribution({**settings, "one": 0.1})
    assert noisier.hash != usual.hash
    assert noisier.pool_hash == usual.pool_hash
    assert other.pool_hash != usual.pool_hash


def test_trees_with_a_number_of_operators_are_equally_likely(vocabulary: Vocabulary) -> None:
    """There are 6 trees with two operators of arity 1 or 2: by rows 11, 12, 211, 21., 22x."""
    sampler = TreeSampler(make_distribution(SETTINGS), vocabulary)
    uniforms = Uniforms(np.random.default_rng(0))
    n = 6000
    shapes = Counter(
        tuple(vocabulary.arities[token] for token in sampler(uniforms)) for _ in range(n)
    )
    wanted = {(1, 1, 0), (1, 2, 0, 0), (2, 1, 0, 0), (2, 0, 1, 0), (2, 2, 0, 0, 0), (2, 0, 2, 0, 0)}
    assert set(shapes) == wanted
    np.testing.assert_allclose([shapes[shape] / n for shape in wanted], 1 / 6, atol=0.025)


def test_inputs_come_in_order_and_constants_are_put_in(vocabulary: Vocabulary) -> None:
    settings = {
        **SETTINGS,
        "n_operators": {"5": 1},
        "n_inputs": {"3": 1},
        "n_constants": {"2": 1},
        "constant_kinds": {"factor": 1, "summand": 1, "exponent": 1},
    }
    sampler = TreeSampler(make_distribution(settings), vocabulary)
    uniforms = Uniforms(np.random.default_rng(1))
    rows = [sampler(uniforms) for _ in range(200)]
    for row in rows:
        firsts = list(dict.fromkeys(token for token in row if token < vocabulary.n_inputs))
        assert firsts == sorted(firsts)
        assert row.count(vocabulary.const) == 2
    used = Counter(len({t for t in row if t < vocabulary.n_inputs}) for row in rows)
    assert set(used) == {1, 2, 3}


def test_inputs_that_the_vocabulary_lacks_are_refused(vocabulary: Vocabulary) -> None:
    assert vocabulary.n_inputs == MAX_INPUTS
    distribution = make_distribution({**SETTINGS, "n_inputs": {"3": 1}})
    with pytest.raises(UserError, match=r"n_inputs has 3; the vocabulary has 2 inputs"):
        TreeSampler(distribution, Vocabulary(2))


def test_the_default_is_the_distribution_of_the_shipped_weights(distribution: Distribution) -> None:
    about = json.loads(DEFAULT.with_name("shipped.json").read_text())
    assert about["distribution"] == distribution.hash
    assert about["pool"]["distribution"] == distribution.pool_hash
