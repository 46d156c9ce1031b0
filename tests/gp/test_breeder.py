"""Breeding: every operator against its definition on trees, and the priors on every offspring."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.gp import Breeder, Population
from dso.gp.breeder import COPIED, CROSSED, INSERTED, PERTURBED, REPLACED, SHRUNK, SUBTREE
from dso.library import Library, create_tokens
from dso.native import _core
from dso.policy import RNNPolicy
from dso.prior import PRIORS, make_joint_prior
from dso.prior.joint_prior import JointPrior
from dso.program.program_batch import ProgramBatch
from dso.streams import Stream
from tests import reference_gp as reference
from tests.support.populations import population_of
from tests.support.priors import PRIOR_CASES, NoSineOfSine

LIBRARY = Library(create_tokens(1, ["add", "sin", "const"]))
ARITIES = LIBRARY.arities.tolist()
CONST = LIBRARY.const_token
STREAM = Stream(0, "breed")
FREE = make_joint_prior({}, LIBRARY, max_length=30)


def programs_of(*texts: str) -> ProgramBatch:
    """Tokenise; numbers stand for constants that are set."""
    rows, constants = [], []
    for text in texts:
        words = text.split(",")
        is_number = [word[0].isdigit() for word in words]
        rows.append(
            [CONST if n else LIBRARY.index(w) for w, n in zip(words, is_number, strict=True)]
        )
        constants.append([float(w) for w, n in zip(words, is_number, strict=True) if n])
    batch = ProgramBatch.from_rows(rows)
    table = np.full((len(rows), max(map(len, constants))), np.nan)
    for row, numbers in zip(table, constants, strict=True):
        row[: len(numbers)] = numbers
    return ProgramBatch(batch.tokens, batch.lengths, table)


def trees_of(programs: ProgramBatch) -> list[reference.Tree]:
    trees = []
    for b in range(len(programs)):
        tokens, slots = programs.row(b), iter(programs.constants[b])
        numbers = [next(slots) if token == CONST else np.nan for token in tokens]
        numbers = [None if np.isnan(number) else number for number in numbers]
        trees.append(reference.tree_of(tokens, ARITIES, numbers))
    return trees


def bred(parents: ProgramBatch, n=3000, prior=FREE, **options):
    breeder = Breeder(prior, **{"p_crossover": 0.0, "p_mutate": 1.0, **options})
    return breeder.breed(population_of(parents), np.zeros(n, np.int32), STREAM)


PARENTS = programs_of("add,add,x1,2,sin,add,3,x1", "sin,add,5,sin,x1", "sin,7")


def test_crossover_makes_exactly_what_it_can():
    offspring = bred(PARENTS, p_crossover=1.0, p_mutate=0.0, tournament_size=1)
    assert (offspring.operations == CROSSED).all()
    one, two, three = trees_of(PARENTS)
    pairs = [(a, b) for a in (one, two, three) for b in (one, two, three)]
    possible = set().union(*(reference.crossovers(a, b) for a, b in pairs))
    assert set(trees_of(offspring.programs)) == possible


@pytest.mark.parametrize(
    ("operation", "made"),
    [
        (SUBTREE, lambda tree: reference.subtree_mutations(tree, ARITIES, 1)),
        (REPLACED, lambda tree: reference.replacements(tree, ARITIES)),
        (INSERTED, lambda tree: reference.insertions(tree, ARITIES)),
        (SHRUNK, reference.shrinkings),
    ],
)
def test_mutations_make_exactly_what_they_can(operation, made):
    for parent in range(3):
        parents = PARENTS[parent : parent + 1]
        offspring = bred(parents, n=6000, mutate_tree_max=1)
        rows = np.flatnonzero(offspring.operations == operation)
        assert len(rows) > 500
        found = set(trees_of(offspring.programs[rows]))
        assert found == made(trees_of(parents)[0])


def test_a_joined_insertion_takes_a_subtree_of_a_mate():
    offspring = bred(PARENTS, p_join=1.0, tournament_size=1)
    rows = offspring.operations == INSERTED
    trees = trees_of(PARENTS)
    subtrees = [reference.at(tree, path) for tree in trees for path in reference.paths(tree)]
    add = LIBRARY.index("add")
    possible = set()
    for tree in trees:
        for path in reference.paths(tree):
            own = reference.at(tree, path)
            news = [(LIBRARY.index("sin"), None, own)]
            news += [(add, None, own, other) for other in subtrees]
            news += [(add, None, other, own) for other in subtrees]
            possible |= {reference.put(tree, path, new) for new in news}
    found = set(trees_of(offspring.programs[rows]))
    assert found <= possible
    assert len(found) > 0.5 * len(possible)


def test_a_perturbation_changes_one_number_and_nothing_else():
    parents = programs_of("add,add,x1,2,sin,add,3,x1")
    offspring = bred(parents, p_perturb=1.0)
    assert (offspring.operations == PERTURBED).all()
    np.testing.assert_array_equal(offspring.programs.tokens[:, :8], parents.tokens.repeat(3000, 0))
    numbers = offspring.programs.constants[:, :2]
    assert ((numbers != [2.0, 3.0]).sum(axis=1) == 1).all()
    changed = np.abs(numbers[:, 0][numbers[:, 0] != 2.0] / 2.0)
    assert 0.25 < np.std(np.log(changed)) < 0.35
    # Without a number there is nothing to perturb.
    assert not (bred(programs_of("sin,x1", "2"), p_perturb=1.0).operations == 0).all()


def test_parents_are_never_altered():
    parents = population_of(PARENTS)
    before = parents.state_dict()
    copies = {name: array.copy() for name, array in before.items()}
    Breeder(FREE).breed(parents, np.zeros(500, np.int32), STREAM)
    for name, array in parents.state_dict().items():
        assert array is before[name]
        np.testing.assert_array_equal(array, copies[name])


def test_better_parents_win_tournaments():
    parents = programs_of("x1", "sin,x1", "sin,sin,x1", "sin,sin,sin,x1")
    breeder = Breeder(FREE, p_crossover=0.0, p_mutate=1.0, tournament_size=3, mutate_tree_max=0)
    offspring = breeder.breed(population_of(parents), np.zeros(40_000, np.int32), STREAM)
    # A replaced leaf tells the parent: the others change the length in other ways.
    rows = offspring.operations == REPLACED
    lengths = offspring.programs.lengths[rows]
    # Replacing sin is impossible here (the only unary token), so tries are repeated.
    counts = np.bincount(lengths, minlength=5)[1:].astype(float)
    chance = np.array([1 - (3 / 4) ** 3, (3 / 4) ** 3 - (2 / 4) ** 3, 7 / 64, 1 / 64])
    chance *= 1 / np.arange(1, 5)  # the one leaf is chosen
    np.testing.assert_allclose(counts / counts.sum(), chance / chance.sum(), atol=0.02)


def test_threads_and_splits_make_no_difference():
    islands = np.zeros(700, np.int32)
    whole = Breeder(FREE).breed(population_of(PARENTS), islands, STREAM)
    threads = Breeder(FREE, n_threads=4).breed(population_of(PARENTS), islands, STREAM)
    part = Breeder(FREE).breed(population_of(PARENTS), islands[:123], STREAM)
    for other, n in ((threads, 700), (part, 123)):
        np.testing.assert_array_equal(other.programs.tokens, whole.programs.tokens[:n])
        np.testing.assert_array_equal(other.programs.constants, whole.programs.constants[:n])
        np.testing.assert_array_equal(other.operations, whole.operations[:n])
    assert threads.n_refused == whole.n_refused


def test_islands_do_not_mix():
    parents = programs_of("sin,sin,x1", "add,2,3")
    population = Population(
        parents, np.zeros(2), np.zeros(2), parents.keys(), np.array([0, 2], np.int32)
    )
    breeder = Breeder(FREE, p_crossover=1.0, p_mutate=0.0)
    islands = np.repeat([0, 2], 200).astype(np.int32)
    offspring = breeder.breed(population, islands, STREAM)
    has_add = (offspring.programs.tokens == LIBRARY.index("add")).any(axis=1)
    np.testing.assert_array_equal(has_add, islands == 2)


def test_what_is_known_is_not_bred_again():
    known = _core.KeySet()
    parents = programs_of("sin,x1")
    breeder = Breeder(FREE, p_crossover=0.0, p_mutate=1.0, mutate_tree_max=0)
    first = breeder.breed(population_of(parents), np.zeros(50, np.int32), STREAM, known)
    known.insert(first.programs.keys())
    again = breeder.breed(population_of(parents), np.zeros(50, np.int32), STREAM, known)
    new = again.operations != COPIED
    assert again.n_known > 0
    assert not known.contains(again.programs.keys()[new]).any()


@pytest.mark.parametrize("name", PRIORS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), p_crossover=st.sampled_from([0.0, 0.5, 1.0]))
def test_offspring_obey_every_prior(name, seed, p_crossover):
    library, parameters, _ = PRIOR_CASES[name]
    section = {name: {"on": True, **parameters}}
    facts = {"input_ranges": np.array([[-1.0, 1.0], [0.1, 1.0]]), "output_range": np.array([-2, 2])}
    prior = make_joint_prior(section, library, max_length=12, **facts)
    parents = RNNPolicy(library, prior).sample(60, Stream(seed, "policy")).programs
    breeder = Breeder(prior, p_crossover=p_crossover, p_mutate=0.7, p_join=0.5)
    offspring = breeder.breed(population_of(parents), np.zeros(200, np.int32), Stream(seed, "gp"))
    assert prior.allowed(offspring.programs).all()
    assert offspring.programs.lengths.max() <= 12
    assert (offspring.operations != COPIED).any()


def test_offspring_obey_priors_in_python():
    prior = JointPrior(LIBRARY, [NoSineOfSine(LIBRARY)], max_length=12)
    parents = RNNPolicy(LIBRARY, prior).sample(60, STREAM).programs
    offspring = Breeder(prior).breed(population_of(parents), np.zeros(300, np.int32), STREAM)
    made = offspring.operations != COPIED
    assert made.mean() > 0.9
    assert offspring.n_refused > 0
    assert prior.allowed(offspring.programs[made]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": np.array([[1, 0]], np.int16)}, "complete program"),
        ({"tokens": np.array([[0, 0]], np.int16)}, "no program of the library"),
        ({"tokens": np.array([[9, 0]], np.int16)}, "no program of the library"),
        ({"lengths": np.array([3], np.int32)}, "a length lies outside"),
        ({"offsets": [0, 2]}, "offsets of groups"),
        ({"offsets": [0, 0, 1]}, "group without parents"),
        ({"groups": np.array([1], np.int32)}, "group without parents"),
        ({"groups": np.array([0, 0], np.int32)}, "rows and groups"),
        ({"library": Library(create_tokens(1, ["sin"])).native}, "different libraries"),
    ],
)
def test_the_core_refuses_what_does_not_fit(change, message):
    sin = LIBRARY.index("sin")
    parents = {
        "tokens": np.array([[sin, 0]], np.int16),
        "lengths": np.array([2], np.int32),
        "offsets": [0, 1],
    }
    arguments = {
        "library": LIBRARY.native,
        "rules": FREE.rules,
        "options": Breeder(FREE)._options,
        "key": 1,
        "rows": np.zeros(1, np.uint32),
        "groups": np.zeros(1, np.int32),
        "first_attempt": 0,
        "n_positions": 5,
        "n_constants": 0,
    }

    def breed(changed):
        tokens, lengths, offsets = (changed.pop(k, v) for k, v in parents.items())
        made = _core.Parents(_core.Programs(tokens, lengths), offsets)
        return _core.breed(parents=made, **{**arguments, **changed})

    assert len(breed({}).tokens) == 1
    with pytest.raises(ValueError, match=message):
        breed(dict(change))
