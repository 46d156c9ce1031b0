"""Derivatives of programs that the native machine cannot execute, on whole columns of numpy."""

from __future__ import annotations

import numpy as np

from dso.library import Library, PlaceholderConstant, Polynomial, StateChecker, Token
from dso.library.library import OPCODES
from dso.native import _core
from dso.program.execute import column_of
from dso.program.traversal import child_positions

STEP = float(np.cbrt(np.finfo(np.float64).eps))
"""Of a central difference, relative to the argument."""


def derivatives_in_constants(
    library: Library,
    row: np.ndarray,
    constants: np.ndarray,
    X: np.ndarray,
    polynomial: np.ndarray | None = None,
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
    polynomial : (N,) float64, optional
        What its `poly` is.
    """
    is_constant = _is_constant(library, row)
    _, slopes = _swept(library, row, constants, X, is_constant, polynomial)
    jacobian = np.zeros((X.shape[1], len(constants)))
    for k, t in enumerate(np.flatnonzero(is_constant).tolist()):
        jacobian[:, k] = slopes[t]
    return jacobian


def derivatives_in_nodes(
    library: Library, row: np.ndarray, constants: np.ndarray, X: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values (T, N) of a program's nodes, and the derivatives (T, N) of its own in them.

    Parameters are those of `derivatives_in_constants`.
    """
    columns, slopes = _swept(library, row, constants, X, np.ones(len(row), dtype=bool))
    return np.array(columns), np.array([slopes[t] for t in range(len(row))])


def _is_constant(library: Library, row: np.ndarray) -> np.ndarray:
    return np.array([isinstance(library.tokens[token], PlaceholderConstant) for token in row])


def _swept(
    library: Library,
    row: np.ndarray,
    constants: np.ndarray,
    X: np.ndarray,
    wanted: np.ndarray,
    polynomial: np.ndarray | None = None,
) -> tuple[list[np.ndarray], dict[int, np.ndarray]]:
    """Return the values of all nodes, and the derivatives in those wanted and in all above them."""
    children = child_positions(row, library.arities)
    is_constant = _is_constant(library, row)
    numbers = np.full(len(row), np.nan)
    numbers[is_constant] = constants[: is_constant.sum()]
    columns: list[np.ndarray] = [np.empty(0)] * len(row)
    moves = wanted.copy()  # whether a node that is wanted stands at or below a node
    for t in reversed(range(len(row))):
        arguments = [columns[child] for child in children[t]]
        token = library.tokens[row[t]]
        if polynomial is not None and isinstance(token, Polynomial):
            columns[t] = polynomial
        else:
            columns[t] = column_of(token, arguments, X, numbers[t])
        moves[t] |= any(moves[child] for child in children[t])
    slopes = {0: np.ones(X.shape[1])}
    for t in np.flatnonzero(moves).tolist():  # parents first
        token, arguments = library.tokens[row[t]], [columns[child] for child in children[t]]
        for i, child in enumerate(children[t]):
            if moves[child]:
                slopes[child] = slopes[t] * partial(token, i, arguments, columns[t], X)
    return columns, slopes


def partial(
    token: Token, i: int, arguments: list[np.ndarray], value: np.ndarray, X: np.ndarray
) -> np.ndarray:
    """Return the derivative (N,) of a node's `value` in its argument number `i`."""
    if isinstance(token, StateChecker):
        return (X[token.state_index] < token.threshold) == (i == 0)
    row = token.operator
    if row is not None and row.definition is not None:
        return np.broadcast_to(row.definition.derivative(i)(*arguments), value.shape)
    if row is not None:
        opcode = OPCODES[row.name]
        return _core.partials(opcode, arguments[0], arguments[-1], value)[i]
    step = STEP * np.maximum(1.0, np.abs(arguments[i]))
    sides = [
        column_of(token, [*arguments[:i], arguments[i] + change, *arguments[i + 1 :]], X, np.nan)
        for change in (-step, step)
    ]
    return (sides[1] - sides[0]) / (2 * step)
