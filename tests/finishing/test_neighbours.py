"""The worth of forms to first order, against plain least squares."""

import numpy as np

from dso.finishing.grammar import Form, Grammar
from dso.finishing.neighbours import Entries, _Node, _Sums, _Tree, neighbours
from dso.library import Library, create_tokens
from dso.memory import complexity_measure
from dso.program import FitData, ProgramBatch, execute, from_str_tokens

LIBRARY = Library(create_tokens(2, ["add", "mul", "sin", "exp", "const"]))
GRAMMAR = Grammar.of(LIBRARY, complexity_measure("length", LIBRARY))
RANDOM = np.random.default_rng(1)
DATA = FitData.of_rows(
    LIBRARY, RANDOM.uniform(-1, 1, (40, 2)), RANDOM.standard_normal(40), RANDOM.uniform(0.5, 2, 40)
)
TEXTS = ["x1", "x2", "sin,x1", "exp,x2", "mul,x1,x2"]


def entries() -> Entries:
    rows = [(from_str_tokens(text, LIBRARY).tokens.tolist(), []) for text in TEXTS]
    batch = ProgramBatch.from_rows([tokens for tokens, _ in rows])
    values = execute(LIBRARY, batch, DATA.columns).values
    return Entries(rows, values, batch.lengths.astype(float))


def least(table: np.ndarray, target: np.ndarray) -> float:
    """Return the least weighted mean squared error of a combination of columns."""
    assert DATA.weights is not None
    roots = np.sqrt(DATA.weights)
    solution = np.linalg.lstsq(table * roots[:, None], target * roots, rcond=None)[0]
    errors = roots * (table @ solution - target)
    return float(errors @ errors / DATA.weights.sum())


def test_losses_are_those_of_least_squares() -> None:
    """In c1 + c2 S, where S stands for the node, everything is linear."""
    program = from_str_tokens("add,0.3,mul,1.7,sin,x2", LIBRARY).batch
    tree = _Tree(DATA, program, GRAMMAR, entries())
    node = _Node(tree, 4)
    sums = _Sums.of(node, tree.all, node.values, node.slopes)
    ones = np.ones((DATA.n_rows, 1))
    fixed = ones  # what c1 changes; c2 is a factor of the node
    n_compared = 0
    for form in GRAMMAR.forms:
        losses, _, _ = sums.best(form)
        for loss, column in zip(losses, tree.all.values, strict=False):
            if np.isinf(loss):  # it is but a combination of what constants change
                continue
            n_compared += 1
            parts = [1.7 * ones[:, 0]] if form.has_offset else []
            parts += [1.7 * column] if form.has_factor else []
            table = np.column_stack([fixed, *parts])
            shift = 1.7 * column if form.has_entry and not form.has_factor else 0.0
            np.testing.assert_allclose(loss, least(table, DATA.y - shift), rtol=1e-6)
    assert n_compared > 25


def test_forms_without_const() -> None:
    library = Library(create_tokens(2, ["add", "sin"]))
    grammar = Grammar.of(library, complexity_measure("length", library))
    assert grammar.forms == [Form((), 0.0)]


def test_the_best_comes_first_and_no_row_twice() -> None:
    program = from_str_tokens("add,x1,mul,1e-6,x2", LIBRARY).batch
    data = FitData.of_rows(LIBRARY, DATA.columns.T, np.sin(DATA.columns[0]))

    def bar(sizes: np.ndarray) -> np.ndarray:
        return np.full(len(sizes), 1e-3)

    rows = neighbours(data, program, entries(), GRAMMAR, bar, 6)
    assert len({tuple(tokens) for tokens, _ in rows}) == len(rows) == 6
    assert rows[0][0] == from_str_tokens("sin,x1", LIBRARY).tokens.tolist()
