"""Formulas that the user considers likely, as programs.

A guess is text in Python's notation (or with ``^``). Numbers stay as they are written; free
constants, ``c``, ``c1``, ``c2``, ..., are fitted. With a template it may be a dict: a formula for
each of its expressions, in which ``#1`` is the first input of that, and numbers for its parameters.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dso.errors import UserError, unknown
from dso.library import Library, PlaceholderConstant, create_tokens
from dso.library.expression import Expression, parse
from dso.library.template import Hole, Parameter, Template, step_tokens
from dso.program import ProgramBatch, Row
from dso.program.from_sympy import SympyWriter, Unwritable
from dso.program.shown_numbers import with_plain_numbers
from dso.program.symbolic import to_short_sympy

FREE = re.compile(r"c\d*")


def read_guesses(
    guesses: Sequence[str | Mapping[str, Any]],
    library: Library,
    where: str,
    template: Template | None = None,
) -> ProgramBatch:
    """Return guesses as programs.

    Parameters
    ----------
    guesses : sequence of str or dict
    library : Library
    where : str
        Section and key, for error messages.
    template : Template, optional
        Whose expressions a dict says.

    Raises
    ------
    UserError
        For text that is not a formula, an unknown name, or an operator without a token.
    """
    rows = [
        _filled_in(guess, library, f"{where}[{i}]", template)
        if isinstance(guess, Mapping)
        else _read(guess, library, f"{where}[{i}]")
        for i, guess in enumerate(guesses)
    ]
    return ProgramBatch.from_rows(*zip(*rows, strict=True))


def _filled_in(
    guess: Mapping[str, Any], library: Library, where: str, template: Template | None
) -> Row:
    """Return a template with its expressions and parameters put in."""
    if template is None:
        raise UserError(f"{where}: {dict(guess)!r}; a dict is a guess for a template.")
    numbers = {name: list(values) for name, values in guess.items() if isinstance(values, list)}
    known = [*template.holes, *template.parameters]
    for name in guess:
        if name not in known:
            raise unknown("expression", name, known, where)
    tokens: list[int] = []
    constants: list[float] = []
    for step, token in zip(template.steps, step_tokens(template, library), strict=True):
        if isinstance(step, Hole):
            if not isinstance(guess.get(step.name), str):
                raise UserError(f"{where}: there is no formula for {step.name!r}.")
            inputs = [_input_names(library)[column] for column in step.inputs]
            row = _read(_with_inputs(guess[step.name], inputs), library, f"{where}.{step.name}")
            tokens += row[0]
            constants += row[1]
            continue
        tokens.append(token)
        if isinstance(step, Parameter):
            constants.append(_number(step, numbers, where))
    return tokens, constants


def _with_inputs(text: str, inputs: Sequence[str]) -> str:
    """Return a formula with names for ``#1``, ``#2``, ...; what has none stays, and is refused."""
    return re.sub(
        r"#(\d+)",
        lambda match: inputs[int(match[1]) - 1] if 1 <= int(match[1]) <= len(inputs) else match[0],
        text,
    )


def _number(step: Parameter, numbers: Mapping[str, list[float]], where: str) -> float:
    """Return where a parameter starts: NaN, which is fitted, unless the guess says."""
    values = numbers.get(step.name.partition("[")[0])
    if values is None:
        return np.nan
    if step.index >= len(values):
        raise UserError(f"{where}: {step.name} has {len(values)} numbers; one more is needed.")
    return values[step.index]


def _read(text: str, library: Library, where: str) -> Row:
    if not isinstance(text, str):
        raise UserError(f"{where}: {text!r}; expected a formula as text.")
    text = text.replace("^", "**")
    inputs = _input_names(library)
    free = [name for name in _names_in(text) if FREE.fullmatch(name) and name not in inputs]
    if free and library.const_token is None:
        raise UserError(
            f"{where}: {text!r} has the free constant {free[0]!r}, and the function set has no "
            "'const'."
        )
    formula = parse(text, where, [*inputs, *free])
    row = _as_it_stands(formula, library) or _rewritten(formula, library, len(inputs))
    if row is None:
        raise UserError(
            f"{where}: {text!r} cannot be written in the tokens {', '.join(library.names[:30])}."
        )
    return row


def _input_names(library: Library) -> list[str]:
    return library.input_names or [library.names[token] for token in library.input_tokens]


def _names_in(text: str) -> list[str]:
    """Return the names that are not called, in order of appearance."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # which the parser says better
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = (n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called)
    return list(dict.fromkeys(names))


def _as_it_stands(formula: Expression, library: Library) -> Row | None:
    """Return the formula node by node; None where the library lacks an operator of it."""
    index = {t.operator.name: i for i, t in enumerate(library.tokens) if t.operator is not None}
    tokens: list[int] = []
    numbers: list[float] = []
    for node in formula.nodes:
        if isinstance(node, str):
            token = index.get(node)
        elif isinstance(node, int):
            is_free = node >= len(library.input_tokens)
            token = library.const_token if is_free else int(library.input_tokens[node])
            numbers += [np.nan] if is_free else []
        elif (token := library.find_literal(node)) is None:
            token = library.const_token
            numbers.append(node)
        if token is None:
            return None
        tokens.append(token)
    return tokens, numbers


def _rewritten(formula: Expression, library: Library, n_inputs: int) -> Row | None:
    """Return the formula as sympy writes it: ``x**2`` as ``x * x``, ``a - b`` as ``a + -1 * b``."""
    operators = {node: None for node in formula.nodes if isinstance(node, str)}
    wanted = Library(create_tokens(formula.n_inputs, [*operators, "const"]))
    row = _as_it_stands(formula, wanted)
    assert row is not None
    tokens, numbers = row
    traversal = [wanted.tokens[token] for token in tokens]
    places = [t for t, token in enumerate(tokens) if token == wanted.const_token]
    for place, number in zip(places, numbers, strict=True):
        traversal[place] = PlaceholderConstant(number)
    names = {f"x{i + 1}": int(token) for i, token in enumerate(library.input_tokens)}
    if library.const_token is not None:
        free = range(n_inputs, formula.n_inputs)
        names.update({f"x{i + 1}": int(library.const_token) for i in free})
    try:
        parts = SympyWriter(library, names).write(with_plain_numbers(to_short_sympy(traversal)))
    except Unwritable:
        return None
    written = [part if isinstance(part, int) else library.const_token for part in parts]
    values = [
        np.nan if isinstance(part, int) else part
        for part in parts
        if not isinstance(part, int) or part == library.const_token
    ]
    return written, values  # type: ignore[return-value]
