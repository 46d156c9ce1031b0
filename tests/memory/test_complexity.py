"""The complexity of programs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.library import Library, create_tokens
from dso.library.create import with_complexities
from dso.memory import complexity_measure
from dso.program import ProgramBatch

NAMES = ["add", "sub", "neg", "mul", "div", "pow", "exp", "log", "sin", 2.0, "const"]
LIBRARY = Library(create_tokens(2, NAMES))
SUMS = ("add", "sub", "neg")


@pytest.mark.parametrize(
    ("kind", "expected"), [("token", [5, 1, 11]), ("length", [3, 1, 2]), (None, [0, 0, 0])]
)
def test_complexity_of_a_batch(kind: str | None, expected: list[int]) -> None:
    tokens = with_complexities(create_tokens(1, ["add", "exp"]), {"add": 3, "exp": 10})
    library = Library(tokens)
    texts = ["add,x1,x1", "x1", "exp,x1"]
    programs = ProgramBatch.from_rows([library.actionize(text).tolist() for text in texts])
    assert complexity_measure(kind, library)(programs).tolist() == expected


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'exp_length', None"):
        complexity_measure("depth", LIBRARY)


def batch(*texts: str) -> ProgramBatch:
    return ProgramBatch.from_rows([LIBRARY.actionize(text).tolist() for text in texts])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("add,const,mul,const,log,x1", "mul,const,pow,x1,const"),
        (
            "add,mul,const,log,x1,add,const,mul,const,x1",
            "mul,pow,x1,const,mul,const,exp,mul,const,x1",
        ),
        ("sub,log,x1,log,x2", "div,x1,x2"),
        ("div,log,add,x1,x2,2.0", "pow,add,x1,x2,const"),
        ("mul,log,sin,x1,const", "pow,sin,x1,const"),
        ("mul,log,x1,add,const,x2", "exp,mul,log,x1,add,const,x2"),
        ("mul,add,x1,x2,log,x1", "exp,mul,add,x1,x2,log,x1"),
        ("div,const,log,x1", "exp,div,const,log,x1"),
        ("add,const,2.0", "mul,const,const"),
        ("x1", "exp,x1"),
        ("log,log,x1", "log,x1"),
    ],
)
def test_exponentials_are_counted_as_products(text: str, shown: str) -> None:
    measure = complexity_measure("exp_length", LIBRARY)
    assert measure(batch(text)).tolist() == [len(shown.split(","))]


def test_exponentials_have_the_complexities_of_tokens() -> None:
    tokens = with_complexities(create_tokens(2, NAMES), {"log": 5, "exp": 3, "pow": 2})
    library = Library(tokens)
    measure = complexity_measure("exp_token", library)
    programs = batch("add,x1,mul,const,log,x2", "add,log,x1,x2")
    whole = complexity_measure("token", library)(programs)
    assert (measure(programs) - whole).tolist() == [3 - (1 + 5 - 2), 3 - 5]


Tree = tuple[str, tuple]
LEAVES = st.sampled_from(["x1", "x2", "const", "2.0"])
TREES: st.SearchStrategy[Tree] = st.recursive(
    st.tuples(LEAVES, st.just(())),
    lambda below: st.one_of(
        st.tuples(st.sampled_from(["neg", "log", "exp", "sin"]), st.tuples(below)),
        st.tuples(st.sampled_from(["add", "sub", "mul", "div", "pow"]), st.tuples(below, below)),
    ),
    max_leaves=8,
)


def names(tree: Tree) -> list[str]:
    return [tree[0], *(name for child in tree[1] for name in names(child))]


def terms(tree: Tree) -> list[Tree]:
    return [t for child in tree[1] for t in terms(child)] if tree[0] in SUMS else [tree]


def is_number(tree: Tree) -> bool:
    return tree[0] in ("const", "2.0")


def saved(term: Tree) -> int | None:
    """Return what a term saves as a factor, None where it stays in the exponential."""
    name, below = term
    if is_number(term):
        return 0
    if name == "log":
        return 1
    pairs = [below] if name == "div" else [below, below[::-1]] if name == "mul" else []
    return 1 if any(a[0] == "log" and is_number(b) for a, b in pairs) else None


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(TREES, min_size=1, max_size=5))
def test_terms_are_told_as_by_hand(trees: list[Tree]) -> None:
    programs = batch(*(",".join(names(tree)) for tree in trees))
    wanted = []
    for tree in trees:
        parts = [saved(term) for term in terms(tree)]
        n_saved = sum(part for part in parts if part is not None)
        wanted.append(len(names(tree)) - n_saved + (None in parts))
    measure = complexity_measure("exp_length", LIBRARY)
    np.testing.assert_array_equal(measure(programs), wanted)
