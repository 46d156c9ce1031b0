"""The prior of units, against the definition on whole programs."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.errors import UserError
from dso.gp import Breeder
from dso.gp.breeder import COPIED
from dso.library import Library, PlaceholderConstant, Token, create_tokens
from dso.native import _core
from dso.policy import RNNPolicy
from dso.prior import (
    ConstConstraint,
    JointPrior,
    LengthConstraint,
    RepeatConstraint,
    UnitsConstraint,
)
from dso.program import FitData, ProgramBatch, execute
from dso.program.execute import VALID
from dso.program.units import constant_units, other_units
from dso.semantic import SemanticLimits, SemanticSearch, ValueLibrary
from dso.semantic.strategies.joins import JoinSearch
from dso.streams import Stream
from dso.units import PURE, Quantities
from tests import reference_priors, reference_units
from tests.support.populations import population_of

FUNCTIONS = ["add", "sub", "mul", "div", "sqrt", "n2", "exp", "sin", "neg", "max", "sign", "pow"]
MAX_LENGTH = 12

units = st.sampled_from(["m", "s", "m/s", "kg", "", "m^2", None])
seeds = st.integers(0, 2**31)


def make_library(*others: str | float) -> Library:
    return Library(create_tokens(3, [*FUNCTIONS, *others]))


WITH_CONSTANTS = make_library("const", 2.0, 0.5)
WITH_NUMBERS = make_library(2.0, 0.5)
PLAIN = make_library()
COMPARISONS = Library(create_tokens(3, ["add", "div", "arctan2", "greater", "cond", "const"]))
FORMULAS = Library(create_tokens(3, ["sub", "inv", *reference_units.FORMULAS, "const"]))
LIBRARIES = {
    "const": WITH_CONSTANTS,
    "numbers": WITH_NUMBERS,
    "plain": PLAIN,
    "comparisons": COMPARISONS,
    "formulas": FORMULAS,
}


def is_consistent(library: Library, tokens, quantities: Quantities) -> bool:
    """Tell it by the definition."""
    terminals, numbers = {}, {}
    for token in library.tokens:
        if token.input_var is not None:
            known = quantities.input_dimension(token.input_var)
        elif isinstance(token, PlaceholderConstant):
            known = quantities.constant_dimension
        else:
            known = PURE
            if token.arity == 0:
                numbers[token.name] = Fraction(token.value)
        terminals[token.name] = reference_units.EVERY if known is None else known
    named = [(library.names[t], int(library.arities[t])) for t in tokens]
    wanted = quantities.target_dimension
    return reference_units.is_consistent(named, terminals, numbers, PURE, wanted)


def random_rows(library: Library, seed: int, n: int) -> list[list[int]]:
    """Draw complete programs, short ones more often."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        tokens: list[int] = []
        longest = random.integers(1, MAX_LENGTH + 1)
        while (slots := reference_priors.n_open(tokens, library.arities)) > 0:
            room = longest - len(tokens) - slots
            fits = [t for t in range(library.L) if library.arities[t] <= max(room, 0)]
            tokens.append(int(random.choice(fits)))
        rows.append(tokens)
    return rows


def rules_of(library: Library, quantities: Quantities, max_length: int | None) -> _core.RuleSet:
    rules = UnitsConstraint(library, quantities).rules()
    if max_length is not None:
        rules.look_ahead_to(max_length)
    return rules


@pytest.mark.parametrize("kind", LIBRARIES)
@settings(max_examples=40, deadline=None)
@given(
    seed=seeds,
    inputs=st.tuples(units, units, units),
    y=units,
    pure=st.booleans(),
    looks_ahead=st.booleans(),
)
def test_just_the_consistent_programs_are_allowed(kind, seed, inputs, y, pure, looks_ahead):
    library = LIBRARIES[kind]
    quantities = Quantities.of(list(inputs), y, ["x1", "x2", "x3"], pure_constants=pure)
    rules = rules_of(library, quantities, MAX_LENGTH if looks_ahead else None)
    rows = random_rows(library, seed, 40)
    found = rules.violations(ProgramBatch.from_rows(rows).native) < 0
    for row, is_allowed in zip(rows, found, strict=True):
        names = [library.names[t] for t in row]
        assert is_allowed == is_consistent(library, row, quantities), names


def test_both_answers_occur_in_that_test():
    quantities = Quantities.of(["m", "s", ""], "m", ["x1", "x2", "x3"])
    rows = [row for seed in range(20) for row in random_rows(PLAIN, seed, 40)]
    found = rules_of(PLAIN, quantities, None).violations(ProgramBatch.from_rows(rows).native) < 0
    assert 10 < found.sum() < len(rows) - 10


