"""Spelling: one way to write a tree with the tokens that are allowed, and no others."""

import numpy as np
import pytest

from dso.errors import UserError
from dso.library import Library, Token, create_tokens
from dso.pretraining.canonical import INPUT, up_to_affine
from dso.pretraining.spelling import Speller, UnspellableError, tree_of
from dso.pretraining.vocabulary import Vocabulary
from tests.support.pretraining import tree

KOZA = ["add", "sub", "mul", "div", "sin", "cos", "exp", "log"]


def spelled(vocabulary: Vocabulary, text: str, allowed: list[str]) -> str:
    """Return how a formula is written, numbers as themselves and free ones as C."""
    return " ".join(
        ("C" if value == float("inf") else f"{value:g}")
        if token == vocabulary.const
        else vocabulary.names[token]
        for token, value in Speller(vocabulary, allowed).spell(tree(text))
    )


@pytest.mark.parametrize(
    ("text", "allowed", "wanted"),
    [
        ("x1**3", [*KOZA, "n2", "n3"], "n3 x1"),
        ("x1**3", [*KOZA, "n2"], "mul n2 x1 x1"),
        ("x1**3", KOZA, "mul x1 mul x1 x1"),
        ("x1**6", [*KOZA, "n4", "n2"], "mul n4 x1 n2 x1"),
        ("1 + x1", KOZA, "add div x1 x1 x1"),
        ("1 + x1", [*KOZA, "1.0"], "add 1.0 x1"),
        ("1 + x1", [*KOZA, "const"], "add 1 x1"),
        ("2*sin(x1)", KOZA, "add sin x1 sin x1"),
        ("sin(x1)/2", KOZA, "div sin x1 add div x1 x1 div x1 x1"),
        ("-x1", [*KOZA, "neg"], "neg x1"),
        ("-x1", [*KOZA, "const"], "mul -1 x1"),
        ("x1 - x2 - x3", KOZA, "sub x1 add x2 x3"),
        ("x1 - x2", ["add", "neg"], "add x1 neg x2"),
        ("1/x1", [*KOZA, "inv"], "inv x1"),
        ("1/x1", [*KOZA, "1.0"], "div 1.0 x1"),
        ("x2/x1", ["mul", "inv"], "mul x2 inv x1"),
        ("x2*exp(-x1)", KOZA, "div x2 exp x1"),
        ("x2*exp(-x1)", [*KOZA, "expneg"], "mul x2 expneg x1"),
        ("exp(-x1)", KOZA, "div div x1 x1 exp x1"),
        ("x1**x2", KOZA, "exp mul x2 log x1"),
        ("x1**x2", [*KOZA, "pow"], "pow x1 x2"),
        ("x1**77", [*KOZA, "pow", "const"], "pow x1 C"),
        ("x1**1.5*sqrt(x2)", [*KOZA, "sqrt"], "mul x1 sqrt mul x1 x2"),
        ("log(abs(x1))", [*KOZA, "logabs"], "logabs x1"),
        ("log(abs(x1))", [*KOZA, "abs"], "log abs x1"),
    ],
)
def test_each_set_of_tokens_has_its_spelling(
    vocabulary: Vocabulary, text: str, allowed: list[str], wanted: str
) -> None:
    assert spelled(vocabulary, text, allowed) == wanted


@pytest.mark.parametrize(
    ("text", "allowed", "missing"),
    [
        ("sqrt(x1)", KOZA, "sqrt"),
        ("77*x1", KOZA, "const"),
        ("tanh(x1)", KOZA, "tanh"),
        ("-x1", KOZA, "neg"),
        ("0.7*x1", KOZA, "number 0.7"),
        ("x1**11", KOZA, "power 11"),
    ],
)
def test_what_is_missing_is_said(
    vocabulary: Vocabulary, text: str, allowed: list[str], missing: str
) -> None:
    with pytest.raises(UnspellableError, match=missing):
        spelled(vocabulary, text, allowed)


def test_a_spelling_is_read_as_the_same_tree(vocabulary: Vocabulary) -> None:
    speller = Speller.whole(vocabulary)
    for text in ("x1*exp(77*x2)", "sqrt(1 - x1**2/x2**2)", "sin(77*x1 + 77)*x3", "x1**77 - x2"):
        wanted = up_to_affine(tree(text))
        row = [token for token, _ in speller.spell(wanted)]
        assert tree_of(row, vocabulary) == wanted


def test_tokens_are_found_in_a_library(vocabulary: Vocabulary) -> None:
    names = ["mul", "const", 2.0, "log", "sin"]
    library = Library(create_tokens(2, names, protected=True))
    found = vocabulary.tokens_in(library)
    by_name = {name: int(found[i]) for name, i in vocabulary.index.items()}
    assert by_name["x2"] == 1
    assert by_name["x3"] == by_name["add"] == by_name["3.0"] == -1
    assert by_name["mul"] == 2
    assert by_name["const"] == 3
    assert by_name["2.0"] == 4
    assert by_name["log"] == 5  # the protected one is shown by this name


def test_a_token_of_another_arity_is_not_ours(vocabulary: Vocabulary) -> None:
    own = Token(np.hypot, name="sin", arity=2, complexity=1)
    library = Library([*create_tokens(1, ["add"]), own])
    is_known = vocabulary.tokens_in(library) >= 0
    assert np.array(vocabulary.names)[is_known].tolist() == ["x1", "add"]


def test_a_vocabulary_refuses_what_has_no_canonical_form() -> None:
    with pytest.raises(UserError, match="harmonic"):
        Vocabulary(2, ["add", "harmonic"])
    with pytest.raises(UserError, match="at least one input"):
        Vocabulary(0)


def test_inputs_are_tokens_of_the_vocabulary(vocabulary: Vocabulary) -> None:
    assert Speller(vocabulary, []).spell((INPUT, 2)) == [(2, 0.0)]
