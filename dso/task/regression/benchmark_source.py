"""Benchmark tables that users bring: ``{"name": ..., "benchmark_source": "my.csv"}``.

The columns are ``name, variables, expression, train_spec, test_spec, function_set``. A spec maps
``all``, ``x1``, ``x2`` ... to ``{"U": [low, high, n]}`` (uniform) or ``{"E": [start, stop, step]}``
(equally spaced, where a third number that is no smaller than the range means a number of points).
An input that is not mentioned takes the entry of x1.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from dso.errors import UserError, unknown
from dso.files import read_regular
from dso.library.expression import parse
from dso.task.regression.benchmarks import Benchmark, function_sets
from dso.task.regression.sampling import Axis, Draw, Grid, Sampling

MAX_BYTES = 2**26
MAX_INPUTS = 10_000
COLUMNS = ("name", "variables", "expression", "train_spec", "test_spec", "function_set")


def find_in_source(name: str, path: Path) -> Benchmark:
    """Look up a benchmark in a user's table.

    Parameters
    ----------
    name : str
    path : Path
        The CSV file; a ``function_sets.csv`` next to it may name further function sets.

    Raises
    ------
    UserError
        If there is no such file or name, or the row cannot be read.
    """
    rows = {row["name"]: row for row in _read_rows(path, COLUMNS)}
    if name not in rows:
        raise unknown("benchmark", name, rows, f"task.dataset.name ({path})")
    row, where = rows[name], f"benchmark {name} in {path}"
    n_inputs = _n_inputs(row["variables"], where)
    formula = parse(row["expression"], where)
    if formula.n_inputs > n_inputs:
        raise UserError(
            f"{where}: the expression uses x{formula.n_inputs}, but variables is {n_inputs}."
        )
    train = _sampling(row["train_spec"], n_inputs, f"{where}, train_spec")
    test = train
    if row["test_spec"] not in ("", "None"):
        test = _sampling(row["test_spec"], n_inputs, f"{where}, test_spec")
    functions = _function_set(row["function_set"], path, where)
    return Benchmark(name, formula, n_inputs, train, test, functions)


def _read_rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a table as text: `None` is a value here, not a missing one."""
    try:
        text = read_regular(path, MAX_BYTES).decode("latin-1")
        reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
        rows = list(reader)
    except OSError as error:
        raise UserError(f"task.dataset: cannot read {str(path)!r} ({error.strerror}).") from None
    except csv.Error as error:
        raise UserError(f"task.dataset: {str(path)!r} is not a table ({error}).") from None
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise UserError(f"task.dataset: {str(path)!r} has no column {', '.join(missing)}.")
    return rows


def _n_inputs(text: str, where: str) -> int:
    is_number = text.isdecimal() and len(text) <= len(str(MAX_INPUTS))
    if not (is_number and 1 <= int(text) <= MAX_INPUTS):
        raise UserError(
            f"{where}: variables is {text[:40]!r}; expected a whole number from 1 to {MAX_INPUTS}."
        )
    return int(text)


def _function_set(name: str, path: Path, where: str) -> tuple[str | float, ...]:
    sets = function_sets()
    sets |= dict.fromkeys(("None", "Real", ""), sets["Koza"])
    beside = path.with_name("function_sets.csv")
    if beside.is_file():
        rows = _read_rows(beside, ("name", "function_set"))
        sets |= {row["name"]: tuple(row["function_set"].split(",")) for row in rows}
    if name not in sets:
        raise unknown("function set", name, sets, where)
    return sets[name]


def _sampling(text: str, n_inputs: int, where: str) -> Sampling:
    try:
        spec = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError(f"{where}: {text!r} is not JSON.") from None
    if not isinstance(spec, dict):
        raise UserError(f'{where}: {text!r} is not of the form {{"all": {{"U": [0, 1, 20]}}}}.')
    entries = [_entry(spec, f"x{i + 1}", where) for i in range(n_inputs)]
    kinds = {kind for kind, _ in entries}
    if kinds == {"E"}:
        return Grid(tuple(_axis(numbers, n_inputs) for _, numbers in entries))
    sizes = {int(size) for _, (_, _, size) in entries}
    if kinds != {"U"} or len(sizes) > 1:
        raise UserError(f"{where}: all inputs must be of one kind, and U ones of one size: {text}.")
    return Draw(sizes.pop(), tuple((low, high) for _, (low, high, _) in entries))


def _entry(spec: Mapping, input_name: str, where: str) -> tuple[str, tuple[float, float, float]]:
    """Return the kind and the three numbers for one input."""
    entry = spec.get(input_name, spec.get("all", spec.get("x1")))
    match entry:
        case {"U": [low, high, third], **rest} if not rest:
            kind = "U"
        case {"E": [low, high, third], **rest} if not rest:
            kind = "E"
        case _:
            raise UserError(f"{where}: {input_name} has {entry!r}; expected U or E with 3 numbers.")
    numbers = (low, high, third)
    if not all(isinstance(n, int | float) and abs(n) <= sys.float_info.max for n in numbers):
        raise UserError(f"{where}: {input_name} has {numbers}; expected finite numbers.")
    if not (low < high and third > 0 and (kind == "E" or third >= 1)):
        raise UserError(f"{where}: {input_name} has {numbers}; the range or its size is empty.")
    return kind, numbers


def _axis(numbers: tuple[float, float, float], n_inputs: int) -> Axis:
    start, stop, third = numbers
    if third >= stop - start:
        return Axis(start, stop, int(third))
    axis = Axis.with_step(start, stop, third)
    # A single input has always had both ends in its data, even where the steps do not meet the end.
    return Axis(start, stop, axis.n_points) if n_inputs == 1 else axis
