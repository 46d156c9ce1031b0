"""Valid and invalid sequences of every prior, on libraries like those it was made for."""

import numpy as np
import pytest

from dso.errors import UserError
from dso.library import Library, MultiDiscreteAction, StateChecker, Stop, Token, create_tokens
from dso.native import _core
from dso.policy import RNNPolicy
from dso.prior import PRIORS, JointPrior, make_joint_prior
from dso.program.program_batch import ProgramBatch
from dso.streams import Stream
from dso.units import Quantities
from tests.support.function_sets import KOZA

ONE_INPUT = Library(create_tokens(1, KOZA))
TWO_INPUTS = Library(create_tokens(2, KOZA))
WITH_CONST = Library(create_tokens(1, [*KOZA, "const"]))
WITH_POLY = Library(create_tokens(1, [*KOZA, "const", "poly"]))
ACTIONS = Library(
    [
        Stop([0, 0]),
        *(MultiDiscreteAction(dimension, value) for dimension in range(2) for value in range(2)),
        *(StateChecker(i, 0.0) for i in range(2)),
    ]
)
TREE = Library(create_tokens(2, KOZA, decision_tree_threshold_set=[0.2, 0.4, 0.6, 0.8]))


def joint(library: Library, section: dict, **facts) -> JointPrior:
    return make_joint_prior(section, library, max_length=64, **facts)


def on(**parameters) -> dict:
    return {"on": True, **parameters}


def is_masked(prior: JointPrior, text: str) -> bool:
    """Tell whether some token of a (possibly unfinished) traversal is masked where it stands."""
    library = prior.library
    programs = ProgramBatch.from_rows([library.actionize(text)])
    nothing = _core.Observation(-1, -1, -1, True, library.parent_adjust.tolist(), library.n_parents)
    _, _, logits, _ = _core.replay64(prior.rules, nothing, programs.native)
    chosen = logits[0, np.arange(programs.lengths[0]), programs.tokens[0]]
    return bool(np.isneginf(chosen).any())


def check(library: Library, section: dict, masked=(), unmasked=(), **facts) -> JointPrior:
    prior = joint(library, section, **facts)
    for text in masked:
        assert is_masked(prior, text), f"{text} should be masked"
    for text in unmasked:
        assert not is_masked(prior, text), f"{text} should be allowed"
    return prior


def times(n: int, text: str) -> str:
    return ",".join([text] * n)


def test_repeat():
    check(
        ONE_INPUT,
        {"repeat": on(tokens=["sin", "cos"], max_=2)},
        masked=[
            "sin,sin,sin",
            "sin,cos,sin",
            "mul,sin,x1,mul,sin,x1,sin,x1",
            "mul,sin,x1,sin,mul,cos",
        ],
        unmasked=["sin,cos,x1", "mul,sin,x1,sin,x1", "mul,sin,x1,log,x1"],
    )


def test_repeat_at_least():
    prior = check(
        ONE_INPUT,
        {"repeat": on(tokens="sin", min_=2), "length": on(max_=5)},
        masked=["x1", "sin,x1", "add,sin,x1,x1", "add,x1,add"],
        unmasked=["sin,sin,x1", "add,sin,x1,sin,x1"],
    )
    library = prior.library
    sampled = RNNPolicy(library, prior).sample(500, Stream(0, "policy")).programs
    sin = library.index("sin")
    assert ((sampled.tokens == sin).sum(axis=1) >= 2).all()


def test_no_inputs():
    library = Library(create_tokens(2, [*KOZA, "const"]))
    check(
        library,
        {"no_inputs": on()},
        masked=["sin,const", "mul,const,const", "log,exp,const"],
        unmasked=["mul,const", "mul,const,x1", "mul,x2,const"],
    )


def test_descendant():
    section = {"relational": on(targets="add,mul", effectors="exp,log", relationship="descendant")}
    for above in ("exp", "log"):
        for below in ("add", "mul"):
            check(
                ONE_INPUT,
                section,
                masked=[
                    f"{above},{below}",
                    f"{times(10, above)},{below}",
                    f"{above},{times(5, 'sin,div')},{below}",
                ],
                unmasked=[f"{below},{times(10, 'sin')},{above}"],
            )


