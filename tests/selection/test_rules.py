"""Rules of selection: PySR's exactly, and what ours may never do."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dso.config.task_sections import SELECTIONS as CONFIG_SELECTIONS
from dso.errors import UserError
from dso.selection import SELECTIONS, Evidence, check_rule, criteria
from dso.selection.rules import OF_EVIDENCE


def evidence(losses: list[float], variance: float = 1.0, n_rows: int = 50) -> Evidence:
    n = len(losses)
    return Evidence(
        np.array(losses),
        1.0 + 2 * np.arange(n),
        np.outer(losses, np.linspace(0.5, 1.5, n_rows)),
        np.arange(n),
        np.arange(n) * 3.0,
        2.0 + 4 * np.arange(n),
        np.ones(n, dtype=bool),
        n_rows,
        variance,
    )


def chosen(found: Evidence) -> dict[str, int]:
    table = criteria(found.losses, found.complexities, found)
    return {name: int(values.argmin()) for name, values in table.items()}


def pysr(losses: np.ndarray, complexities: np.ndarray) -> dict[str, int]:
    """PySR's rules, one row after the other."""
    scores = [0.0]
    for i in range(1, len(losses)):
        if losses[i] == 0:
            scores.append(np.inf)
        else:
            fall = -np.log(losses[i] / losses[i - 1])
            scores.append(fall / (complexities[i] - complexities[i - 1]))
    near = [i for i in range(len(losses)) if losses[i] <= 1.5 * min(losses)]
    return {
        "accuracy": min(range(len(losses)), key=lambda i: losses[i]),
        "score": max(range(len(losses)), key=lambda i: scores[i]),
        "best": max(near, key=lambda i: scores[i]),
    }


@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=12, unique=True),
    st.integers(0, 2**31),
    st.booleans(),
)
def test_pysrs_rules(values: list[int], seed: int, is_exact: bool) -> None:
    losses = np.array(sorted(values, reverse=True)) / 977.0
    if is_exact:
        losses[-1] = 0.0
    steps = np.random.default_rng(seed).integers(1, 6, len(losses))
    complexities = np.cumsum(steps).astype(float)
    table = criteria(losses, complexities)
    for name, row in pysr(losses, complexities).items():
        assert int(table[name].argmin()) == row


def test_without_evidence_other_rules_are_as_best() -> None:
    losses, complexities = np.array([4.0, 1.0, 0.9]), np.array([1.0, 3, 9])
    table = criteria(losses, complexities)
    for name in OF_EVIDENCE:
        np.testing.assert_array_equal(table[name], table["best"])


def test_a_gain_within_the_noise_is_not_worth_its_tokens() -> None:
    rows = chosen(evidence([1.0, 0.01, 0.0099, 0.0098]))
    assert rows["parsimony"] == rows["mdl"] == rows["bic"] == rows["one_se"] == 1
    assert rows["accuracy"] == rows["validated"] == 3
    assert chosen(evidence([1.0, 0.01, 0.0001]))["mdl"] == 2


@pytest.mark.parametrize("name", OF_EVIDENCE)
def test_no_row_worse_than_the_mean_is_chosen_while_there_is_a_better_one(name: str) -> None:
    assert chosen(evidence([3.0, 1.2, 0.99, 0.98], n_rows=4))[name] >= 2
    assert chosen(evidence([3.0, 1.2]))[name] in (0, 1)


@pytest.mark.parametrize("name", OF_EVIDENCE)
def test_a_pole_between_the_rows_is_avoided_unless_it_explains_much(name: str) -> None:
    tame = np.array([True, True, False])
    assert chosen(replace(evidence([0.9, 0.5, 0.06]), is_tame=tame))[name] == 1
    assert chosen(replace(evidence([0.9, 0.5, 0.04]), is_tame=tame))[name] == 2
    assert chosen(replace(evidence([0.9, 0.5, 1e-6]), is_tame=~np.ones(3, dtype=bool)))[name] == 2


def test_numbers_that_use_up_the_rows_are_not_worth_their_fit() -> None:
    found = evidence([1.0, 0.03, 0.01, 1e-12], n_rows=6)
    found = replace(found, n_numbers=np.array([1, 2, 4, 5]))
    assert chosen(found)["parsimony"] == 1
    table = criteria(found.losses, found.complexities, found)["parsimony"]
    assert np.isinf(table[2:]).all()
    assert table[1] == pytest.approx(3 * np.log(0.03) + 6 * 3 / 2 + 6)


def test_exact_rows_are_equal_but_for_their_size() -> None:
    assert chosen(evidence([1.0, 1e-24, 1e-28]))["mdl"] == 1


def test_a_row_that_interpolates_is_not_validated() -> None:
    found = evidence([1.0, 0.5, 0.0])
    found.left_out[2] = np.inf
    assert chosen(found)["validated"] == chosen(found)["one_se"] == 1


def test_names() -> None:
    assert CONFIG_SELECTIONS == SELECTIONS
    with pytest.raises(
        UserError, match=r"unknown model_selection 'parsimny'.*Did you mean 'parsimony'"
    ):
        check_rule("parsimny")
