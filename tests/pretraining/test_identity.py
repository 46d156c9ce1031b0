"""Keys: the same for the same function, for all units, orders of inputs and constants."""

import numpy as np
import pytest

from dso.pretraining.canonical import up_to_affine
from dso.pretraining.distribution import Distribution, make_distribution
from dso.pretraining.evaluated import evaluated_formulas, excluded_keys, is_excluded, spellings
from dso.pretraining.identity import NO_KEY, Identifier, Keys
from dso.pretraining.pool import Pool, PoolBuilder
from dso.pretraining.spelling import Speller
from dso.pretraining.vocabulary import Vocabulary
from dso.program import ProgramBatch
from tests.support.pretraining import tree


@pytest.fixture(scope="module")
def identifier(vocabulary: Vocabulary) -> Identifier:
    return Identifier(vocabulary)


@pytest.fixture(scope="module")
def excluded(identifier: Identifier) -> np.ndarray:
    return excluded_keys(identifier)


def keys(identifier: Identifier, *texts: str) -> Keys:
    index = identifier.vocabulary.index
    rows = [[index[name] for name in text.split()] for text in texts]
    return identifier.keys(ProgramBatch.from_rows(rows))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("add x1 n2 x2", "add n2 x1 x2"),
        ("sub x1 x2", "mul 3.0 sub x3 x1"),
        ("mul const exp x1", "sub exp x2 2.0"),
        ("add mul const x1 exp mul const x2", "add mul const x3 exp mul const x1"),
        ("exp add x1 x2", "mul exp x1 exp x2"),
        ("sin add x1 const", "sin add const x2"),
        ("n2 add x1 x1", "mul x2 x2"),
    ],
)
def test_equal_functions_have_one_key(identifier: Identifier, one: str, other: str) -> None:
    found = keys(identifier, one, other)
    assert found.positive[0] == found.positive[1] != NO_KEY
    assert found.whole[0] == found.whole[1] != NO_KEY


def test_functions_that_differ_for_negative_inputs_share_one_key(identifier: Identifier) -> None:
    found = keys(identifier, "x1", "abs x1")
    assert found.positive[0] == found.positive[1]
    assert found.whole[0] != found.whole[1]


def test_different_functions_have_different_keys(identifier: Identifier) -> None:
    found = keys(identifier, "add x1 x2", "sub x1 x2", "mul x1 x2", "add x1 mul const x2")
    assert len(set(found.whole.tolist())) == 4


@pytest.mark.parametrize("text", ["sub x1 x1", "const", "div x1 x1", "log sub x1 x1"])
def test_constants_have_no_key(identifier: Identifier, text: str) -> None:
    assert keys(identifier, text).whole[0] == NO_KEY


def test_logarithms_of_negative_numbers_are_known_by_the_other_half(identifier: Identifier) -> None:
    found = keys(identifier, "log sub neg x1 1.0")
    assert found.positive[0] == NO_KEY != found.whole[0]


@pytest.mark.parametrize(
    "text",
    [
        "x1**3 + x1**2 + x1",  # Nguyen-1
        "x3**3 + x3**2 + x3",  # in another input
        "sin(x2**2)*cos(x2)",  # Nguyen-5
        "log(x1 + 1) + log(x1**2 + 1)",  # Nguyen-7
        "log(x1 + 77) + log(x1**2 + 77)",  # and Constant-8
        "x2**x1",  # Nguyen-11
        "sin(77*x2)*cos(77*x1)",  # Constant-3
        "x1**77",  # Constant-6
        "exp(77*x1**2)",  # Livermore-23
        "(x1 + 1)**3/(x1**2 - x1 + 1)",  # R1
        "77*x1**3 + 77*x1**2 + 77*x1",  # Constant-1
        "77*x2**4 - 77*x2**3 + 77*x1**2 - 77*x1",  # Jin-1
        "1/(77 + x1**2 + x2**2)",  # Keijzer-14
        "x2/sqrt(1 - x1**2/x3**2)",  # physics, I.10.7
        "x1*x2*x3",
        "x1*sin(77*x2*x3)**2/sin(77*x2)**2",  # physics, I.30.3
    ],
)
def test_what_is_evaluated_is_excluded(
    identifier: Identifier, excluded: np.ndarray, text: str
) -> None:
    assert is_excluded(_canonical_keys(identifier, text), excluded)[0]


