"""Examples: what the network should write has the values that it is shown."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest

from dso.errors import UserError
from dso.native import _core
from dso.pretraining.distribution import Distribution
from dso.pretraining.examples import (
    KOZA,
    TAG,
    AllowedSets,
    ExampleMaker,
    RowMaker,
    Spelling,
    with_poly,
)
from dso.pretraining.pool import Pool
from dso.pretraining.spelling import Speller
from dso.pretraining.tables import FAR, centre_and_spread, level_of, standardised
from dso.pretraining.trees import Uniforms
from dso.pretraining.vocabulary import Vocabulary
from tests.support.pretraining import tree


@pytest.fixture(scope="module")
def maker(pool: Pool, distribution: Distribution, vocabulary: Vocabulary) -> ExampleMaker:
    return ExampleMaker(pool, distribution, vocabulary)


def spellings(maker: ExampleMaker, is_fitted: bool, n: int = 150) -> list[Spelling]:
    made = (spelling_of(maker, i, is_fitted) for i in range(n))
    return [spelling for spelling in made if spelling is not None]


def spelling_of(maker: ExampleMaker, skeleton: int, is_fitted: bool) -> Spelling | None:
    uniforms = Uniforms(np.random.default_rng(skeleton))
    speller = Speller(maker.vocabulary, AllowedSets(maker.vocabulary)(is_fitted, uniforms))
    return maker.spelling(maker.pool.row(skeleton), speller, uniforms)


@pytest.mark.parametrize("is_fitted", [True, False])
def test_a_target_is_spelled_with_what_is_allowed(
    maker: ExampleMaker, vocabulary: Vocabulary, is_fitted: bool
) -> None:
    made = spellings(maker, is_fitted)
    assert len(made) > 50
    for spelling in made:
        tokens = [token for token, _ in spelling.target]
        assert spelling.allowed[tokens].all()
        assert spelling.allowed[vocabulary.const] == is_fitted
        assert spelling.allowed[: vocabulary.n_inputs].sum() == spelling.n_inputs
    assert len({spelling.allowed.tobytes() for spelling in made}) > 20


def test_tokens_do_not_tell_what_to_write(
    maker: ExampleMaker, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Skeletons that take others are left out; none is let in for the sake of one."""
    names = [*KOZA, "const"]
    monkeypatch.setattr(maker, "_allowed", lambda *_: names)
    allowed = maker(100, np.random.default_rng(0), n_points=20).tables.allowed
    wanted = np.zeros(len(vocabulary), dtype=bool)
    wanted[[vocabulary.index[name] for name in names]] = True
    assert (allowed[:, vocabulary.n_inputs :] == wanted[vocabulary.n_inputs :]).all()


@pytest.mark.parametrize("is_fitted", [True, False])
def test_the_target_has_the_values_of_the_skeleton(
    maker: ExampleMaker, vocabulary: Vocabulary, is_fitted: bool
) -> None:
    """Up to a factor and a summand, with columns and constants in one of their orders."""
    x = np.random.default_rng(2).uniform(0.2, 1.8, (vocabulary.n_inputs, 20))
    n_compared = 0
    for i in range(250):
        spelling = spelling_of(maker, i, is_fitted)
        if spelling is None:
            continue
        row = maker.pool.row(i)
        has_poly = vocabulary.index["poly"] in [token for token, _ in spelling.target]
        found = _values(vocabulary, spelling.formula if has_poly else spelling.target, x)
        n = row.count(vocabulary.const)
        skeleton = [(token, 0.0) for token in row]
        orders = product(permutations(range(len(x))), permutations([TAG + k for k in range(n)]))
        wanted = (_values(vocabulary, skeleton, x[list(own)], tags) for own, tags in orders)
        assert any(_is_affine(found, values) for values in wanted), i
        n_compared += 1
    assert n_compared > 80


def _is_affine(one: np.ndarray, other: np.ndarray) -> bool:
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < 5:
        return True
    one, other = one[known], other[known]
    columns = np.column_stack([one, np.ones_like(one)])
    rest = other - columns @ np.linalg.lstsq(columns, other)[0]
    return bool(np.abs(rest).max() <= 1e-7 * np.ptp(other))


def _values(
    vocabulary: Vocabulary, form: list, x: np.ndarray, tags: Sequence[float] | None = None
) -> np.ndarray:
    """Return values where the constant of each tag is a number of its own."""
    given = [v for t, v in form if t == vocabulary.const] if tags is None else tags
    size = {v: 0.4 + 0.31 * (abs(v) - TAG) for v in given if abs(v) >= TAG}  # -c is a constant too
    values = [math.copysign(size[v], v) if v in size else v for v in given]
    tokens = np.array([[token for token, _ in form]], dtype=np.int16)
    lengths = np.array([tokens.shape[1]], dtype=np.int32)
    programs = _core.Programs(tokens, lengths, np.array([values]))
    data = _core.Data(x, protected=True)
    return _core.execute(vocabulary.library.native, programs, data)[0][0]


