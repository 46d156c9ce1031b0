"""Constants that move steps: the slope of a program that jumps does not say where it should.

The loss is constant in such a constant but where a row of data passes the step. So the places worth
trying lie between the rows: for sign(g), with a constant t somewhere in g, each row has the t at
which its g is 0, and a step belongs halfway between two of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dso.library import Library
from dso.program import FitData, ProgramBatch, Row, wanted_values
from dso.program.execute import VALID, execute
from dso.program.traversal import child_positions

STEPS = ("sign",)
"""Operators that are constant but for a jump where their argument is 0."""
MAX_PLACES = 256


def step_constants(library: Library, row: np.ndarray) -> list[tuple[int, int]]:
    """Return the constants of a program that do nothing but move a step.

    Parameters
    ----------
    library : Library
    row : (T,) int

    Returns
    -------
    list of (int, int)
        Slot of the constant, and position of the argument of its step.
    """
    steps, children = step_tokens(library), child_positions(row, library.arities)
    parents = {child: t for t, below in enumerate(children) for child in below}
    found = []
    for slot, position in enumerate(np.flatnonzero(row == library.const_token).tolist()):
        t = position
        while t in parents:
            if row[parents[t]] in steps:
                if t != position:
                    found.append((slot, t))
                break
            t = parents[t]
    return found


def moved_steps(data: FitData, program: ProgramBatch, slot: int, argument: int) -> ProgramBatch:
    """Return a program with one constant at each place between two rows, or some of them.

    Parameters
    ----------
    data : FitData
    program : ProgramBatch
        One row with its constants.
    slot, argument : int
        As `step_constants` returns them.
    """
    library, row = data.library, program.row(0)
    inner = row[argument:]
    before = int((row[:argument] == library.const_token).sum())
    constants = program.constants[:, before:]
    position = np.flatnonzero(inner == library.const_token)[slot - before]
    tokens = inner[None].astype(np.int16)
    end = _end(library, inner)
    part = ProgramBatch(tokens[:, :end], np.array([end], dtype=np.int32), constants)
    wanted = wanted_values(
        library, part, np.array([position]), data.columns, np.zeros(data.n_rows)
    ).values[0]
    places = np.unique(wanted[np.isfinite(wanted)])
    if len(places) < 2:
        return program[:0]
    between = (places[1:] + places[:-1]) / 2
    if len(between) > MAX_PLACES:
        between = between[np.linspace(0, len(between) - 1, MAX_PLACES).astype(int)]
    moved = program[np.zeros(len(between), dtype=int)]
    numbers = moved.constants.copy()
    numbers[:, slot] = between
    return replace(moved, constants=numbers)


def plain_steps(data: FitData, program: ProgramBatch) -> list[Row]:
    """Return a program with a plain argument in one of its steps: an input less a number.

    So it is where the argument changes its sign once along an input, and nowhere else: then these
    rows are all that the data say of it.

    Parameters
    ----------
    data : FitData
    program : ProgramBatch
        One row with its constants.
    """
    library, row = data.library, program.row(0)
    if library.const_token is None or "sub" not in library.names:
        return []
    numbers = program.constants[0][~np.isnan(program.constants[0])].tolist()
    found: list[Row] = []
    for t in np.flatnonzero(np.isin(row, step_tokens(library))).tolist():
        end = t + 1 + _end(library, row[t + 1 :])
        before = int((row[: t + 1] == library.const_token).sum())
        inside = int((row[t + 1 : end] == library.const_token).sum())
        argument = ProgramBatch.from_rows([row[t + 1 : end].tolist()])
        constants = np.array([numbers[before : before + inside] or [np.nan]])
        values, cause, _ = execute(
            library, replace(argument, constants=constants), data.columns, data.protected
        )
        if cause[0] != VALID:
            continue
        for plain, place in _plain_arguments(library, data.columns, values[0] > 0):
            tokens = [*row[: t + 1].tolist(), *plain, *row[end:].tolist()]
            if len(tokens) < len(row):
                found.append((tokens, [*numbers[:before], place, *numbers[before + inside :]]))
    return found


def _plain_arguments(
    library: Library, columns: np.ndarray, is_above: np.ndarray
) -> Iterator[tuple[list[int], float]]:
    """Yield tokens, and the number among them, of differences above 0 in just these rows."""
    if is_above.all() or not is_above.any():
        return
    sub, const = library.names.index("sub"), library.const_token
    assert const is not None
    for token, item in enumerate(library.tokens):
        if item.input_var is None:
            continue
        above, below = columns[item.input_var][is_above], columns[item.input_var][~is_above]
        if below.max() < above.min():
            yield [sub, token, const], float(below.max() + above.min()) / 2
        elif above.max() < below.min():
            yield [sub, const, token], float(above.max() + below.min()) / 2


def step_tokens(library: Library) -> list[int]:
    """Return the tokens of a library that are steps."""
    operators = [token.operator for token in library.tokens]
    return [i for i, row in enumerate(operators) if row is not None and row.name in STEPS]


def _end(library: Library, row: np.ndarray) -> int:
    n_open = 1 + np.cumsum(library.arities[row] - 1)
    return int(np.flatnonzero(n_open == 0)[0]) + 1
