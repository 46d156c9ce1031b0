"""Semantic mutation: what it puts in has the values wanted, and every prior holds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dso import DeepSymbolicOptimizer
from dso.errors import UserError
from dso.gp import Breeder, SemanticBreeder
from dso.gp.breeder import COPIED, SEMANTIC, SOLVED
from dso.library import Library, create_tokens
from dso.native import _core
from dso.policy import RNNPolicy
from dso.prior import PRIORS, make_joint_prior
from dso.prior.joint_prior import JointPrior
from dso.program import FitData, ProgramBatch, execute
from dso.program.inversion import wanted_values
from dso.streams import Stream
from tests.support.function_sets import KOZA
from tests.support.populations import population_of
from tests.support.priors import PRIOR_CASES, NoSineOfSine

STREAM = Stream(0, "breed")
ENTRIES = 2000


def breeder_of(prior, X, y, p_semantic=1.0, n_threads=1, entries=ENTRIES, **options):
    return SemanticBreeder(
        Breeder(prior, n_threads=n_threads),
        FitData(prior.library, np.ascontiguousarray(X), y),
        p_semantic=p_semantic,
        max_entries=entries,
        seed=0,
        **{"n_partners": 50, **options},
    )


def bred(prior, parents, X, y, n=200, known=None, **options):
    breeder = breeder_of(prior, X, y, **options)
    return breeder.breed(population_of(parents), np.zeros(n, np.int32), STREAM, known)


def errors(library, programs, X, y):
    """Return the greatest error of each program relative to y, inf where it is invalid."""
    values, cause, _ = execute(library, programs, X)
    with np.errstate(all="ignore"):
        return np.where(cause == 0, np.abs(values - y).max(axis=1) / np.abs(y).max(), np.inf)


PLAIN = Library(create_tokens(2, ["add", "sub", "mul", "div", "exp", "log"]))
PLAIN_PRIOR = make_joint_prior({}, PLAIN, max_length=40)
POINTS = np.random.default_rng(3).uniform(0.4, 1.6, (2, 30))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_a_target_one_subtree_away_is_hit_at_once(seed, data):
    prior = make_joint_prior({"length": {"on": True, "min_": 3, "max_": 20}}, PLAIN, max_length=20)
    drawn = RNNPolicy(PLAIN, prior).sample(50, Stream(seed, "policy")).programs
    parent = drawn[np.flatnonzero(execute(PLAIN, drawn, POINTS)[1] == 0)[:1]]
    row = parent.row(0)
    position = data.draw(st.integers(0, len(row) - 1))
    small = ["x2", "mul,x1,x2", "exp,x1", "add,x2,mul,x1,x1", "div,x1,x2", "log,x2"]
    new = [PLAIN.index(t) for t in data.draw(st.sampled_from(small)).split(",")]
    end = position + 1
    while PLAIN.arities[row[position:end]].sum() != end - position - 1:
        end += 1
    target = ProgramBatch.from_rows([[*row[:position], *new, *row[end:]]])
    values, cause, _ = execute(PLAIN, target, POINTS)
    y = values[0]
    assume(cause[0] == 0 and np.ptp(y) > 1e-3 and np.abs(y).max() < 1e6)
    inside = execute(PLAIN, ProgramBatch.from_rows([new]), POINTS)[0][0]
    wanted = wanted_values(PLAIN, target, np.array([position]), POINTS, y).values[0]
    assume(np.allclose(wanted, inside, rtol=1e-9))  # else it is lost in rounding
    assume(not np.array_equal(target.row(0), row))
    offspring = bred(PLAIN_PRIOR, parent, POINTS, y)
    is_solved = offspring.operations == SEMANTIC | SOLVED
    assert is_solved.any()
    assert errors(PLAIN, offspring.programs[is_solved], POINTS, y).min() < 1e-9


BRANCHES = Library(create_tokens(2, ["add", "sub", "mul", "sin", "cos", "tan", "n2", "n4", "abs"]))


@pytest.mark.parametrize(
    ("parent", "target"),
    [
        ("sin,add,x1,x1", "sin,add,x1,x2"),
        ("cos,add,x1,x1", "cos,add,x1,x2"),
        ("tan,add,x1,x1", "tan,add,x1,x2"),
        ("n2,sub,x1,mul,x1,x2", "n2,sub,x1,n2,x2"),
        ("n4,sub,x1,mul,x1,x2", "n4,sub,x1,n2,x2"),
        ("abs,sub,x1,mul,x1,x2", "abs,sub,x1,n2,x2"),
    ],
)
def test_the_solution_nearest_the_present_value_is_taken(parent, target):
    """The inner values lie off the principal branch, and an inner node is solved for."""
    X = np.random.default_rng(0).uniform(2.5, 3.0, (2, 20))
    prior = make_joint_prior({}, BRANCHES, max_length=40)
    both = ProgramBatch.from_rows(
        [[BRANCHES.index(t) for t in text.split(",")] for text in (parent, target)]
    )
    y = execute(BRANCHES, both, X)[0][1]
    # So few entries that the whole is none of them.
    offspring = bred(prior, both[:1], X, y, entries=40, n_partners=0)
    tokens = {tuple(offspring.programs.row(b)) for b in range(len(offspring.programs))}
    assert tuple(both.row(1)) in tokens


def test_fitted_numbers_stay_where_they_are():
    library = Library(create_tokens(1, ["add", "mul", "sin", "exp", "const"]))
    prior = make_joint_prior({}, library, max_length=20)
    X = np.random.default_rng(0).uniform(0.5, 2.0, (1, 20))
    const, mul = library.const_token, library.index("mul")
    parents = ProgramBatch(
        np.array([[mul, const, library.index("x1")]], np.int16),
        np.array([3], np.int32),
        np.array([[2.7]]),
    )
    offspring = bred(prior, parents, X, 2.7 * np.sin(X[0]))
    is_solved = offspring.operations == SEMANTIC | SOLVED
    assert (offspring.programs.constants[is_solved, 0] == 2.7).any()
    assert errors(library, offspring.programs[is_solved], X, 2.7 * np.sin(X[0])).min() < 1e-12


LIBRARY = Library(create_tokens(2, KOZA))
PRIOR = make_joint_prior({"trig": {"on": True}}, LIBRARY, max_length=30)
Y = POINTS[0] ** 3 * np.sin(POINTS[1]) + 0.3 * POINTS[1]


def koza_parents(n=40, seed=1):
    programs = RNNPolicy(LIBRARY, PRIOR).sample(n, Stream(seed, "policy")).programs
    return programs[execute(LIBRARY, programs, POINTS)[1] == 0]


def test_the_nearest_comes_nearer():
    """Where nothing is exact, offspring are better than those that are bred blindly."""
    parents = koza_parents()
    solved = bred(PRIOR, parents, POINTS, Y, n=600)
    blind = Breeder(PRIOR).breed(population_of(parents), np.zeros(600, np.int32), STREAM)
    medians = [np.median(errors(LIBRARY, o.programs, POINTS, Y)) for o in (solved, blind)]
    assert (solved.operations >= SEMANTIC).mean() > 0.8
    assert medians[0] < 0.5 * medians[1]


def test_rows_not_chosen_are_those_of_the_breeder_inside():
    parents, islands = population_of(koza_parents()), np.zeros(500, np.int32)
    blind = Breeder(PRIOR).breed(parents, islands, STREAM)
    none = breeder_of(PRIOR, POINTS, Y, 0.0).breed(parents, islands, STREAM)
    np.testing.assert_array_equal(none.programs.tokens, blind.programs.tokens)
    some = breeder_of(PRIOR, POINTS, Y, 0.2).breed(parents, islands, STREAM)
    is_own = some.operations >= SEMANTIC
    assert 0.1 < is_own.mean() < 0.3
    np.testing.assert_array_equal(some.programs.tokens[~is_own], blind.programs.tokens[~is_own])
    assert none.n_lookups == 0 < some.n_lookups


def test_threads_make_no_difference():
    one, four = (bred(PRIOR, koza_parents(), POINTS, Y, n=400, n_threads=n) for n in (1, 4))
    np.testing.assert_array_equal(one.programs.tokens, four.programs.tokens)
    np.testing.assert_array_equal(one.operations, four.operations)
    assert one.n_lookups == four.n_lookups


def test_parents_are_not_altered_and_the_known_not_repeated():
    parents = koza_parents()
    copies = parents.tokens.copy(), parents.constants.copy()
    known = _core.KeySet()
    known.insert(parents.keys())
    first = bred(PRIOR, parents, POINTS, Y, known=known)
    known.insert(first.programs.keys())
    again = bred(PRIOR, parents, POINTS, Y, known=known)
    made = again.operations != COPIED
    assert made.any()
    assert again.n_known > 0
    assert not known.contains(again.programs.keys()[made]).any()
    np.testing.assert_array_equal(parents.tokens, copies[0])
    np.testing.assert_array_equal(parents.constants, copies[1])


@pytest.mark.parametrize("name", PRIORS)
def test_offspring_obey_every_prior(name):
    library, parameters, _ = PRIOR_CASES[name]
    section = {name: {"on": True, **parameters}}
    facts = {"input_ranges": np.array([[-1.0, 1.0], [0.1, 1.0]]), "output_range": np.array([-2, 2])}
    prior = make_joint_prior(section, library, max_length=12, **facts)
    parents = RNNPolicy(library, prior).sample(60, STREAM).programs
    X = np.random.default_rng(0).uniform(0.2, 1.0, (max(2, library.native.n_inputs), 20))
    offspring = bred(prior, parents, X, np.exp(X[0]) * X[1])
    assert prior.allowed(offspring.programs).all()
    assert offspring.programs.lengths.max() <= 12


def test_offspring_obey_priors_in_python():
    prior = JointPrior(LIBRARY, [NoSineOfSine(LIBRARY)], max_length=15)
    parents = RNNPolicy(LIBRARY, prior).sample(60, STREAM).programs
    offspring = bred(prior, parents, POINTS, np.sin(np.sin(POINTS[0])) + POINTS[1])
    made = offspring.operations != COPIED
    assert (offspring.operations >= SEMANTIC).any()
    assert prior.allowed(offspring.programs[made]).all()


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (POINTS, np.full(30, 4.0)),
        (POINTS, np.zeros(30)),
        (POINTS[:, :1], Y[:1]),
        (np.repeat(POINTS[:1], 2, axis=0), Y),
        (-POINTS, Y),
        (POINTS * 1e300, Y),
        (np.zeros((2, 30)), Y),
        (POINTS, Y * 1e-300),
    ],
    ids=["constant", "zero", "one row", "copies", "negative", "huge", "zeros", "tiny"],
)
def test_hostile_data_do_no_harm(X, y):
    parents = RNNPolicy(LIBRARY, PRIOR).sample(40, STREAM).programs  # invalid ones too
    offspring = bred(PRIOR, parents, X, y)
    assert PRIOR.allowed(offspring.programs).all()


def test_nodes_that_cannot_be_solved_for_are_left_alone():
    library = Library(create_tokens(1, ["add", "max", "harmonic", "poly"]))
    prior = make_joint_prior({}, library, max_length=20)
    parents = ProgramBatch.from_rows(
        [[library.index(t) for t in text.split(",")] for text in ("add,poly,x1", "max,x1,x1")]
    )
    offspring = bred(prior, parents, POINTS[:1], Y)
    is_root = offspring.operations >= SEMANTIC
    assert prior.allowed(offspring.programs).all()
    assert (offspring.programs.tokens[is_root] != library.index("poly")).all()


RUN = {
    "experiment": {"logdir": None, "seed": 5},
    "task": {"task_type": "regression", "dataset": "Nguyen-12"},
    "training": {"n_samples": 30_000, "batch_size": 100, "verbose": False},
    "gp_meld": {"run_gp_meld": True, "generations": 4, "train_n": 5},
}


def optimizer(tmp_path=None, **gp_meld):
    sections = {**RUN, "gp_meld": {**RUN["gp_meld"], **gp_meld}}
    model = DeepSymbolicOptimizer(sections)
    model.setup()
    return model


SEMANTIC_RUN = {"p_semantic": 0.3, "semantic_entries": 1000, "semantic_partners": 10}


def spied(breeder):
    """Note in the list returned what every call of `breed` looks up."""
    n_lookups, breed = [], breeder.breed

    def spy(*arguments):
        offspring = breed(*arguments)
        n_lookups.append(offspring.n_lookups)
        return offspring

    breeder.breed = spy
    return n_lookups


def test_a_run_counts_what_it_looks_up():
    trainer = optimizer(**SEMANTIC_RUN).trainer
    breeder = trainer.sources["gp"].controller.breeder
    n_lookups = spied(breeder)
    rows = [trainer.step().row for _ in range(2)]
    assert breeder.values.n_vectors > 1000
    assert rows[0]["n_gp_lookups"] == breeder.values.n_vectors + sum(n_lookups[:4])
    assert rows[1]["n_gp_lookups"] == sum(n_lookups[4:]) > 0
    counted = sum(row["n_gp_lookups"] + row["n_offspring"] + 100 for row in rows)
    assert rows[1]["nevals"] == counted == trainer.standing.n_samples


def test_vectors_are_counted_where_the_library_is_made():
    trainer = optimizer(**SEMANTIC_RUN).trainer
    gp, batch = trainer.sources["gp"].controller, trainer.sources["policy"].sample(0)
    n_lookups = spied(gp.breeder)
    batch = trainer.evaluator.evaluate(batch, 0)
    invalid = replace(batch, cause=np.ones_like(batch.cause))
    counted = [gp.step(b, 0, lambda _: False).n_lookups for b in (invalid, batch, batch)]
    assert counted[0] == 0
    assert sum(counted) == gp.breeder.n_vectors + sum(n_lookups)


def test_without_it_nothing_is_built():
    trainer = optimizer(p_semantic=0.0).trainer
    assert type(trainer.sources["gp"].controller.breeder) is Breeder
    assert "n_gp_lookups" not in trainer.step().row


def test_a_run_goes_on_as_if_it_had_not_stopped():
    whole, first, second = (optimizer(**SEMANTIC_RUN).trainer for _ in range(3))
    rows = [whole.step().row for _ in range(3)]
    for _ in range(2):
        first.step()
    second.load_state_dict(first.state_dict())
    row = second.step().row
    assert {k: v for k, v in row.items() if k != "time"} == {
        k: v for k, v in rows[2].items() if k != "time"
    }


def test_a_task_without_data_is_refused():
    model = DeepSymbolicOptimizer(
        {
            "experiment": {"logdir": None},
            "task": {
                "task_type": "control",
                "env": "CartPole-v1",
                "decision_tree_threshold_set": [0.0],
            },
            "gp_meld": {"run_gp_meld": True, "p_semantic": 0.5},
        }
    )
    with pytest.raises(UserError, match=r"gp_meld.p_semantic: 0.5; the task .* has no data"):
        model.setup()


def test_the_core_refuses_what_does_not_fit():
    breeder = breeder_of(PRIOR, POINTS, Y)
    native, library = breeder.values.native, LIBRARY.native
    for X, y in ((POINTS[:, :3], Y[:3]), (POINTS[:1, :4], Y[:4]), (POINTS[:, :5], Y[:5])):
        with pytest.raises(ValueError, match="on the key rows"):
            _core.SemanticTarget(native, library, _core.Data(X, y), n_partners=10, n_nearest=10)
    population = population_of(ProgramBatch.from_rows([[PLAIN.index("x1")]]))
    islands = np.zeros(1, np.int32)
    with pytest.raises(ValueError, match="different libraries"):
        Breeder(PLAIN_PRIOR).native(
            population,
            [0, 1],
            islands.astype(np.uint32),
            islands,
            key=1,
            first_attempt=0,
            known=None,
            target=breeder._target,
        )


def test_what_is_solved_for_keeps_its_numbers_in_the_fit():
    trainer = optimizer(**SEMANTIC_RUN).trainer
    programs = ProgramBatch(np.zeros((2, 1), np.int16), np.ones(2, np.int32), np.ones((2, 1)))
    operations = np.array([SEMANTIC | SOLVED, SEMANTIC], np.uint8)
    fitted = trainer.sources["gp"].controller._to_be_fitted(programs, operations, 0)
    np.testing.assert_array_equal(np.isnan(fitted.constants[:, 0]), [False, True])