def test_descendant_of_a_binary_token():
    check(
        ONE_INPUT,
        {"relational": on(targets="sin", effectors="div", relationship="descendant")},
        masked=["div,x1,sin", "div,add,x1,sin"],
        unmasked=["add,div,x1,x1,sin,x1"],
    )


def test_trig():
    check(
        ONE_INPUT,
        {"trig": on()},
        masked=["sin,cos,x1", "sin,mul,x1,cos,x1", f"cos,{times(10, 'exp')},sin,x1"],
        unmasked=["add,sin,x1,cos,x1", "sin,mul,x1,x1"],
    )


def test_trig_counts_inverse_functions_unless_told_otherwise():
    library = Library(create_tokens(1, ["add", "mul", "sin", "cos", "arcsin", "arccos"]))
    nested = ["arcsin,mul,x1,sin,x1", "cos,add,x1,arccos,x1", "arcsin,add,x1,arccos,x1"]
    check(library, {"trig": on()}, masked=nested)
    check(library, {"trig": on(arc=False)}, masked=["sin,cos,x1"], unmasked=nested)


def test_uchild():
    check(
        ONE_INPUT,
        {"relational": on(targets="x1", effectors="sub,div", relationship="uchild")},
        masked=["add,sub,x1,x1,sin,x1", "sub,sub,sub,x1,x1,x1"],
        unmasked=["sub,x1,sub,x1,sub,x1,sin,x1", "sub,sin,x1,x1", "sin,x1"],
    )


def test_lchild_and_rchild():
    for side, other in (("lchild", "rchild"), ("rchild", "lchild")):
        masked = {"lchild": "sub,sin,x1,x1", "rchild": "sub,x1,sin,x1"}
        check(
            ONE_INPUT,
            {"relational": on(targets="sin", effectors="sub", relationship=side)},
            masked=[masked[side]],
            unmasked=[masked[other]],
        )


def test_const():
    check(
        WITH_CONST,
        {"const": on()},
        masked=["sin,const", "mul,const,const", "sin,add,const,const"],
        unmasked=["mul,const,x1", "sub,const,sub,const,x1"],
    )


def test_sibling_is_symmetric():
    check(
        ONE_INPUT,
        {"relational": on(targets="sin,cos", effectors="x1", relationship="sibling")},
        masked=["add,x1,sin,x1", "add,sin,x1,x1"],
        unmasked=["mul,sin,x1,cos,x1"],
    )


def test_siblings_need_not_be_neighbours():
    library = Library([*create_tokens(2, KOZA), Token(np.where, "choose", 3, 1)])
    check(
        library,
        {"relational": on(targets="sin", effectors="x1", relationship="sibling")},
        masked=["choose,x1,x2,sin,x2", "choose,sin,x1,x2,x1", "choose,x1,add,x2,sin,x1,sin,x2"],
        unmasked=["choose,x2,add,x1,x1,sin,x1", "add,x1,choose,sin,x1,x2,add,sin,x1,x2"],
    )


def test_numbers_in_a_config_are_tokens_not_indices():
    library = Library(create_tokens(2, ["add", "sin", 1.0, 2.0]))
    prior = check(
        library,
        {"repeat": on(tokens=[1], max_=1), "argument_type": on(tokens="sin", allowed=["x1", 2.0])},
        masked=["add,1.0,1.0", "sin,x2", "sin,1.0"],
        unmasked=["add,2.0,2.0", "sin,2.0", "sin,x1"],
    )
    assert prior.skipped == []
    section = {"mutually_exclusive": on(tokens=[1.0, 3.0])}
    assert joint(library, section).skipped == [
        "mutually_exclusive: Uses Tokens not in the Library (3.0)."
    ]


