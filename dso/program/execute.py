"""Execute programs on data: the native machine, and whole columns of numpy for users' own tokens.

In both lanes a program is invalid where any intermediate value of any row is not finite; its cause
is that of the first such node in left-to-right postorder. Protected execution looks at the result
only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from dso.errors import UserError
from dso.library import (
    FittedPolynomial,
    HardCodedConstant,
    Library,
    PlaceholderConstant,
    Polynomial,
    StateChecker,
    Token,
)
from dso.native import _core
from dso.program.program_batch import ProgramBatch

Polynomials = Sequence[FittedPolynomial | None] | None
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]  # as in Execution
VALID, DIVIDE, OVERFLOW, INVALID = range(4)
CAUSES = ("valid", "divide", "overflow", "invalid")


class Execution(NamedTuple):
    """What the programs gave.

    Attributes
    ----------
    values : (B, N) float64
        Predictions, or (B,) a mean over rows; meaningless (predictions) or NaN (means) where the
        program is invalid.
    cause : (B,) uint8
        Index into `CAUSES`.
    node : (B,) int32
        Position of the failing token in its row, -1 for valid programs.
    """

    values: np.ndarray
    cause: np.ndarray
    node: np.ndarray


def execute(
    library: Library,
    programs: ProgramBatch,
    X: np.ndarray,
    protected: bool = False,
    n_threads: int = 1,
    polynomials: Polynomials = None,
) -> Execution:
    """Return the predictions of every program.

    Parameters
    ----------
    library : Library
    programs : ProgramBatch
        A constant that is not set (no slot, or NaN) stands at 1, where fits start.
    X : (D, N) float64
        Data by column.
    protected : bool
        Check the result only.
    n_threads : int
    polynomials : sequence of (FittedPolynomial or None), optional
        What `poly` stands for in each program that has one.
    """

    data = _core.Data(X, protected=protected)

    def native(part: ProgramBatch) -> Arrays:
        return _core.execute(library.native, part.native, data, n_threads)

    return _in_lanes(library, programs, X, protected, native, lambda values: values, polynomials)


def mean_squared_error(
    library: Library,
    programs: ProgramBatch,
    X: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None = None,
    protected: bool = False,
    n_threads: int = 1,
    polynomials: Polynomials = None,
) -> Execution:
    """Return the (weighted) mean over rows of (prediction - y)^2 for every program.

    Parameters are those of `execute`, and `y`, `weights` : (N,) float64.
    """

    data = _core.Data(X, y, weights, protected)

    def native(part: ProgramBatch) -> Arrays:
        return _core.mean_squared_error(library.native, part.native, data, n_threads)

    def from_values(values: np.ndarray) -> np.ndarray:
        return np.average(np.square(values - y), axis=1, weights=weights)

    return _in_lanes(library, programs, X, protected, native, from_values, polynomials)


def mean_loss(
    library: Library,
    programs: ProgramBatch,
    data: _core.Data,
    X: np.ndarray,
    loss: _core.Loss,
    from_values: Callable[[np.ndarray], np.ndarray],
    protected: bool = False,
    n_threads: int = 1,
    polynomials: Polynomials = None,
) -> Execution:
    """Return the mean over rows of a loss for every program.

    Parameters
    ----------
    library, programs, X, protected, n_threads, polynomials
        See `execute`.
    data : _core.Data
        The same rows with their target.
    loss : _core.Loss
    from_values : callable
        The same for predictions (B, N) that were made in Python.
    """

    def native(part: ProgramBatch) -> Arrays:
        return _core.mean_loss(library.native, part.native, data, loss, n_threads)

    return _in_lanes(library, programs, X, protected, native, from_values, polynomials)


def fraction_within(
    library: Library,
    programs: ProgramBatch,
    X: np.ndarray,
    y: np.ndarray,
    relative: float,
    absolute: float,
    weights: np.ndarray | None = None,
    protected: bool = False,
    n_threads: int = 1,
    polynomials: Polynomials = None,
) -> Execution:
    """Return the share of rows with |prediction - y| < relative |y| + absolute."""

    data = _core.Data(X, y, weights, protected)

    def native(part: ProgramBatch) -> Arrays:
        return _core.fraction_within(
            library.native, part.native, data, relative, absolute, n_threads
        )

    def from_values(values: np.ndarray) -> np.ndarray:
        is_within = np.abs(values - y) < relative * np.abs(y) + absolute
        return np.average(is_within, axis=1, weights=weights)

    return _in_lanes(library, programs, X, protected, native, from_values, polynomials)


def _in_lanes(
    library: Library,
    programs: ProgramBatch,
    X: np.ndarray,
    protected: bool,
    native: Callable[[ProgramBatch], Arrays],
    from_values: Callable[[np.ndarray], np.ndarray],
    polynomials: Polynomials,
) -> Execution:
    """Send each program to the lane that can execute it, and join the answers."""
    in_python, with_poly = has_python_token(library, programs), has_poly(library, programs)
    by_row = in_python | with_poly
    if not by_row.any():
        return Execution(*native(programs))
    results = []
    for b in np.flatnonzero(by_row).tolist():
        column = _column_of(polynomials, b, X) if with_poly[b] else None
        if column is not None and not in_python[b]:
            results.append(_execute_with_column(library, programs[b : b + 1], X, protected, column))
        else:
            results.append(execute_columns(library, programs, b, X, protected, column))
    columns, causes, nodes = (np.array(part) for part in zip(*results, strict=True))
    with np.errstate(all="ignore"):
        values = from_values(columns)
    if values.ndim == 1:
        values = np.where(causes == VALID, values, np.nan)
    by_native = native(programs[~by_row])
    joined = []
    for native_part, row_part in zip(by_native, (values, causes, nodes), strict=True):
        whole = np.empty((len(programs), *native_part.shape[1:]), dtype=native_part.dtype)
        whole[~by_row] = native_part
        whole[by_row] = row_part
        joined.append(whole)
    return Execution(*joined)


def has_python_token(library: Library, programs: ProgramBatch) -> np.ndarray:
    """Tell which programs (B,) have a token that only Python can execute."""
    if not library.is_python.any():
        return np.zeros(len(programs), dtype=bool)
    is_token = np.arange(programs.tokens.shape[1]) < programs.lengths[:, None]
    return (library.is_python[programs.tokens] & is_token).any(axis=1)


def has_poly(library: Library, programs: ProgramBatch) -> np.ndarray:
    """Tell which programs (B,) have a polynomial."""
    if library.poly_token is None:
        return np.zeros(len(programs), dtype=bool)
    return (programs.tokens == library.poly_token).any(axis=1)


def _column_of(polynomials: Polynomials, b: int, X: np.ndarray) -> np.ndarray:
    polynomial = None if polynomials is None else polynomials[b]
    if polynomial is None:
        raise UserError("token 'poly' cannot be executed before its polynomial is fitted.")
    return polynomial.values(X)


def _execute_with_column(
    library: Library, program: ProgramBatch, X: np.ndarray, protected: bool, column: np.ndarray
) -> tuple[np.ndarray, int, int]:
    """Execute one program whose `poly` has the values `column` (N,)."""
    inputs = np.vstack([X[: library.native.n_inputs], column])
    data = _core.Data(inputs, protected=protected)
    values, cause, node = _core.execute(library.native_with_column, program.native, data)
    return values[0], int(cause[0]), int(node[0])


def execute_columns(
    library: Library,
    programs: ProgramBatch,
    b: int,
    X: np.ndarray,
    protected: bool,
    polynomial: np.ndarray | None = None,
) -> tuple[np.ndarray, int, int]:
    """Execute program `b` on whole columns; return its values (N,), cause and failing node.

    `polynomial` (N,) is what its `poly` is.
    """
    row = programs.row(b)
    numbers = iter(programs.constants[b])
    open_nodes: list[tuple[int, list[np.ndarray]]] = []
    failure = (VALID, -1)
    with np.errstate(all="ignore"):
        for t in range(len(row)):
            position = t
            children: list[np.ndarray] = []
            while len(children) == library.arities[row[position]]:
                token = library.tokens[row[position]]
                number = next(numbers, np.nan) if isinstance(token, PlaceholderConstant) else np.nan
                if isinstance(token, Polynomial) and polynomial is not None:
                    column = polynomial
                else:
                    column = column_of(token, children, X, number)
                is_result = position == 0
                if failure[0] == VALID and (is_result or not protected):
                    cause = cause_of(token, children, column)
                    failure = (cause, position if cause else -1)
                if is_result:
                    return column, *failure
                position, children = open_nodes.pop()
                children.append(column)
            open_nodes.append((position, children))
    raise ValueError(f"program {b} is not complete")


def column_of(token: Token, children: list[np.ndarray], X: np.ndarray, number: float) -> np.ndarray:
    """Return the values (N,) of one node.

    Parameters
    ----------
    token : Token
    children : list of (N,) float64
    X : (D, N) float64
    number : float
        What a `const` stands for; NaN is 1.
    """
    n_rows = X.shape[1]
    if token.input_var is not None:
        return X[token.input_var]
    if isinstance(token, StateChecker):
        return np.where(X[token.state_index] < token.threshold, *children)
    if isinstance(token, HardCodedConstant):
        return np.full(n_rows, token.value)
    if isinstance(token, PlaceholderConstant):
        return np.full(n_rows, 1.0 if np.isnan(number) else number)
    try:
        column = np.asarray(token(*children))
        if column.dtype.kind == "c":
            raise UserError(
                f"token {token.name!r} returned complex numbers; return NaN where it has no real "
                "value."
            )
        column = column.astype(np.float64)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"token {token.name!r} failed: {type(error).__name__}: {error}") from error
    if column.shape not in ((), (1,), (n_rows,)):
        raise UserError(
            f"token {token.name!r} returned an array of shape {column.shape}; "
            f"({n_rows},) or a single number is needed."
        )
    return np.broadcast_to(column, (n_rows,))


def cause_of(token: Token, arguments: list[np.ndarray], column: np.ndarray) -> int:
    """Return the cause of the values of `column` that are not finite; the lowest number wins."""
    bad = ~np.isfinite(column)
    if not bad.any():
        return VALID
    infinite = np.isinf(column)
    if not infinite.any():
        return INVALID
    row = token.operator
    if row is not None and row.pole is not None and (infinite & row.pole(*arguments)).any():
        return DIVIDE
    return OVERFLOW
