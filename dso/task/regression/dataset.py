"""The data of a regression task: a named benchmark, a CSV file or arrays.

Whatever cannot be learnt from is refused here, before anything runs.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zlib import adler32

import numpy as np

from dso.errors import UserError, unknown
from dso.library.expression import evaluate
from dso.task.regression.benchmark_source import find_in_source
from dso.task.regression.benchmarks import Y_LIMIT, Benchmark, find_benchmark
from dso.task.regression.csv_data import read_csv

DICT_KEYS = ("name", "benchmark_source", "root", "noise", "seed", "logdir", "backup", "y_limit")


@dataclass(frozen=True)
class Dataset:
    """Rows to fit and rows to judge by; the same arrays where the source has only one set.

    Attributes
    ----------
    name : str
    X_train : (N, D) float64
    y_train : (N,) float64
        With the noise that the source asked for.
    X_test : (M, D) float64
    y_test : (M,) float64
    y_test_noiseless : (M,) float64
    input_names : tuple of str
        Of the D inputs, as their owner calls them; ``x1, x2, ...`` where nobody said.
    function_set : tuple of str or float, or None
        What the benchmark is meant to be solved with.
    """

    name: str
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    y_test_noiseless: np.ndarray
    input_names: tuple[str, ...]
    function_set: tuple[str | float, ...] | None = None

    @property
    def n_input_var(self) -> int:
        """D."""
        return self.X_train.shape[1]


Source = str | Path | Mapping | tuple | list | Dataset
"""Everything that ``task.dataset`` may be."""


def load_dataset(
    source: Source, header: bool | None = None, y_limit: float | None = Y_LIMIT
) -> Dataset:
    """Build the data set that ``task.dataset`` describes.

    Parameters
    ----------
    source : str, Path, dict, (X, y) or Dataset
        The name of a benchmark; the path of a CSV file (ending in ``.csv``; the last column is y);
        a dict with ``name`` and any of ``benchmark_source, root, noise, seed, logdir, backup,
        y_limit``; or arrays.
    header : bool, optional
        Whether the first row of a CSV file holds names. Default: decided by the row itself.
    y_limit : float or None
        Targets of randomly drawn benchmark points lie within (-y_limit, y_limit); None lifts the
        limit. The default is a rule with exceptions: a benchmark that cannot keep it (Korns-8) is
        drawn without a limit.

    Raises
    ------
    UserError
        If there is no such source, or its data cannot be learnt from.
    """
    match source:
        case Dataset():
            return source
        case str() | Path() if str(source).lower().endswith(".csv"):
            return from_csv(Path(source).expanduser(), header)
        case str():
            return from_benchmark(find_benchmark(source), y_limit=y_limit)
        case Mapping():
            return _from_dict({"y_limit": y_limit, **source})
        case (X, y):
            return from_arrays(X, y)
    raise UserError(
        f"task.dataset: {_shown(source)} is neither the name of a benchmark, the path of a .csv "
        "file, a dict with a name, nor a pair (X, y)."
    )


def from_arrays(
    X: object, y: object, name: str = "regression", input_names: tuple[str, ...] | None = None
) -> Dataset:
    """Wrap arrays; all rows serve both to fit and to judge.

    Parameters
    ----------
    X : (N, D) array or data frame
    y : (N,) or (N, 1) array
    name : str
    input_names : tuple of str, optional
        Default: the columns of a data frame, else ``x1, x2, ...``.
    """
    if input_names is None and hasattr(X, "columns"):
        input_names = tuple(map(str, X.columns))
    X_train, y_train = _numbers(X, "X"), _numbers(y, "y")
    if X_train.ndim != 2:
        raise UserError(f"X has the shape {X_train.shape}; expected (rows, inputs).")
    if y_train.ndim == 2 and y_train.shape[1] == 1:
        y_train = y_train[:, 0]
    if y_train.ndim != 1:
        raise UserError(f"y has the shape {y_train.shape}; expected one column.")
    if len(X_train) != len(y_train):
        raise UserError(f"X has {len(X_train)} rows, but y has {len(y_train)}.")
    if not X_train.shape[1]:
        raise UserError("X has no columns.")
    _check_targets(y_train, "y")
    names = input_names or _default_names(X_train.shape[1])
    return Dataset(name, X_train, y_train, X_train, y_train, y_train, names)


def from_csv(path: Path, header: bool | None = None) -> Dataset:
    """Read a CSV file whose last column is y; all rows serve both to fit and to judge."""
    values, names = read_csv(path, header)
    _check_targets(values[:, -1], f"{path}: y (the last column)")
    return from_arrays(values[:, :-1], values[:, -1], path.stem, names[:-1] if names else None)


def from_benchmark(
    benchmark: Benchmark, seed: int = 0, noise: float = 0.0, y_limit: float | None = Y_LIMIT
) -> Dataset:
    """Draw the data of a benchmark, as the original does, to the last digits.

    Parameters
    ----------
    benchmark : Benchmark
    seed : int
        With the name it determines every draw.
    noise : float
        Standard deviation of the noise on y, relative to the root mean square of the training y.
    y_limit : float or None
        See `load_dataset`.
    """
    random = np.random.RandomState((seed + adler32(benchmark.name.encode())) % 2**32)
    limit = benchmark.y_limit if y_limit == Y_LIMIT else math.inf if y_limit is None else y_limit

    def target(X: np.ndarray) -> np.ndarray:
        return evaluate(benchmark.formula, X)

    try:
        X_train, y_train = benchmark.train.sample(target, random, limit)
        X_test, y_test = benchmark.test.sample(target, random, limit)
    except UserError as problem:
        raise UserError(f"benchmark {benchmark.name}: {problem}.") from None
    _check_targets(y_train, f"benchmark {benchmark.name}: y")
    _check_targets(y_test, f"benchmark {benchmark.name}: y of the test set")
    y_test_noiseless = y_test
    if noise:
        scale = noise * math.sqrt(np.mean(y_train**2))
        y_train = y_train + random.normal(0, scale, len(y_train))
        y_test = y_test + random.normal(0, scale, len(y_test))
    return Dataset(
        benchmark.name,
        X_train,
        y_train,
        X_test,
        y_test,
        y_test_noiseless,
        _default_names(benchmark.n_inputs),
        benchmark.function_set,
    )


def _from_dict(source: Mapping) -> Dataset:
    for key in source:
        if key not in DICT_KEYS:
            raise unknown("key", key, DICT_KEYS, "task.dataset")
    name, table, root = (source.get(key) for key in ("name", "benchmark_source", "root"))
    if not isinstance(name, str):
        raise UserError(f"task.dataset.name: {_shown(name)}; expected the name of a benchmark.")
    seed, noise = source.get("seed") or 0, source.get("noise") or 0.0
    if not isinstance(seed, int):
        raise UserError(f"task.dataset.seed: {seed!r}; expected a whole number.")
    if not (isinstance(noise, int | float) and math.isfinite(noise) and noise >= 0):
        raise UserError(f"task.dataset.noise: {noise!r}; expected a finite number >= 0.")
    limit = source.get("y_limit")
    if limit is not None and not (isinstance(limit, int | float) and limit > 0):
        raise UserError(f"task.dataset.y_limit: {limit!r}; expected a number > 0.")
    if source.get("backup") and not source.get("logdir"):
        raise UserError("task.dataset.backup: needs task.dataset.logdir, the folder to save in.")
    # The bare file name is how the original's files spell "the table that comes with it".
    if table is None or (table == "benchmarks.csv" and not root):
        benchmark = find_benchmark(name)
    else:
        benchmark = find_in_source(name, Path(root or "", table).expanduser())
    dataset = from_benchmark(benchmark, seed, noise, limit)
    if source.get("backup"):
        try:
            _save_copy(dataset, Path(source["logdir"]), f"{name}_n{noise:.2f}_s{seed}")
        except OSError as error:
            raise UserError(f"task.dataset.logdir: no copy can be saved ({error}).") from None
    return dataset


def _save_copy(dataset: Dataset, folder: Path, stem: str) -> None:
    """Write the training and test rows as CSV files that `from_csv` reads back."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, X, y in (
        ("train", dataset.X_train, dataset.y_train),
        ("test", dataset.X_test, dataset.y_test),
    ):
        np.savetxt(
            folder / f"{stem}_{part}.csv",
            np.column_stack([X, y]),
            fmt="%.17g",
            delimiter=",",
            header=",".join((*dataset.input_names, "y")),
            comments="",
        )


