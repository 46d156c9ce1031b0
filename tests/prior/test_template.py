"""Templates: what is read, and what the sampler and the breeder make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dso.config import load_config
from dso.core import DeepSymbolicOptimizer
from dso.errors import UserError
from dso.library import Library, create_tokens
from dso.library.template import (
    Condition,
    Hole,
    Parameter,
    Template,
    read_template,
    step_tokens,
    with_tokens_of,
)
from dso.prior import JointPrior, TemplateConstraint, TrigConstraint
from dso.program import ProgramBatch
from dso.pysr import PySRRegressor, TemplateExpressionSpec
from dso.regressor.options import SEARCH
from dso.task.regression.dataset import from_arrays
from dso.task.regression.guesses import read_guesses

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(-2, 2, (60, 3))
Y = np.sin(X[:, 0] * X[:, 1] + X[:, 0]) + (X[:, 2] + 0.5) ** 2
GROUPS = np.column_stack([X[:, 0], np.repeat([1.0, 2.0, 4.0], 20)])
FUNCTIONS = ["add", "mul", "exp", "const"]
NAMES = ["x1", "x2", "x3"]


def read(combine: str, expressions: list[str], **parameters: int) -> Template:
    return read_template(combine, expressions, parameters, NAMES, np.column_stack([GROUPS, GROUPS]))


def library_of(template: Template) -> Library:
    functions = with_tokens_of(template, FUNCTIONS)
    return Library(create_tokens(3, functions, False, template.thresholds(3)))


def follows(tokens: list[int], template: Template, library: Library, allowed: set[str]) -> bool:
    """Tell whether a program has the form, the slow and obvious way."""
    at = 0
    for step, token in zip(template.steps, step_tokens(template, library), strict=True):
        if token >= 0:
            if at == len(tokens) or tokens[at] != token:
                return False
            at += 1
            continue
        n_open = 1
        inputs = {f"x{i + 1}" for i in step.inputs}
        while n_open:
            if at == len(tokens) or library.names[tokens[at]] not in inputs | allowed:
                return False
            n_open += int(library.arities[tokens[at]]) - 1
            at += 1
    return at == len(tokens)


def test_a_template_is_read() -> None:
    template = read("sin(f(x1, x2)) + 2*g(x3)^2", ["f", "g"])
    wanted = ("add", "sin", Hole("f", (0, 1)), "mul", 2.0, "pow", Hole("g", (2,)), 2.0)
    assert template.steps == wanted
    chain = read("p[x2] * f(x1) + q[2]", ["f"], p=3, q=2).steps
    assert chain == (
        *("add", "mul", Condition(1, 1.5), Parameter("p"), Condition(1, 3.0)),
        *(Parameter("p", index=1), Parameter("p", index=2), Hole("f", (0,))),
        Parameter("q[2]", index=1),
    )
    assert read("a = f(x1); b = g(x2)\n a^2 + b", ["f", "g"]) == Template(
        read("f(x1)^2 + g(x2)", ["f", "g"]).steps, "a = f(x1); b = g(x2)\n a^2 + b"
    )
    assert read("2f(x1)", ["f"]).steps == ("mul", 2.0, Hole("f", (0,)))


@pytest.mark.parametrize(
    ("combine", "parameters", "words"),
    [
        ("h(x1) + f(x1)", {}, "unknown function 'h'"),
        ("sni(f(x1))", {}, "unknown function 'sni' in task.template.combine. Did you mean 'sin'"),
        ("f(x1) + f(x2)", {}, "calls 'f' more than once"),
        ("x1 + x2", {}, "does not call 'f'"),
        ("f(x9)", {}, "unknown input 'x9'"),
        ("f(x1 + x2)", {}, "'x1 \\+ x2' as an argument of f; expected an input"),
        ("f()", {}, "f names no input"),
        ("f(x1) * q[1]", {"p": 2}, "unknown parameter 'q'"),
        ("f(x1) * p[3]", {"p": 2}, "p has the elements 1 to 2"),
        ("f(x1) * p[1] + p[1]", {"p": 2}, "occurs more than once"),
        ("f(x1) * p[x2]", {"p": 2}, "2 constants, and its column has 3 values"),
        ("f(x1", {}, "cannot read"),
        ("f(x1)", {"p": 2}, "does not use the parameter 'p'"),
        ("f(x1) > 0 ? x2 : 1", {}, "reads 'f' twice"),
        ("a := 3; f(x1)", {}, "'a := 3' is not 'name = formula'"),
        ("df = D(f, 1); df(x1)", {}, r"D\(f, 1\)\(x1\): derivatives"),
    ],
)
def test_what_is_not_a_template_is_refused(
    combine: str, parameters: dict[str, int], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        read(combine, ["f"], **parameters)


@pytest.mark.parametrize(
    ("combine", "expressions", "parameters"),
    [
        ("sin(f(x1, x2)) + g(x3)^2", ["f", "g"], {}),
        ("p[x2] * f(x1) + q[1]*exp(g(x3))", ["f", "g"], {"p": 3, "q": 1}),
        ("f(x1, x2, x3)", ["f"], {}),
    ],
)
def test_what_is_drawn_and_bred_has_the_form(
    combine: str, expressions: list[str], parameters: dict[str, int]
) -> None:
    config = load_config({**SEARCH, "task": {**SEARCH["task"], "function_set": FUNCTIONS}})
    config["task"]["template"] = {
        "combine": combine,
        "expressions": expressions,
        "variable_names": NAMES,
        "parameters": parameters,
    }
    config["experiment"]["logdir"] = None
    config["semantic"]["on"] = False
    config["prior"]["max_size"] = {"on": True, "max_": 40}
    config["training"].update(n_samples=5000, batch_size=100, early_stopping=False, verbose=False)
    config["gp_meld"].update(train_n=50)
    config["logging"]["hof"] = 500
    rows = np.column_stack([GROUPS, X[:, 2]])
    model = DeepSymbolicOptimizer(config, from_arrays(rows, Y))
    model.setup()
    while model.train_one_step() is None:
        pass
    template, library = model.task.template, model.library
    kept = [model.hall_of_fame.programs, model.front.programs, model.last.batch.programs]
    programs = ProgramBatch.concatenate(kept)
    assert len(programs) > 500
    for b in range(len(programs)):
        assert follows(programs.row(b).tolist(), template, library, set(FUNCTIONS) - {"sin"})
    assert (programs.lengths > len(template.steps)).any()


def test_given_tokens_do_not_concern_other_priors() -> None:
    template = read("sin(sin(f(x1))) + x2", ["f"])
    library = library_of(template)
    prior = JointPrior(
        library,
        [TrigConstraint(library), TemplateConstraint(library, template)],
        max_length=7,
    )
    row = library.actionize("add,sin,sin,exp,x1,x2").tolist()
    other = library.actionize("add,sin,sin,add,x1,x1,x2").tolist()
    long = library.actionize("add,sin,sin,add,x1,exp,x1,x2").tolist()
    wrong = library.actionize("add,sin,sin,x2,x2").tolist()
    programs = ProgramBatch.from_rows([row, other, long, wrong])
    assert prior.allowed(programs).tolist() == [True, True, False, False]
    single = ProgramBatch.from_rows([library.actionize("x1").tolist()])
    assert not prior.may_be_shown(single).any()


def test_a_guess_fills_a_template_in() -> None:
    template = read("sin(f(x1, x2)) + p[1]*g(x3) + p[2]", ["f", "g"], p=2)
    library = library_of(template)
    guess = {"f": "#1*x2 + c", "g": "exp(#1)", "p": [2.0, 3.0]}
    programs = read_guesses([guess], library, "guesses", template)
    names = "add,add,sin,add,mul,x1,x2,const,mul,const,exp,x3,const"
    assert programs.row(0).tolist() == library.actionize(names).tolist()
    np.testing.assert_array_equal(programs.constants, [[np.nan, 2.0, 3.0]])
    del guess["p"]  # which is fitted then
    programs = read_guesses([guess], library, "guesses", template)
    assert np.isnan(programs.constants).all()


@pytest.mark.parametrize(
    ("guess", "words"),
    [
        ({"f": "x1"}, "there is no formula for 'g'"),
        ({"f": "x1", "g": "x3", "h": "x1"}, "unknown expression 'h'"),
        ({"f": "#2", "g": "x3"}, r"guesses\[0\]\.f: cannot read '#2'"),
        ({"f": "x1", "g": "x3", "p": []}, r"p\[1\] has 0 numbers"),
    ],
)
def test_a_guess_that_does_not_fill_it_is_refused(guess: dict[str, Any], words: str) -> None:
    template = read("f(x1) + p[1]*g(x3)", ["f", "g"], p=1)
    with pytest.raises(UserError, match=words):
        read_guesses([guess], library_of(template), "guesses", template)
    with pytest.raises(UserError, match="a guess for a template"):
        read_guesses([guess], library_of(template), "guesses")


@pytest.mark.parametrize("name", ["all_inputs", "repeat"])
def test_priors_that_ask_for_tokens_are_refused(name: str) -> None:
    config = load_config(SEARCH)
    config["task"]["template"] = {"combine": "f(x1)", "expressions": ["f"]}
    limits = {"tokens": "x1", "min_": 1, "max_": None} if name == "repeat" else {}
    config["prior"][name] = {"on": True, **limits}
    model = DeepSymbolicOptimizer(config, from_arrays(X, Y))
    with pytest.raises(UserError, match="a template says itself"):
        model.setup()


def fitted(spec: TemplateExpressionSpec, rows: np.ndarray, y: np.ndarray, **given: Any) -> Any:
    return PySRRegressor(
        expression_spec=spec,
        binary_operators=["+", "*"],
        max_evals=20_000,
        random_state=0,
        verbosity=0,
        temp_equation_file=True,
        parallelism="serial",
        **given,
    ).fit(rows, y)


@pytest.mark.slow
def test_holes_are_found() -> None:
    spec = TemplateExpressionSpec("sin(f(x1, x2)) + g(x3)^2", ["f", "g"], NAMES)
    model = fitted(spec, X, Y)
    assert model.get_best()["loss"] < 1e-10
    assert {symbol.name for symbol in model.sympy().free_symbols} == set(NAMES)
    np.testing.assert_allclose(model.predict(X), Y, atol=1e-5)


@pytest.mark.slow
def test_groups_have_constants_of_their_own() -> None:
    factors = {1.0: 0.5, 2.0: 2.0, 4.0: 3.5}
    y = np.array([factors[k] for k in GROUPS[:, 1]]) * (X[:, 0] ** 2 + 1.3 * X[:, 0])
    spec = TemplateExpressionSpec("p[k] * f(x)", ["f"], ["x", "k"], {"p": 3})
    model = fitted(spec, GROUPS, y)
    np.testing.assert_allclose(model.predict(GROUPS), y, atol=1e-5)
    assert "Piecewise" in str(model.sympy())
    namespace: dict[str, Any] = {}
    exec(model.numpy_code(), namespace)
    np.testing.assert_allclose(namespace["predict"](GROUPS), model.predict(GROUPS))
