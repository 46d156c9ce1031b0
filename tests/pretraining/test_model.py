"""The model: candidates for a table, in the user's numbers and tokens."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.pretraining.canonical import FREE, map_numbers, numbers
from dso.pretraining.completing import Completer, plain_number
from dso.pretraining.decoding import TokenMap
from dso.pretraining.model import SHIPPED, PretrainedModel
from dso.pretraining.network import one_thread
from dso.pretraining.normalising import most_relevant, normalise
from dso.pretraining.vocabulary import Vocabulary
from dso.prior import make_joint_prior
from dso.program import FitData, ProgramBatch, execute
from tests.support.pretraining import tree

FUNCTIONS = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log", "n2", "const"]


def rows(n_inputs: int = 2, n: int = 50, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    return shift + scale * np.random.default_rng(0).uniform(0.3, 2.0, (n, n_inputs))


def completed(
    vocabulary: Vocabulary,
    X: np.ndarray,
    y: np.ndarray,
    skeleton: str,
    functions: Sequence[str] = FUNCTIONS,
    **priors: dict,
):
    """Return what becomes of one skeleton, given in tokens of the library."""
    library = Library(create_tokens(X.shape[1], list(functions)))
    data = FitData.of_rows(library, X, y)
    prior = make_joint_prior(priors, library, max_length=40)
    columns = tuple(range(X.shape[1]))
    token_map = TokenMap(vocabulary, library, columns, skip=("poly",))
    completer = Completer(vocabulary, token_map, prior, data, normalise(data, columns, True))
    row = [library.names.index(name) for name in skeleton.split()]
    return library, completer.complete(ProgramBatch.from_rows([row]))


@pytest.mark.parametrize(
    ("formula", "skeleton", "scale", "shift"),
    [
        (lambda a, b: 3 * np.sin(a) * b - 7, "mul sin x1 x2", 1.0, 0.0),
        (lambda a, b: a * a / b, "div n2 x1 x2", 1e6, 0.0),
        (lambda a, b: np.exp(-1.7 * a) * b, "mul exp mul const x1 x2", 1e-3, 0.0),
        (lambda a, b: 3 * (a - 1000) ** 2 + 1, "n2 add const x1", 1.0, 1000.0),
        (lambda a, b: 1e12 * a * a + 3e12, "n2 x1", 1.0, 0.0),
    ],
)
def test_a_skeleton_gets_numbers_in_the_users_units(
    vocabulary: Vocabulary, formula, skeleton: str, scale: float, shift: float
) -> None:
    X = rows(scale=scale, shift=shift)
    y = formula(X[:, 0], X[:, 1])
    library, found = completed(vocabulary, X, y, skeleton)
    assert found.nmse[0] < 1e-18
    values = execute(library, found.programs, X.T).values[0]
    np.testing.assert_allclose(values, y, rtol=1e-7, atol=1e-7 * np.abs(y).max())


SIGNS = np.random.default_rng(1).choice([-1.0, 1.0], (50, 1))


@pytest.mark.parametrize(
    ("signs", "formula", "skeleton"),
    [
        (-1.0, lambda a, b: 3 * np.sqrt(a / b) + 1, "sqrt div x1 x2"),
        (SIGNS, lambda a, b: 3 * np.sqrt(a / b) + 1, "sqrt div x1 x2"),
        (SIGNS, lambda a, b: 3 * np.sqrt(a * b**3) + 1, "sqrt mul x1 n3 x2"),
        (SIGNS, lambda a, b: (a * b) ** 0.7, "pow mul x1 x2 const"),
        (-200.0, lambda a, b: 3 * np.sqrt(-a) + 1, "sqrt mul const x1"),
    ],
)
def test_a_skeleton_keeps_its_values_where_a_factor_alone_has_none(
    vocabulary: Vocabulary, signs, formula, skeleton: str
) -> None:
    X = signs * rows()
    functions = [*FUNCTIONS, "sqrt", "pow", "n3"]
    _, found = completed(vocabulary, X, formula(X[:, 0], X[:, 1]), skeleton, functions)
    assert found.nmse[0] < 1e-20


@pytest.mark.parametrize(
    ("formula", "skeleton", "written"),
    [
        (lambda a: np.exp(-0.37 * a), "exp mul const x1", "exp mul const x1"),
        (lambda a: -3.3 * a, "x1", "mul const x1"),
    ],
)
def test_a_negative_number_is_one_constant(
    vocabulary: Vocabulary, formula, skeleton: str, written: str
) -> None:
    X = rows(1)
    repeat = {"on": True, "tokens": "const", "min_": None, "max_": 1}
    library, found = completed(vocabulary, X, formula(X[:, 0]), skeleton, repeat=repeat)
    assert [library.names[t] for t in found.programs.row(0)] == written.split()
    assert found.nmse[0] < 1e-20


def test_a_skeleton_that_the_priors_allow_is_not_lost(vocabulary: Vocabulary) -> None:
    """Where a factor and a summand are forbidden, the skeleton is fitted without them."""
    X = rows()
    y = np.exp(1.3 * X[:, 0]) * X[:, 1] + 0.1 * np.sin(50 * X[:, 1])
    repeat = {"on": True, "tokens": "const", "min_": None, "max_": 1}
    skeleton = "mul exp mul const x1 x2"
    library, found = completed(vocabulary, X, y, skeleton, repeat=repeat)
    assert [library.names[t] for t in found.programs.row(0)] == skeleton.split()
    assert found.nmse[0] < 0.01
    assert abs(found.programs.constants[0, 0] - 1.3) < 0.05


def test_numbers_that_are_nearly_plain_become_plain(vocabulary: Vocabulary) -> None:
    X = rows()
    y = 2 * X[:, 0] ** 2 + X[:, 1] - 1
    _, found = completed(vocabulary, X, y, "add mul const n2 x1 x2")
    constants = found.programs.constants[0]
    assert set(constants[np.isfinite(constants)]) <= {2.0, -1.0, 1.0}


def test_a_number_becomes_plain_only_if_it_nearly_is() -> None:
    assert plain_number(2.0000001) == 2.0
    assert plain_number(-1.4999999) == -1.5
    assert plain_number(2.01) == 2.01


def test_scaled_inputs_are_put_back() -> None:
    library = Library(create_tokens(2, FUNCTIONS))
    X = np.column_stack([rows(1, scale=1e5)[:, 0], rows(1, scale=0.1, shift=500.0)[:, 0]])
    data = FitData.of_rows(library, X, X[:, 0] * 3)
    table = normalise(data, (0, 1), is_fitted=True)
    assert 0.1 < np.abs(table.x).max() < 10
    np.testing.assert_allclose(table.shifts[:, None] + table.scales[:, None] * table.x, X.T)
    np.testing.assert_allclose(table.centre + table.spread * table.y, data.y)
    back = table.way_back(tree("x1"))
    assert FREE not in list(numbers(back))
    kept = normalise(data, (0, 1), is_fitted=False)
    np.testing.assert_array_equal(kept.x, X.T)
    assert kept.way_back(tree("x1")) == tree("x1")
    assert map_numbers(tree("x1"), lambda value: value) == tree("x1")


@pytest.mark.parametrize("method", ["sample", "beam"])
def test_candidates_are_allowed_different_and_ranked(model: PretrainedModel, method: str) -> None:
    X = rows()
    library = Library(create_tokens(2, FUNCTIONS))
    prior = make_joint_prior(
        {"repeat": {"on": True, "tokens": "const", "min_": None, "max_": 2}}, library, max_length=12
    )
    y = np.sin(X[:, 0]) * X[:, 1]
    found = model.candidates(X, y, 60, prior=prior, method=method)
    assert len(found) > 10
    assert prior.allowed(found.programs).all()
    assert len(np.unique(found.programs.keys())) == len(found)
    with np.errstate(over="ignore", invalid="ignore"):
        values = execute(library, found.programs, X.T).values
        errors = np.square(values - y).mean(axis=1) / np.var(y)
    known = np.isfinite(found.nmse)
    np.testing.assert_allclose(found.nmse[known], errors[known], rtol=1e-6, atol=1e-20)
    assert found.nmse[0] == found.nmse.min()
    np.testing.assert_allclose(found.nmse[known], np.sort(found.nmse[known]), atol=1e-10)
    assert found.n_evaluations >= len(found)


def test_a_candidate_is_a_program(model: PretrainedModel) -> None:
    X = rows()
    found = model.candidates(X, X[:, 0] * X[:, 1], 30)
    for i in (0, len(found) - 1):
        program = found.program(i)
        values = execute(found.library, found.programs[i : i + 1], X.T).values[0]
        np.testing.assert_allclose(program.execute(X), values)
    assert "x" in found.program().expression


def test_candidates_depend_on_the_seed_alone(model: PretrainedModel) -> None:
    X = rows(n=300)
    y = np.exp(X[:, 0]) - X[:, 1]
    one, two, other = (
        model.candidates(X, y, 40, method="sample", seed=seed, n_threads=n)
        for seed, n in ((1, 1), (1, 2), (2, 1))
    )
    np.testing.assert_array_equal(one.programs.tokens, two.programs.tokens)
    np.testing.assert_array_equal(one.programs.constants, two.programs.constants)
    np.testing.assert_array_equal(one.nmse, two.nmse)
    assert set(one.programs.keys().tolist()) != set(other.programs.keys().tolist())


def test_threads_of_torch_do_not_matter(model: PretrainedModel) -> None:
    X, before = rows(), torch.get_num_threads()
    found = []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            with one_thread():
                assert torch.get_num_threads() == 1
            found.append(model.candidates(X, X[:, 0] ** 2, 30))
            assert torch.get_num_threads() == n
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(found[0].programs.tokens, found[1].programs.tokens)


def test_without_constants_the_values_count_as_they_are(model: PretrainedModel) -> None:
    X = rows()
    library = Library(create_tokens(2, ["add", "sub", "mul", "div", "sin", "cos", "exp", "log"]))
    found = model.candidates(X, X[:, 0] + X[:, 1], 200, library=library)
    assert library.const_token is None
    assert found.programs.constants.shape[1] == 0
    values = execute(library, found.programs[:1], X.T).values[0]
    error = np.square(values - X.sum(axis=1)).mean() / np.var(X.sum(axis=1))
    assert found.nmse[0] == pytest.approx(error)


def test_of_more_inputs_the_most_relevant_are_read(model: PretrainedModel) -> None:
    X = rows(6, 200)
    y = X[:, 4] ** 2 + 0.5 * X[:, 1] + 0.2 * X[:, 3]
    library = Library(create_tokens(6, FUNCTIONS))
    data = FitData.of_rows(library, X, y)
    assert most_relevant(data, range(6), 3) == (1, 3, 4)
    assert most_relevant(data, [0, 2, 3], 2) == (2, 3)
    found = model.candidates(X, y, 20, library=library)
    (note,) = found.notes
    assert "reads 3 inputs; of 6" in note
    assert "x2, x4, x5" in note
    used = {library.names[t] for t in np.unique(found.programs.tokens) if t >= 0}
    assert used.isdisjoint({"x1", "x3", "x6"})
    assert model.candidates(rows(2), rows(2)[:, 0], 5).notes == ()
    named = Library(create_tokens(6, FUNCTIONS), ["a", "mass", "c", "speed", "time", "f"])
    assert "mass, speed, time" in model.candidates(X, y, 5, library=named).notes[0]


def test_rows_without_weight_do_not_matter(model: PretrainedModel) -> None:
    X = rows(n=60)
    y = np.sin(X[:, 0]) + X[:, 1]
    weights = np.random.default_rng(0).uniform(0.5, 1.5, 60)
    weights[40:] = 0
    wrong = np.where(weights > 0, y, 1e10 * X[:, 0])
    found = model.candidates(X, wrong, 30, weights=weights)
    alone = model.candidates(X[:40], y[:40], 30, weights=weights[:40])
    np.testing.assert_array_equal(found.programs.tokens, alone.programs.tokens)
    np.testing.assert_array_equal(found.nmse, alone.nmse)
    error = np.square(found.program().execute(X[:40]) - y[:40])
    mean = np.average(y[:40], weights=weights[:40])
    wanted = np.average(error, weights=weights[:40])
    wanted /= np.average((y[:40] - mean) ** 2, weights=weights[:40])
    np.testing.assert_allclose(found.nmse[0], wanted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, r"n_candidates is 0; at least 1"),
        ({"method": "greedy"}, r"method is 'greedy'; allowed: beam, sample"),
        ({"weights": np.ones(3)}, r"one for each of 50 rows; given is an array \(3,\)"),
        ({"weights": np.full(50, np.nan)}, r"finite numbers"),
        ({"weights": np.full(50, -1.0)}, r"row 0 has the weight -1"),
    ],
)
def test_what_cannot_be_asked(model: PretrainedModel, arguments: dict, message: str) -> None:
    X = rows()
    with pytest.raises(UserError, match=message):
        model.candidates(X, X[:, 0], **arguments)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((3, 0)), np.ones(3), r"1 input; given are \(3, 0\)"),
        (np.ones((3, 1)), np.ones(4), r"\(3, 1\) and \(4,\)"),
        (np.array([[1.0], [np.nan]]), np.ones(2), "not finite"),
    ],
)
def test_bad_rows_are_refused(model: PretrainedModel, X, y, message: str) -> None:
    with pytest.raises(UserError, match=message):
        model.candidates(X, y)


def test_a_constant_target_is_not_an_error(model: PretrainedModel) -> None:
    X = rows()
    found = model.candidates(X, np.full(len(X), 3.0), 10)
    np.testing.assert_allclose(found.program().execute(X), 3.0)


@pytest.mark.parametrize("scale", [1e-310, 1e160])
def test_numbers_beyond_what_can_be_squared_are_not_an_error(
    model: PretrainedModel, scale: float
) -> None:
    X = rows()
    assert len(model.candidates(X * scale, X[:, 0], 10)) > 0
    assert len(model.candidates(X, X[:, 0] * scale, 10)) > 0


def test_the_shipped_weights_are_those_of_this_version(vocabulary: Vocabulary) -> None:
    shipped = PretrainedModel.load()
    assert shipped.vocabulary.names == vocabulary.names
    assert SHIPPED.with_suffix(".npz").stat().st_size <= 8_000_000
    X = rows()
    assert shipped.candidates(X, 4e5 * X[:, 0] / X[:, 1] - 3, 32).nmse[0] < 1e-12