def _default_names(n_inputs: int) -> tuple[str, ...]:
    return tuple(f"x{i + 1}" for i in range(n_inputs))


def _numbers(values: object, label: str) -> np.ndarray:
    """Convert to float64, refusing whatever is not a finite number by its row and column."""
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    try:
        array = np.asarray(values)
    except ValueError:
        raise UserError(f"{label}: the rows differ in length.") from None
    is_number = array.dtype.kind in "biuf"
    if not is_number:
        if array.ndim == 0:
            raise UserError(f"{label} is {_shown(values)}; expected an array of numbers.")
        for index, cell in np.ndenumerate(array):
            if not isinstance(cell, numbers.Real):
                raise _bad_cell(label, index, cell)
    result = np.array(array, dtype=np.float64, order="C")  # a copy: the owner may change theirs
    if not np.isfinite(result).all():
        index = tuple(np.argwhere(~np.isfinite(result))[0])
        raise _bad_cell(label, index, array[index])
    return result


def _bad_cell(label: str, index: tuple[int, ...], cell: object) -> UserError:
    place = ", ".join(
        f"{axis} {i}" for axis, i in zip(("row", "column", "layer"), index, strict=False)
    )
    return UserError(
        f"{label}: {place} (counting from 0) holds {_shown(cell)}; every value must be a finite "
        "number."
    )


def _check_targets(y: np.ndarray, label: str) -> None:
    if len(y) < 2:
        raise UserError(f"{label} has {len(y)} row(s); at least 2 are needed.")
    if y.min() == y.max():
        raise UserError(f"{label} has the value {y[0]:g} in every row; there is nothing to fit.")
    with np.errstate(over="ignore", under="ignore"):
        variance = np.var(y)
    if not (0 < variance < math.inf):
        raise UserError(
            f"{label} lies between {y.min():g} and {y.max():g}; its variance is beyond double "
            "precision. Scale it."
        )


def _shown(value: object) -> str:
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else text[:57] + "..."
