"""The named benchmarks of the literature.

``benchmarks.json`` holds ours, one line each::

    "<name>": {"formula": ..., "inputs": D, "train": S, "test": S or null, "functions": <set>}

A sampling S is ``{"draw": n, "from": R}`` (n uniform random points), ``{"points": n, "from": R}``
(n equally spaced values, ends included) or ``{"grid": G}`` (steps). R is ``[low, high]``, G is
``[start, stop, step]``, for all inputs or a list with one per input. Without a test sampling the
training one is used again: a fresh draw, or the same grid. ``y_limit`` null lifts the limit on
drawn targets.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dso.errors import unknown
from dso.library.expression import Expression, parse
from dso.task.regression.sampling import Axis, Draw, Grid, Sampling

TABLE = Path(__file__).with_name("benchmarks.json")
Y_LIMIT = 100.0


@dataclass(frozen=True)
class Benchmark:
    """A formula to be found, and where its data lie.

    Attributes
    ----------
    name : str
        The random stream of the data is derived from it.
    formula : Expression
    n_inputs : int
    train, test : Draw or Grid
    function_set : tuple of str or float
    y_limit : float
        Random points whose target is not within (-y_limit, y_limit) are drawn again, unless the
        user asks for another limit.
    """

    name: str
    formula: Expression
    n_inputs: int
    train: Sampling
    test: Sampling
    function_set: tuple[str | float, ...]
    y_limit: float = Y_LIMIT


def benchmark_names() -> list[str]:
    """Return the names of our table, in its order."""
    return list(_table()["benchmarks"])


def benchmark_formulas() -> dict[str, str]:
    """Return the formula of each benchmark as text."""
    return {name: row["formula"] for name, row in _table()["benchmarks"].items()}


def function_sets() -> dict[str, tuple[str | float, ...]]:
    """Return the named function sets."""
    return {name: tuple(tokens) for name, tokens in _table()["function_sets"].items()}


def find_benchmark(name: str) -> Benchmark:
    """Look up one of our benchmarks.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    rows = _table()["benchmarks"]
    if name not in rows:
        raise unknown("benchmark", name, rows, "task.dataset")
    row = rows[name]
    n_inputs = row["inputs"]
    train = _sampling(row["train"], n_inputs)
    limit = row.get("y_limit", Y_LIMIT)
    return Benchmark(
        name=name,
        formula=parse(row["formula"], f"benchmark {name}"),
        n_inputs=n_inputs,
        train=train,
        test=_sampling(row["test"], n_inputs) if row["test"] else train,
        function_set=function_sets()[row["functions"]],
        y_limit=math.inf if limit is None else limit,
    )


def _table() -> dict:
    return json.loads(TABLE.read_text(encoding="utf-8"))


def _sampling(spec: Mapping, n_inputs: int) -> Sampling:
    if "grid" in spec:
        return Grid(tuple(Axis.with_step(*axis) for axis in _per_input(spec["grid"], n_inputs)))
    ranges = _per_input(spec["from"], n_inputs)
    if "points" in spec:
        return Grid(tuple(Axis(low, high, spec["points"]) for low, high in ranges))
    return Draw(spec["draw"], tuple((low, high) for low, high in ranges))


def _per_input(ranges: list, n_inputs: int) -> list:
    """Return one range per input: a single one counts for all of them."""
    return ranges if isinstance(ranges[0], list) else [ranges] * n_inputs
