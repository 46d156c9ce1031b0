"""Execute programs on data: the native machine, and whole columns of numpy for users' own tokens.

In both lanes a program is invalid where any intermediate value of any row is not finite; its cause
is that of the first such node in left-to-right postorder. Protected execution looks at the result
only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dso.errors import UserError
from dso.library import HardCodedConstant, Library, PlaceholderConstant, StateChecker, Token
from dso.native import _core
from dso.program.program_batch import ProgramBatch

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
    """

    def native(part: ProgramBatch) -> tuple[np.ndarray, ...]:
        return _core.execute(library.native, *_arrays(part), X, protected, n_threads)

    return _in_lanes(library, programs, X, protected, native, lambda values: values)


def mean_squared_error(
    library: Library,
    programs: ProgramBatch,
    X: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None = None,
    protected: bool = False,
    n_threads: int = 1,
) -> Execution:
    """Return the (weighted) mean over rows of (prediction - y)^2 for every program.

    Parameters are those of `execute`, and `y`, `weights` : (N,) float64.
    """

    def native(part: ProgramBatch) -> tuple[np.ndarray, ...]:
        return _core.mean_squared_error(
            library.native, *_arrays(part), X, y, weights, protected, n_threads
        )

    def from_values(values: np.ndarray) -> np.ndarray:
        return np.average(np.square(values - y), axis=1, weights=weights)

    return _in_lanes(library, programs, X, protected, native, from_values)


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
) -> Execution:
    """Return the share of rows with |prediction - y| < relative |y| + absolute."""

    def native(part: ProgramBatch) -> tuple[np.ndarray, ...]:
        return _core.fraction_within(
            library.native, *_arrays(part), X, y, relative, absolute, weights, protected, n_threads
        )

    def from_values(values: np.ndarray) -> np.ndarray:
        is_within = np.abs(values - y) < relative * np.abs(y) + absolute
        return np.average(is_within, axis=1, weights=weights)

    return _in_lanes(library, programs, X, protected, native, from_values)


def _arrays(programs: ProgramBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return programs.tokens, programs.lengths, programs.constants


def _in_lanes(
    library: Library,
    programs: ProgramBatch,
    X: np.ndarray,
    protected: bool,
    native: Callable[[ProgramBatch], tuple[np.ndarray, ...]],
    from_values: Callable[[np.ndarray], np.ndarray],
) -> Execution:
    """Send each program to the lane that can execute it, and join the answers."""
    _refuse_poly(library, programs)
    if not library.is_python.any():
        return Execution(*native(programs))
    is_token = np.arange(programs.tokens.shape[1]) < programs.lengths[:, None]
    in_python = (library.is_python[programs.tokens] & is_token).any(axis=1)
    if not in_python.any():
        return Execution(*native(programs))
    results = [execute_columns(library, programs, int(b), X, protected)
               for b in np.flatnonzero(in_python)]  # fmt: skip
    columns, causes, nodes = (np.array(part) for part in zip(*results, strict=True))
    with np.errstate(all="ignore"):
        by_python = from_values(columns)
    if by_python.ndim == 1:
        by_python = np.where(causes == VALID, by_python, np.nan)
    by_native = native(programs[~in_python])
    joined = []
    for native_part, python_part in zip(by_native, (by_python, causes, nodes), strict=True):
        whole = np.empty((len(programs), *native_part.shape[1:]), dtype=native_part.dtype)
        whole[~in_python] = native_part
        whole[in_python] = python_part
        joined.append(whole)
    return Execution(*joined)


def _refuse_poly(library: Library, programs: ProgramBatch) -> None:
    if library.poly_token is not None and (programs.tokens == library.poly_token).any():
        raise UserError("token 'poly' cannot be executed before its polynomial is fitted.")


def execute_columns(
    library: Library, programs: ProgramBatch, b: int, X: np.ndarray, protected: bool
) -> tuple[np.ndarray, int, int]:
    """Execute program `b` on whole columns; return its values (N,), cause and failing node."""
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
        column = np.asarray(token(*children), dtype=np.float64)
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


_POLES = {"div": 1, "inv": 0, "log": 0, "logabs": 0, "pow": 0}
"""Operators with a pole where the argument of this number is zero."""


def cause_of(token: Token, arguments: list[np.ndarray], column: np.ndarray) -> int:
    """Return the cause of the values of `column` that are not finite; the lowest number wins."""
    bad = ~np.isfinite(column)
    if not bad.any():
        return VALID
    infinite = np.isinf(column)
    if not infinite.any():
        return INVALID
    row = token.operator
    name = row.name if row else ""
    if name in _POLES and (infinite & (arguments[_POLES[name]] == 0)).any():
        return DIVIDE
    if name == "harmonic" and (infinite & (arguments[0] < 0)).any():
        return DIVIDE
    return OVERFLOW
