"""Corpus: known formulas in the tokens of a library, for the prior `language_model`.

Each is brought to its canonical form first, so that it is written as the library would write it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from dso.errors import UserError
from dso.library import Library
from dso.library.expression import Expression, parse
from dso.pretraining.canonical import Node, UndefinedError, up_to_affine
from dso.pretraining.evaluated import evaluated_formulas, keys_of, tree_of_formula
from dso.pretraining.identity import Identifier
from dso.pretraining.spelling import Speller, UnspellableError
from dso.pretraining.vocabulary import Vocabulary

MAX_REORDERED = 3
"""Formulas of more inputs are only compared in the order that they have."""


def corpus_rows(
    library: Library, path: str | Path | None = None, without: Expression | None = None
) -> list[list[int]]:
    """Return formulas as rows of tokens; those that the library cannot write are left out.

    Parameters
    ----------
    library : Library
    path : path, optional
        A file of formulas; default: the benchmarks and equations of physics that ship with dso.
    without : Expression, optional
        A formula that must not be among them, nor one that has the same values with other numbers.
    """
    formulas = list(evaluated_formulas().values()) if path is None else read_formulas(path)
    if without is not None:
        formulas = list(_others(formulas, without))
    return [row for formula in formulas if (row := _row(formula, library))]


def read_formulas(path: str | Path) -> list[Expression]:
    """Read a file with one formula a line; empty lines and those that begin with # are skipped.

    Raises
    ------
    UserError
        If it cannot be read, or a line is not a formula.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or error
        raise UserError(f"prior.language_model.formulas: {path}: {said}.") from None
    return [
        parse(line, f"prior.language_model.formulas: {path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _row(formula: Expression, library: Library) -> list[int]:
    vocabulary = Vocabulary(max(formula.n_inputs, 1))
    theirs = vocabulary.tokens_in(library)
    inputs = library.input_tokens
    theirs[: vocabulary.n_inputs] = inputs[np.arange(vocabulary.n_inputs) % len(inputs)]
    names = [name for name, token in zip(vocabulary.names, theirs, strict=True) if token >= 0]
    speller = Speller(vocabulary, [name for name in names if name != "poly"])
    try:
        return [int(theirs[token]) for token, _ in speller.spell(tree_of_formula(formula))]
    except (UndefinedError, UnspellableError, OverflowError, KeyError):
        return []


def _others(formulas: Iterable[Expression], one: Expression) -> Iterator[Expression]:
    """Yield those that are not `one` up to factor, summand, order of inputs and numbers."""
    n_inputs, form = one.n_inputs, _form(one)
    if not 0 < n_inputs <= MAX_REORDERED:
        yield from (formula for formula in formulas if _form(formula) != form)
        return
    identifier = Identifier(Vocabulary(n_inputs))
    keys = keys_of(identifier, [one])
    for formula in formulas:
        is_alike = formula.n_inputs == n_inputs
        if not (is_alike and np.isin(keys_of(identifier, [formula]), keys).any()):
            yield formula


def _form(formula: Expression) -> Node | None:
    try:
        return up_to_affine(tree_of_formula(formula))
    except (UndefinedError, KeyError):
        return None