@pytest.mark.parametrize(("inputs", "y"), [(("m", "s", ""), "m/s^2"), (("m", "kg", "m"), "kg^2")])
@pytest.mark.parametrize("kind", ["const", "numbers", "plain"])
def test_every_sampled_program_is_consistent(kind, inputs, y):
    library = LIBRARIES[kind]
    quantities = Quantities.of(list(inputs), y, ["x1", "x2", "x3"], pure_constants=True)
    priors = [LengthConstraint(library, min_=1, max_=16), UnitsConstraint(library, quantities)]
    prior = JointPrior(library, priors, max_length=16)
    batch = RNNPolicy(library, prior, seed=1).sample(100, Stream(0, "units"))
    assert len(batch) > 80
    for b in range(len(batch)):
        assert is_consistent(library, batch.programs.row(b).tolist(), quantities)
    assert prior.allowed(batch.programs).all()


@pytest.mark.parametrize("n_constants", [1, 3])
def test_every_row_comes_to_its_end_where_constants_are_few(n_constants):
    library = WITH_CONSTANTS
    priors = [
        LengthConstraint(library, min_=1, max_=20),
        RepeatConstraint(library, "const", max_=n_constants),
        ConstConstraint(library),
        UnitsConstraint(library, MECHANICS),
    ]
    batch = RNNPolicy(library, JointPrior(library, priors, max_length=20), seed=1).sample(
        500, Stream(0, "units")
    )
    assert (batch.programs.lengths > 0).sum() == 500


MECHANICS = Quantities.of(["m", "s", "kg"], "kg m/s^2", ["x1", "x2", "x3"])


def test_every_offspring_is_consistent():
    library = WITH_CONSTANTS
    prior = JointPrior(library, [UnitsConstraint(library, MECHANICS)], max_length=16)
    parents = RNNPolicy(library, prior, seed=1).sample(60, Stream(0, "units")).programs
    groups = np.zeros(500, np.int32)
    offspring = Breeder(prior).breed(population_of(parents), groups, Stream(1, "units"))
    assert (offspring.operations != COPIED).mean() > 0.5
    for b in range(500):
        assert is_consistent(library, offspring.programs.row(b).tolist(), MECHANICS)


SPELLED_OUT = Library(create_tokens(3, ["add", "neg", "mul", "inv", "exp", "cos"]))
"""Squares, differences, quotients and numbers are made of several tokens."""


@pytest.mark.parametrize("library", [PLAIN, WITH_NUMBERS, SPELLED_OUT])
def test_every_entry_of_the_search_by_values_has_a_dimension(library):
    prior = JointPrior(library, [UnitsConstraint(library, MECHANICS)], max_length=16)
    X = np.random.default_rng(0).uniform(0.5, 2.0, (3, 4))
    values = ValueLibrary(library, prior, X, np.arange(4), max_entries=1000)
    programs = values.programs(np.arange(len(values)))
    of_any = replace(MECHANICS, target=None)
    has_dimension = [
        is_consistent(library, programs.row(i).tolist(), of_any) for i in range(len(values))
    ]
    assert len(values) == 1000
    assert all(has_dimension)
    assert not prior.allowed(programs).all()  # what is wanted of y is not wanted of parts


def test_the_search_by_values_finds_what_is_consistent_alone():
    random = np.random.default_rng(0)
    X = random.uniform(0.5, 2.0, (30, 3))
    y = X[:, 2] * X[:, 0] / X[:, 1] ** 2
    prior = JointPrior(PLAIN, [UnitsConstraint(PLAIN, MECHANICS)], max_length=16)
    found = SemanticSearch(prior, FitData.of_rows(PLAIN, X, y)).run()
    assert found.is_exact[0]
    for b in range(len(found.programs)):
        assert is_consistent(PLAIN, found.programs.row(b).tolist(), MECHANICS)


def test_the_search_by_values_asks_for_less_where_it_knows_the_unit_of_y_and_loses_nothing():
    library = PLAIN
    X = np.random.default_rng(0).uniform(0.5, 2.0, (30, 3))
    both = [replace(MECHANICS, target=None), MECHANICS]
    priors = [JointPrior(library, [UnitsConstraint(library, q)], max_length=20) for q in both]
    small = JointPrior(library, [UnitsConstraint(library, MECHANICS)], max_length=13)
    drawn = RNNPolicy(library, small, seed=1).sample(200, Stream(0, "units")).programs
    values, cause, _ = execute(library, drawn, np.ascontiguousarray(X.T))
    values[cause != VALID] = 0
    rows = np.flatnonzero(np.ptp(values, axis=1) > 0.1)[:12]
    limits = SemanticLimits(max_entries=300, max_lookups=200_000)
    n_lookups = []
    for y in values[rows]:
        data = FitData.of_rows(library, X, y)
        free, wanted = (
            SemanticSearch(prior, data, limits=limits, strategies=[JoinSearch]).run()
            for prior in priors
        )
        assert wanted.is_exact.any() or not priors[1].allowed(free.programs[free.is_exact]).any()
        assert priors[1].allowed(wanted.programs).all()
        if free.is_exact.any() and wanted.is_exact.any():
            n_lookups.append((free.n_lookups, wanted.n_lookups))
    asked = np.sum(n_lookups, axis=0)
    assert asked[1] < asked[0] / 2