def test_limits_of_tokens_that_are_not_there_leave_the_others(caplog):
    library = Library(create_tokens(1, ["add", "exp", "sin"]))
    limits = {"exp": {"exp": 0, "tan": 1}, "log": {"exp": 0}}
    sizes = {"cos": 1, "sin": 1}
    check(
        library,
        {"nesting": on(limits=limits), "argument_size": on(limits=sizes)},
        masked=["exp,exp", "sin,add,x1,x1"],
        unmasked=["exp,sin,x1"],
    )
    assert [record.message for record in caplog.records] == [
        "prior.nesting.limits: 'log' is not in the library; the other limits hold.",
        "prior.nesting.limits.exp: 'tan' is not in the library; the other limits hold.",
        "prior.argument_size.limits: 'cos' is not in the library; the other limits hold.",
    ]


def test_child():
    check(
        ONE_INPUT,
        {"relational": on(targets="log,exp", effectors="exp,log", relationship="child")},
        masked=["log,exp,x1", "log,log,x1"],
        unmasked=["log,sin,exp,x1"],
    )


def test_inverse():
    library = Library(create_tokens(1, [*KOZA, "neg", "inv", "sqrt", "n2"]))
    pairs = [("exp", "log"), ("log", "exp"), ("neg", "neg"), ("inv", "inv"), ("sqrt", "n2")]
    check(
        library,
        {"inverse": on()},
        masked=[f"{a},{b},x1" for a, b in [*pairs, ("n2", "sqrt")]],
        unmasked=["exp,sin,log,cos,exp,x1"],
    )