def _canonical_keys(identifier: Identifier, text: str) -> Keys:
    """Return the keys of the skeleton that the generator would make of a formula."""
    vocabulary = identifier.vocabulary
    speller = Speller.whole(vocabulary)
    row = [token for token, _ in speller.spell(up_to_affine(tree(text)))]
    return identifier.keys(ProgramBatch.from_rows([row]))


def test_what_is_not_evaluated_is_not_excluded(
    identifier: Identifier, excluded: np.ndarray
) -> None:
    found = keys(identifier, "exp sin x1", "add x1 mul const tanh x2", "log add exp x1 x2")
    assert not is_excluded(found, excluded).any()


def test_formulas_can_be_excluded(identifier: Identifier) -> None:
    found = keys(identifier, "exp sin x2")
    assert is_excluded(found, excluded_keys(identifier, ["2*exp(sin(x1)) - 1"]))[0]


def test_every_formula_of_few_inputs_is_excluded_or_cannot_be_written(
    vocabulary: Vocabulary,
) -> None:
    formulas = evaluated_formulas()
    assert {"Nguyen-12", "Livermore-1", "R3", "Jin-6", "Keijzer-5", "Constant-8", "I.6.2a"} <= set(
        formulas
    )
    without = {
        name
        for name, formula in formulas.items()
        if formula.n_inputs <= 3 and not list(spellings(formula, vocabulary))
    }
    # A harmonic sum, and powers or polynomials beyond the longest spelling of a power.
    assert without <= {"Neat-6"}


def test_nothing_that_is_evaluated_gets_into_a_pool(
    distribution: Distribution, vocabulary: Vocabulary
) -> None:
    """The trees are the formulas as they are published, with all, one or no token for a number."""
    builder = PoolBuilder(distribution, vocabulary)
    for literals in (("1.0", "2.0", "3.0"), ("1.0",), ()):
        rows = _as_published(vocabulary, {float(name): name for name in literals})
        assert len(rows) > 150
        forms = {form: 1 for row in rows if (form := builder._form(row)) is not None}
        assert len(forms) > 70
        builder._add(forms)
    assert not len(builder)


def _as_published(vocabulary: Vocabulary, numbers: dict[float, str]) -> list[list[int]]:
    """Return what is evaluated; numbers without a token are constants to be fitted."""
    rows = []
    for formula in evaluated_formulas().values():
        nodes = [numbers.get(n, "const") if isinstance(n, float) else n for n in formula.nodes]
        # A harmonic sum and an arcus cosine cannot be written at all.
        if 0 < formula.n_inputs <= 3 and {"harmonic", "arccos"}.isdisjoint(nodes):
            rows.append([vocabulary.index[n] if isinstance(n, str) else int(n) for n in nodes])
    return rows


def test_the_keys_of_a_pool_are_those_of_its_skeletons(
    identifier: Identifier, excluded: np.ndarray, pool: Pool
) -> None:
    found = identifier.keys(ProgramBatch.from_rows([pool.row(i) for i in range(300)]))
    np.testing.assert_array_equal(np.stack([found.positive, found.whole], axis=1), pool.keys[:300])
    assert not is_excluded(found, excluded).any()


def test_without_the_exclusion_the_same_trees_give_some_of_it(
    distribution: Distribution, vocabulary: Vocabulary, excluded: np.ndarray
) -> None:
    builder = PoolBuilder(distribution, vocabulary, seed=3, chunk=1000)
    builder.excluded = np.empty(0, np.uint64)
    builder.build_chunk()
    assert np.isin(builder.pool().keys, excluded).any(axis=1).sum() > 5


def test_what_is_held_out_is_not_generated(vocabulary: Vocabulary) -> None:
    settings = {"operators": {"add": 1, "sin": 1}, "n_operators": {"3": 1}, "n_inputs": {"2": 1}}
    distribution = make_distribution(settings)
    free = PoolBuilder(distribution, vocabulary, chunk=200)
    free.build_chunk()
    held_out = free.pool().keys[::2]
    builder = PoolBuilder(distribution, vocabulary, chunk=200, excluded=np.unique(held_out))
    builder.build_chunk()
    assert 0 < len(builder) < len(free)
    assert not np.isin(builder.pool().keys[:, 1], held_out[:, 1]).any()