def consistent_programs(
    library: Library, quantities: Quantities, max_length: int
) -> list[list[int]]:
    """List all consistent programs by size, each made of smaller ones that have a dimension."""
    any_target = replace(quantities, target=None)
    of_size: list[list[list[int]]] = [[]]
    for size in range(1, max_length + 1):
        tried = [[t] for t in range(library.L) if size == 1 and library.arities[t] == 0]
        for t in range(library.L):
            if library.arities[t] == 1:
                tried += [[t, *a] for a in of_size[size - 1]]
            elif library.arities[t] == 2:
                for left in range(1, size - 1):
                    tried += [[t, *a, *b] for a in of_size[left] for b in of_size[size - 1 - left]]
        of_size.append([row for row in tried if is_consistent(library, row, any_target)])
    return [row for rows in of_size for row in rows if is_consistent(library, row, quantities)]


@pytest.mark.parametrize("n_constants", [None, 1])
@pytest.mark.parametrize("y", ["m", "m/s", "m^4", "s^-1", "", None])
@pytest.mark.parametrize(
    "functions",
    [
        ["add", "mul", "sqrt"],
        ["div", "exp", "n2"],
        ["mul", "pow", 2.0, 0.5],
        ["sub", "div", "sign"],
        ["mul", "greater", "cond"],
        [*list(reference_units.FORMULAS)[:2], "inv"],
    ],
)
def test_no_token_is_masked_that_can_still_lead_to_a_consistent_program(functions, y, n_constants):
    constants = [] if n_constants is None else ["const"]
    library = Library(create_tokens(2, [*functions, *constants]))
    quantities = Quantities.of(["m", "s"], y, ["x1", "x2"])
    priors = [LengthConstraint(library, min_=1, max_=6)]
    if n_constants is not None:
        priors.append(RepeatConstraint(library, "const", max_=n_constants))
    rows = ProgramBatch.from_rows(consistent_programs(library, quantities, 6))
    prior = JointPrior(library, priors, max_length=6)
    rows, rules = rows[prior.allowed(rows)], prior.rules
    rules.merge(rules_of(library, quantities, 6))
    positions = rules.violations(rows.native)
    refused = np.flatnonzero(positions >= 0)
    assert not len(refused), (rows.row(refused[0]), positions[refused[0]])


@pytest.mark.parametrize(
    ("functions", "prefix", "max_length"),
    [
        (["mul", "exp"], "mul,exp", 7),  # the other argument is m^4: seven tokens more
        (["add", "exp", "mul"], "mul,add,exp", 7),
        (["mul", "pow", 2.0], "pow,x1", 6),  # no exponent makes m^4 of it
    ],
)
def test_tokens_are_masked_that_leave_too_little_room(functions, prefix, max_length):
    library = Library(create_tokens(2, functions))
    quantities = Quantities.of(["m", ""], "m^4", ["x1", "x2"])
    rules = rules_of(library, quantities, max_length)
    rules.limit_length(1, max_length)
    tokens = library.actionize(prefix)
    position = rules.violations(ProgramBatch.from_rows([tokens]).native)[0]
    assert position == len(tokens) - 1
    begun = tokens[: position + 1].tolist()
    rows = consistent_programs(library, quantities, max_length)
    assert not any(row[: position + 1] == begun for row in rows)


@pytest.mark.parametrize(
    ("functions", "inputs", "y", "message"),
    [
        (["add", "mul"], ["m", "s"], "kg", r"no product of powers of x1 \[m\], x2 \[s\] has"),
        (["add", "sub"], ["m", "s"], "m/s", r"add, sub make no y \[m/s\] of x1 \[m\], x2 \[s\]"),
        (["mul"], ["m", "s"], "m^9", "in 12 tokens"),
    ],
)
def test_it_says_why_where_no_program_is_consistent(functions, inputs, y, message):
    library = Library(create_tokens(2, functions))
    quantities = Quantities.of(inputs, y, ["x1", "x2"])
    with pytest.raises(UserError, match=message) as error:
        JointPrior(library, [UnitsConstraint(library, quantities)], max_length=12)
    assert str(error.value).startswith("units: no expression is consistent: ")


