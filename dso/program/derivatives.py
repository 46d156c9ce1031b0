"""Derivatives of programs that the native machine cannot execute, on whole columns of numpy."""

from __future__ import annotations

import numpy as np

from dso.library import Library, PlaceholderConstant, StateChecker, Token
from dso.library.library import OPCODES
from dso.native import _core
from dso.program.execute import column_of
from dso.program.traversal import child_positions

STEP = float(np.cbrt(np.finfo(np.float64).eps))
"""Of a central difference, relative to the argument."""


def derivatives_in_constants(
    library: Library, row: np.ndarray, constants: np.ndarray, X: np.ndarray
) -> np.ndarray:
    """Return the derivatives (N, K) of a program's values in its constants.

    They are exact but for a user's own tokens, whose derivatives in their arguments are central
    differences. Where there is none, it is not finite.

    Parameters
    ----------
    library : Library
    row : (T,) int
        A complete program.
    constants : (K,) float64
        Slots that the program does not use have derivative 0.
    X : (D, N) float64
    """
    children = child_positions(row, library.arities)
    is_constant = [isinstance(library.tokens[token], PlaceholderConstant) for token in row]
    numbers = np.full(len(row), np.nan)
    numbers[is_constant] = constants[: sum(is_constant)]
    columns: list[np.ndarray] = [np.empty(0)] * len(row)
    moves = np.array(is_constant)  # whether a constant stands at or below a node
    for t in reversed(range(len(row))):
        arguments = [columns[child] for child in children[t]]
        columns[t] = column_of(library.tokens[row[t]], arguments, X, numbers[t])
        moves[t] |= any(moves[child] for child in children[t])
    slopes = {0: np.ones(X.shape[1])}  # of the program's values in those of a node
    for t in np.flatnonzero(moves).tolist():  # parents first
        token, arguments = library.tokens[row[t]], [columns[child] for child in children[t]]
        for i, child in enumerate(children[t]):
            if moves[child]:
                slopes[child] = slopes[t] * partial(token, i, arguments, columns[t], X)
    jacobian = np.zeros((X.shape[1], len(constants)))
    for k, t in enumerate(np.flatnonzero(is_constant).tolist()):
        jacobian[:, k] = slopes[t]
    return jacobian


def partial(
    token: Token, i: int, arguments: list[np.ndarray], value: np.ndarray, X: np.ndarray
) -> np.ndarray:
    """Return the derivative (N,) of a node's `value` in its argument number `i`."""
    if isinstance(token, StateChecker):
        return (X[token.state_index] < token.threshold) == (i == 0)
    if token.operator is not None:
        opcode = OPCODES[token.operator.name]
        return _core.partials(opcode, arguments[0], arguments[-1], value)[i]
    step = STEP * np.maximum(1.0, np.abs(arguments[i]))
    sides = [
        column_of(token, [*arguments[:i], arguments[i] + change, *arguments[i + 1 :]], X, np.nan)
        for change in (-step, step)
    ]
    return (sides[1] - sides[0]) / (2 * step)