@pytest.mark.parametrize(("low", "high"), [(10, 10), (4, 30), (None, 10), (10, None)])
def test_length(low, high):
    prior = joint(
        TWO_INPUTS, {"length": on(**{"min_": low} if low else {}, **{"max_": high} if high else {})}
    )
    policy = RNNPolicy(TWO_INPUTS, prior)
    lengths = policy.sample(1000, Stream(0, "policy")).programs.lengths
    assert lengths.min() >= (low or 2)
    assert lengths.max() <= (high or 64)
    rows = {
        n: ProgramBatch.from_rows(
            [[2] * ((n - 1) // 2) + [6] * ((n - 1) % 2) + [0] * ((n + 1) // 2)]
        )
        for n in range(1, 40)
    }
    for n, programs in rows.items():
        assert programs.lengths[0] == n
        assert prior.allowed(programs)[0] == ((low or 2) <= n <= (high or 64))


def test_state_checkers():
    check(
        TREE,
        {},
        masked=[
            "x2 < 0.4,x1 < 0.2",  # an earlier input in the first branch
            "x1 < 0.4,x1 < 0.4",  # the same or a greater threshold in the first branch
            "x1 < 0.4,x1 < 0.6",
            "x1 < 0.4,x1,x1 < 0.6",  # the same input in the second branch
            "x2 < 0.4,x1,x1 < 0.6",
            "add,x1 < 0.2",  # below something that is not a condition
            "sin,x1 < 0.2",
            "x1 < 0.2,x1,x1",  # branches that do not differ
            "x1 < 0.2,x2 < 0.4,x2,x2",
        ],
        unmasked=[
            "x1 < 0.4,x1 < 0.2,x1,x2,x2",
            "x1 < 0.4,x2 < 0.6,x1,x2,x2 < 0.2,x2,x1",
            "x1 < 0.4,sin,x1,sin,x1",
            "x1 < 0.4,x1,x2 < 0.4,x1,x2",
        ],
    )


def test_domain_range():
    x = np.array([[-1.0, 1.0]])
    facts = {"input_ranges": x, "output_range": np.array([-0.6, 2.9])}
    prior = check(
        ONE_INPUT,
        {"domain_range": on()},
        masked=["sin", "cos", "exp", "log,x1", "add,x1,log,x1"],
        unmasked=["log,sin,x1", "log,add,x1,x1", "add,sin,x1,x1"],
        **facts,
    )
    assert "log" in prior.descriptions[0]


def test_domain_range_at_the_last_chance_before_the_length_limit():
    facts = {"input_ranges": np.array([[-1.0, 1.0]]), "output_range": np.array([-5.0, 5.0])}
    section = {"domain_range": on(), "length": on(max_=6)}
    check(
        ONE_INPUT,
        section,
        masked=["add,sin,sin,sin,log", "add,x1,sin,sin,log", "add,log,add,x1,x1,log"],
        unmasked=["add,sin,sin,sin,x1", "add,x1,sin,sin,cos"],
        **facts,
    )


def test_poly():
    check(
        WITH_POLY,
        {},
        masked=[
            "add,exp,poly,poly",
            "exp,sin,poly",
            "sin,exp,poly",
            "add,poly,const",
            "add,const,poly",
        ],
        unmasked=["exp,exp,poly", "add,exp,poly,x1", "add,sin,x1,poly", "add,const,add,x1,const"],
    )


def test_max_size():
    check(  # complexities: sin 3, div 2, x1 1
        ONE_INPUT,
        {"max_size": on(max_=6)},
        masked=["sin,sin", "sin,div", "div,div,x1,div", "div,sin", "exp,sin"],
        unmasked=["sin,add,x1,x1", "div,add,x1,x1,x1", "exp,x1"],
    )


def test_max_depth():
    check(
        ONE_INPUT,
        {"max_depth": on(max_=3)},
        masked=["sin,sin,sin", "add,sin,log", "add,x1,sin,log"],
        unmasked=["sin,sin,x1", "add,sin,x1,add,x1,x1"],
    )


def test_argument_size():
    library = Library(create_tokens(1, [*KOZA, "pow"]))
    check(
        library,
        {"argument_size": on(limits={"pow": [-1, 1], "cos": 5})},
        masked=["pow,sin,x1,sin", "cos,sin,sin", "cos,add,x1,sin,x1,x1", "cos,add,sin,x1,div"],
        unmasked=["pow,sin,sin,x1,x1", "cos,sin,x1", "add,cos,add,x1,add,x1,x1,sin,sin,sin,x1"],
    )


def test_nesting():
    check(
        ONE_INPUT,
        {"nesting": on(limits={"sin": {"sin": 0, "cos": 1}})},
        masked=["sin,exp,sin", "sin,cos,cos", "sin,add,x1,cos,log,cos"],
        unmasked=["sin,add,cos,x1,cos,x1", "cos,cos,cos,sin,x1", "add,sin,x1,sin,x1"],
    )


def test_argument_type():
    check(
        TWO_INPUTS,
        {"argument_type": on(tokens="sin,div")},
        masked=["sin,add", "div,x1,log", "log,div,sin"],
        unmasked=["sin,x1", "div,x1,x2", "add,log,x1,sin,x2"],
    )
    check(
        TWO_INPUTS,
        {"argument_type": on(tokens="sin", allowed="x2,add")},
        masked=["sin,x1"],
        unmasked=["sin,x2", "sin,add,x1,x1"],
    )


def test_mutually_exclusive():
    check(
        ONE_INPUT,
        {"mutually_exclusive": on(tokens="sin,cos,exp")},
        masked=["sin,cos", "add,sin,x1,exp", "exp,exp,cos"],
        unmasked=["sin,sin,x1", "add,exp,x1,log,exp,x1"],
    )


def test_all_inputs():
    prior = check(
        TWO_INPUTS,
        {"all_inputs": on(), "length": on(min_=2, max_=5)},
        masked=["sin,x1", "add,x1,x1", "add,x2,sin,x2", "add,x1,add,x1,x1", "exp,exp,exp"],
        unmasked=["add,x1,x2", "add,x1,sin,x2", "add,x1,add,x1,x2"],
    )
    sampled = RNNPolicy(TWO_INPUTS, prior).sample(500, Stream(0, "policy"))
    assert sampled.withdrawn == 0
    assert all({0, 1} <= set(sampled.programs.row(b).tolist()) for b in range(500))


@pytest.mark.parametrize(
    ("options", "masked", "unmasked"),
    [
        (
            {},
            ["x1 < 0.0,a1_1,a1_2", "x1 < 0.0,a1_1,a2_2,a1_2"],
            [
                "x1 < 0.0,a2_1,a1_1",
                "x1 < 0.0,a1_1,a2_1,STOP,x2 < 0.0,a2_1,a1_2,STOP,a1_2",
                "x1 < 0.0,a1_1,STOP",
            ],
        ),
        (
            {"dense": True},
            ["x1 < 0.0,a1_1,STOP", "x1 < 0.0,STOP", "STOP", "a1_1,STOP"],
            ["x1 < 0.0,a2_1,a1_1,STOP", "a2_1,a1_1,STOP"],
        ),
        (
            {"dense": True, "ordered": True},
            ["x1 < 0.0,a2_1", "a2_1", "x1 < 0.0,a1_1,STOP"],
            ["x1 < 0.0,a1_1,a2_1,STOP", "x1 < 0.0,a1_2"],
        ),
        ({"ordered": True}, ["x1 < 0.0,a2_1,a1_1"], ["x1 < 0.0,a2_1,STOP", "a1_1,a2_2,STOP"]),
    ],
)
def test_multi_discrete(options, masked, unmasked):
    check(ACTIONS, {"multi_discrete": on(**options)}, masked, unmasked)


def test_all_priors_together_leave_programs_that_obey_each():
    library = Library(create_tokens(2, [*KOZA, "const", "1.0"]))
    section = {
        "length": on(min_=4, max_=20),
        "relational": on(targets="x1", effectors="sub,div", relationship="uchild"),
        "repeat": [on(tokens="const", max_=2), on(tokens="sin,cos", min_=1)],
        "inverse": on(),
        "trig": on(),
        "const": on(),
        "no_inputs": on(),
        "uniform_arity": on(),
        "soft_length": on(loc=10, scale=5),
        "domain_range": on(),
        "max_size": on(max_=25),
        "max_depth": on(max_=6),
        "argument_size": on(limits={"div": [-1, 4], "exp": 5}),
        "nesting": on(limits={"exp": {"exp": 0, "log": 1}}),
        "argument_type": on(tokens="log", allowed="x1,x2,add,mul"),
        "all_inputs": on(),
        "mutually_exclusive": on(tokens="exp,log"),
    }
    facts = {"input_ranges": np.array([[-1.0, 1.0]] * 2), "output_range": np.array([-2.0, 2.0])}
    prior = joint(library, section, **facts)
    batch = RNNPolicy(library, prior).sample(1000, Stream(0, "policy"))
    assert prior.allowed(batch.programs).all()
    assert not any(violated.any() for violated in prior.violations(batch.programs).values())
    assert len(np.unique(batch.programs.keys())) > 900
    assert batch.withdrawn < 1000  # the look-aheads do not know of each other
    for counts in prior.mask_counts(batch.programs).values():
        assert counts.shape == (library.L,)


def test_soft_length_and_uniform_arity_add_the_documented_logits():
    prior = joint(TWO_INPUTS, {"soft_length": on(loc=3, scale=5), "uniform_arity": on()})
    programs = ProgramBatch.from_rows([TWO_INPUTS.actionize("add,sin,x1,exp,x2")])
    nothing = _core.Observation(
        -1, -1, -1, True, TWO_INPUTS.parent_adjust.tolist(), TWO_INPUTS.n_parents
    )
    logits = _core.replay64(prior.rules, nothing, programs.native)[2][0]
    arities = TWO_INPUTS.arities
    uniform = -np.log(np.bincount(arities)[arities])
    np.testing.assert_allclose(logits[0], uniform)
    # t = 2 < loc, two slots open: nothing; t = 4 >= loc: operators pay (4 - 3)^2 / 10
    np.testing.assert_allclose(logits[2], uniform)
    np.testing.assert_allclose(logits[4], uniform - np.where(arities > 0, 0.1, 0))
    one_open = ProgramBatch.from_rows([TWO_INPUTS.actionize("sin,exp")])
    logits = _core.replay64(prior.rules, nothing, one_open.native)[2][0]
    np.testing.assert_allclose(logits[1], uniform - np.where(arities == 0, 0.4, 0))


def test_every_registered_prior_is_built_and_described():
    section = {
        "relational": [
            on(targets="sin", effectors="cos", relationship="child"),
            on(targets="x1", effectors="div", relationship="rchild"),
        ],
        "length": on(min_=4, max_=30),
        "repeat": on(tokens="const", max_=3),
        "inverse": on(),
        "trig": on(),
        "const": on(),
        "no_inputs": on(),
        "uniform_arity": on(),
        "soft_length": on(loc=10, scale=5),
        "domain_range": on(),
        "max_size": on(max_=40),
        "max_depth": on(max_=10),
        "argument_size": on(limits={"div": 9}),
        "nesting": on(limits={"exp": {"exp": 0}}),
        "argument_type": on(tokens="log"),
        "all_inputs": on(),
        "mutually_exclusive": on(tokens="exp,log"),
        "units": on(),
        "language_model": on(),
    }
    assert set(section) == set(PRIORS) - {"multi_discrete"}  # whose tokens are others
    rows = [WITH_POLY.actionize("add,x1,sin,x1").tolist()]
    facts = {
        "input_ranges": np.array([[-1.0, 1.0]]),
        "output_range": np.array([-2.0, 2.0]),
        "corpus": lambda formulas: rows,
        "quantities": Quantities.of(["m"], "m", ["x1"]),
    }
    prior = joint(WITH_POLY, section, **facts)
    assert len(prior.descriptions) == len(section) + 2  # two relations, and poly by itself
    sampled = RNNPolicy(WITH_POLY, prior).sample(500, Stream(0, "policy")).programs
    assert prior.allowed(sampled).all()
    assert not any(violated.any() for violated in prior.violations(sampled).values())
    assert prior.max_length == 30


def test_violations_are_attributed():
    prior = joint(ONE_INPUT, {"trig": on(), "inverse": on(), "length": on(max_=4)})
    rows = ["sin,cos,x1", "log,exp,x1", "add,x1,add,x1,x1", "add,x1,x1"]
    programs = ProgramBatch.from_rows([ONE_INPUT.actionize(row) for row in rows])
    found = prior.violations(programs)
    assert {name: v.tolist() for name, v in found.items()} == {
        "TrigConstraint": [True, False, False, False],
        "InverseUnaryConstraint": [False, True, False, False],
        "LengthConstraint": [False, False, True, False],
    }


def test_masks_are_counted_for_the_prior_that_masks():
    prior = joint(ONE_INPUT, {"uniform_arity": on(), "trig": on(), "length": on(max_=4)})
    programs = RNNPolicy(ONE_INPUT, prior).sample(100, Stream(0, "policy")).programs
    counts = prior.mask_counts(programs)
    assert counts["UniformArityPrior"].sum() == 0
    trigonometric = np.isin(np.arange(ONE_INPUT.L), ONE_INPUT.trig_tokens)
    assert (counts["TrigConstraint"][trigonometric] > 0).all()
    assert (counts["TrigConstraint"][~trigonometric] == 0).all()
    assert (counts["LengthConstraint"] > 0).all()


@pytest.mark.parametrize(
    "section",
    [
        {"all_inputs": on(), "max_size": on(max_=12)},
        {"all_inputs": on(), "max_depth": on(max_=4)},
        {"length": on(min_=12, max_=20), "max_size": on(max_=14)},
        {"length": on(min_=12, max_=20), "max_depth": on(max_=4)},
        {"repeat": on(tokens="sin,cos", min_=4), "max_size": on(max_=14)},
        {"repeat": on(tokens="sin,cos", min_=4), "max_depth": on(max_=4)},
        {"argument_size": on(limits={"sin": 0, "add": [-1, 0]})},
    ],
)
def test_requirements_know_the_limits_of_size_and_depth(section):
    library = Library(create_tokens(5, KOZA))
    prior = joint(library, section)
    batch = RNNPolicy(library, prior).sample(300, Stream(0, "policy"))
    assert batch.withdrawn == 0
    assert prior.allowed(batch.programs).all()
    assert not any(violated.any() for violated in prior.violations(batch.programs).values())


def test_many_tokens_may_exclude_each_other_and_many_nestings_be_bounded():
    library = Library(create_tokens(100, [*KOZA, "tan", "sinh", "cosh", "tanh"]))
    inputs = [f"x{i}" for i in range(1, 101)]
    unary = [library.names[t] for t in library.unary_tokens]
    check(
        library,
        {
            "mutually_exclusive": on(tokens=inputs),
            "nesting": on(limits={a: {b: int(a == "log") for b in unary} for a in unary}),
        },
        masked=["add,x1,x2", "sin,add,x1,cos", "log,sin,sin", "log,sin,log", "tan,log"],
        unmasked=["add,x9,x9", "add,sin,x1,cos,x1", "log,log,x1", "log,sin,x1"],
    )


def test_a_length_preference_without_location_and_scale_is_skipped():
    skipped = joint(ONE_INPUT, {"soft_length": on(loc=None, scale=None)}).skipped
    assert "Needs loc and scale" in skipped[0]


def test_priors_that_do_nothing_are_skipped_with_the_reason():
    section = {
        "repeat": on(tokens="const", max_=3),
        "trig": {"on": False},
        "inverse": on(),
        "relational": on(targets="sin", effectors="x1", relationship="child"),
        "count_constraints": False,
    }
    library = Library(create_tokens(1, ["add", "sin"]))
    skipped = joint(library, section).skipped
    assert len(skipped) == 4
    assert "not in the Library" in skipped[0]
    assert "disabled" in skipped[1]
    assert "inverse pairs" in skipped[2]
    assert "Terminals" in skipped[3]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"lenght": on()}, "length"),
        ({"language_model": on(temperature=0)}, "positive"),
        ({"length": on()}, "min_"),
        ({"length": on(min_=9, max_=3)}, "max_ = 3"),
        ({"repeat": on(tokens="sin")}, "min_"),
        ({"soft_length": on(loc=3, scale=0)}, "positive"),
        ({"relational": on(targets="sin", effectors="cos", relationship="chidl")}, "'child'"),
        ({"argument_size": on(limits={"add": [1]})}, "add takes 2"),
        (
            {"relational": on(targets="sinn", effectors="exp", relationship="child")},
            "prior.relational: unknown token 'sinn'.* Did you mean 'sin'",
        ),
        ({"max_size": on()}, "greatest complexity"),
        ({"max_depth": on()}, "greatest depth"),
        ({"max_depth": on(max_=1)}, "no first token"),
        ({"all_inputs": on(), "max_size": on(max_=1)}, "no first token"),
        ({"length": on(min_=100)}, "min_ = 100 is greater than the longest program, 64"),
        ({"soft_length": on(loc=3, scale=float("nan"))}, "positive"),
        ({"argument_size": on(limits={"sin": -2})}, "-1 for none"),
        ({"nesting": on(limits={"sin": {"cos": -1}})}, "sin.cos: -1 is less than 0"),
        ({"nesting": on(limits={"sin": {"cos": 64}})}, "NestingConstraint: at most 64"),
        ({"repeat": [on(tokens="sin", max_=3)] * 65}, "RepeatConstraint: at most 64"),
        ({"length": on(min_=3, maximum=5)}, "maximum"),
        ({"repeat": on(tokens="add,sub,mul,div,sin,cos,exp,log", max_=0)}, "no first token"),
    ],
)
def test_bad_sections_are_errors(section, message):
    with pytest.raises(UserError, match=message):
        joint(ONE_INPUT, {"length": on(min_=2, max_=30), **section})