def test_constants_of_any_unit_make_every_task_possible():
    library = Library(create_tokens(1, ["add", "const"]))
    quantities = Quantities.of(["m"], "kg", ["x1"])
    prior = JointPrior(library, [UnitsConstraint(library, quantities)], max_length=12)
    assert prior.descriptions == [
        "units: y has [kg], constants any unit; all terms and arguments agree."
    ]


def test_a_polynomial_with_pure_coefficients_needs_pure_inputs():
    library = Library(create_tokens(1, ["add", "poly"]))
    rows = ProgramBatch.from_rows([library.actionize("poly")])
    for unit, pure, is_allowed in (("m", True, False), ("", True, True), ("m", False, True)):
        quantities = Quantities.of([unit], None, ["x1"], pure_constants=pure)
        rules = UnitsConstraint(library, quantities).rules()
        assert (rules.violations(rows.native)[0] < 0) == is_allowed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mul,const,x1", ["s^-1"]),
        ("add,const,mul,const,x1", ["m s^-1", "s^-1"]),
        ("mul,const,mul,const,x1", ["", ""]),
        ("div,x1,const", ["s"]),
        ("mul,const,exp,mul,const,x2", ["m s^-1", "s^-1"]),
        ("mul,div,x1,x2,pow,mul,const,x2,const", ["s^-1", "1"]),
        ("pow,mul,const,x1,2.0", ["m^(-1/2) s^(-1/2)"]),
        ("div,x1,sqrt,const", ["s^2"]),
        ("mul,const,sin,mul,const,x3", ["m s^-1", "1"]),
        ("div,sub,x1,const,x2", ["m"]),
    ],
)
def test_units_of_constants(text, expected):
    assert constant_units(tokens_of(WITH_CONSTANTS, text), METRES_PER_SECOND) == expected


@pytest.mark.parametrize(
    ("library", "text", "expected"),
    [
        (COMPARISONS, "div,cond,greater,x1,const,x1,x2", ["m"]),
        (COMPARISONS, "div,cond,x2,add,x1,const,x2", ["m"]),
        (COMPARISONS, "div,cond,const,x1,x2", [""]),
        (FORMULAS, "special,const,inv,inv,const", ["m^(1/2) s^(-1/2)", "m s^-1"]),
        (FORMULAS, "damped,const,const", ["m s^-1", "1"]),
        (FORMULAS, "muladd,x1,const,const", ["s^-1", "m s^-1"]),
    ],
)
def test_units_of_constants_below_other_operators(library, text, expected):
    assert constant_units(tokens_of(library, text), METRES_PER_SECOND) == expected


METRES_PER_SECOND = Quantities.of(["m", "s", "rad"], "m/s", ["x1", "x2", "x3"])


def tokens_of(library: Library, text: str) -> list[Token]:
    return [library[t] for t in library.actionize(text).tolist()]


def test_what_a_prior_says_of_formulas_without_a_rule():
    formulas = ["beat(x, y, z) = sin(x/y)*z", *reference_units.FORMULAS]
    library = Library(create_tokens(2, ["mul", *formulas]))
    quantities = Quantities.of(["m", ""], "m", ["x1", "x2"])
    prior = UnitsConstraint(library, quantities)
    assert prior.describe().endswith("; all terms and arguments agree. beat: pure numbers alone.")
    rows = ProgramBatch.from_rows(
        [library.actionize(f"mul,x1,beat,{a},x2,x2") for a in ("x1", "x2")]
    )
    assert (prior.rules().violations(rows.native) == [3, -1]).all()


def test_units_of_constants_in_units_of_the_columns():
    quantities = Quantities.of(["hour"], "km", ["x1"])
    tokens = [WITH_CONSTANTS[t] for t in WITH_CONSTANTS.actionize("mul,const,x1").tolist()]
    assert constant_units(tokens, quantities) == ["0.277778 m s^-1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mul,x1,x2", ["x1", "x2", "y"]),  # m*s where m/s is wanted
        ("add,div,x1,x2,x1", ["x1"]),
        ("add,div,x1,x2,sin,x2", []),
        ("mul,x1,exp,x2", []),
        ("mul,div,x1,x2,exp,x2", ["x2"]),
    ],
)
def test_a_unit_that_would_make_up_for_all_is_named(text, expected):
    quantities = Quantities.of(["m", "s", "rad"], "m/s", ["x1", "x2", "x3"])
    program = ProgramBatch.from_rows([PLAIN.actionize(text)])
    assert other_units(PLAIN, quantities, program) == expected