def test_a_constant_whose_sign_is_turned_has_its_number_too(distribution: Distribution) -> None:
    formula = [(0, 0.0), (1, TAG), (1, -TAG), (1, -TAG - 1), (1, -1.0)]
    first, one, turned, other, plain = RowMaker(distribution, 3).constants(
        formula, Uniforms(np.random.default_rng(0))
    )
    assert (first, plain) == (0.0, -1.0)
    assert turned == -one
    assert abs(other) not in (abs(one), TAG + 1)


def test_a_pool_of_skeletons_with_constants_alone_has_examples(
    pool: Pool, distribution: Distribution, vocabulary: Vocabulary
) -> None:
    kept = np.flatnonzero((pool.tokens == vocabulary.const).any(axis=1))[:20]
    arrays = {name: getattr(pool, name)[kept] for name in ("tokens", "lengths", "counts", "keys")}
    maker = ExampleMaker(replace(pool, **arrays), distribution, vocabulary)
    made = maker(10, np.random.default_rng(0), n_points=20)
    assert made.tables.allowed[:, vocabulary.const].all()


def test_a_pool_without_an_example_is_refused(
    pool: Pool, distribution: Distribution, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = ExampleMaker(pool, distribution, vocabulary)
    monkeypatch.setattr(maker, "spelling", lambda *_: None)
    with pytest.raises(UserError, match="no example could be made of 10000 skeletons"):
        maker(1, np.random.default_rng(0))


def test_a_batch_has_tables_of_order_one(maker: ExampleMaker, vocabulary: Vocabulary) -> None:
    made = maker(40, np.random.default_rng(3))
    tables = made.tables
    n_rows = tables.y.shape[1]
    assert tables.x.shape == (40, n_rows, vocabulary.n_inputs)
    assert tables.allowed.shape == (40, len(vocabulary))
    assert np.isfinite(tables.x).all()
    assert np.abs(tables.y).max() <= FAR
    np.testing.assert_allclose(np.median(tables.y, axis=1), 0, atol=0.1)
    unused = ~tables.allowed[:, : vocabulary.n_inputs]
    assert (tables.x.transpose(0, 2, 1)[unused] == 0).all()
    # Where constants are fitted, the network must not know the level.
    assert (tables.level[tables.allowed[:, vocabulary.const]] == 0).all()
    assert (tables.level[~tables.allowed[:, vocabulary.const]] != 0).any()
    for tokens, length, allowed in zip(made.tokens, made.lengths, tables.allowed, strict=True):
        assert allowed[tokens[:length]].all()
        assert (tokens[length:] < 0).all()


def test_the_same_stream_gives_the_same_batch(maker: ExampleMaker) -> None:
    one, other = (maker(5, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one.tables.x, other.tables.x)
    np.testing.assert_array_equal(one.tokens, other.tokens)
    assert maker(5, np.random.default_rng(4), n_points=33).tables.y.shape == (5, 33)


def test_constants_are_as_the_distribution_says(
    maker: ExampleMaker, distribution: Distribution
) -> None:
    uniforms = Uniforms(np.random.default_rng(5))
    formula = [(3, TAG), (3, TAG + 1), (3, TAG), (3, 2.0)]
    drawn = np.array([maker._rows.constants(formula, uniforms) for _ in range(2000)])
    assert (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, 3] == 2.0).all()
    about = distribution.constant_values
    assert abs((drawn[:, 0] < 0).mean() - about["negative"]) < 0.05
    assert np.abs(drawn[:, :2]).min() >= about["low"]
    assert (np.abs(drawn[:, 0]) > about["high"]).mean() < about["heavy"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sin(x1**2 + 3*x1 + x2)", "sin poly"),
        ("x1**2 + x1 + exp(x2)", "add poly exp x2"),
        ("exp(x1**2)", "exp n2 x1"),
        ("x1**2*x2**2 + x1", "add x1 mul n2 x1 n2 x2"),
    ],
)
def test_a_polynomial_is_written_as_one(vocabulary: Vocabulary, text: str, wanted: str) -> None:
    written = with_poly(tree(text), vocabulary)
    spelled = Speller(vocabulary, vocabulary.names).spell(written)
    assert " ".join(vocabulary.names[token] for token, _ in spelled) == wanted


def test_targets_are_standardised_by_median_and_quantiles() -> None:
    y = np.random.default_rng(6).normal(5.0, 2.0, 4000)
    y[:20] = 1e9
    centre, spread = centre_and_spread(y)
    assert abs(centre - 5) < 0.2
    assert abs(spread - 2) < 0.2
    assert standardised(y, centre, spread).max() == FAR
    assert centre_and_spread(np.full(10, 3.0)) == (3.0, 1.0)
    # Mostly equal: the standard deviation counts.
    assert centre_and_spread(np.array([0.0] * 19 + [1.0]))[1] == pytest.approx(0.218, abs=1e-3)
    np.testing.assert_allclose(level_of(0.0, 1.0), (0, 0))
