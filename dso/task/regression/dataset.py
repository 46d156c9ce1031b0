"""The data of a regression task: a named benchmark, a CSV file or arrays.

Whatever cannot be learnt from is refused here, before anything runs.
"""

from __future__ import annotations

import logging
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import adler32

import numpy as np

from dso.data_files import is_table, read_table
from dso.errors import UserError, unknown
from dso.fitting.weights import weighted_variance
from dso.library.expression import evaluate
from dso.task.regression.benchmark_source import find_in_source
from dso.task.regression.benchmarks import Y_LIMIT, Benchmark, find_benchmark
from dso.task.regression.csv_data import Table, read_csv, without_index
from dso.task.regression.rows import check_weights, validation_rows

logger = logging.getLogger("dso")

MAX_NOISE = 1000.0
"""In RMS of y. With much more there is nothing left of y but rounding."""
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
    weights_train, weights_test : (N,), (M,) float64 or None
        Positive; None is one for every row.
    X_validation, y_validation, weights_validation : (V, D), (V,), (V,) float64 or None
        Rows set aside to rank what was found.
    test_is_all_rows : bool
        Whether the test rows are training and validation rows together.
    is_benchmark : bool
        Whether somebody knows the formula.
    test_is_reported_only : bool
        Whether the test rows say nothing to the search, not even that it has succeeded.
    """

    name: str
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    y_test_noiseless: np.ndarray
    input_names: tuple[str, ...]
    function_set: tuple[str | float, ...] | None = None
    weights_train: np.ndarray | None = None
    weights_test: np.ndarray | None = None
    X_validation: np.ndarray | None = None
    y_validation: np.ndarray | None = None
    weights_validation: np.ndarray | None = None
    test_is_all_rows: bool = False
    is_benchmark: bool = False
    test_is_reported_only: bool = False

    @property
    def n_input_var(self) -> int:
        """D."""
        return self.X_train.shape[1]


Source = str | Path | Mapping | tuple | list | Dataset
"""Everything that ``task.dataset`` may be."""


def load_dataset(
    source: Source,
    header: bool | None = None,
    y_limit: float | None = Y_LIMIT,
    weights: object = None,
    validation_fraction: float = 0.0,
    test: Source | None = None,
) -> Dataset:
    """Build the data set that ``task.dataset`` describes.

    Parameters
    ----------
    source : str, Path, dict, (X, y), (X, y, weights) or Dataset
        The name of a benchmark; the path of a table (see `dso.data_files`; the last column is y);
        a dict with ``name`` and any of ``benchmark_source, root, noise, seed, logdir, backup,
        y_limit``; or arrays.
    header : bool, optional
        Whether the first row of a CSV file holds names. Default: decided by the row itself.
    y_limit : float or None
        Targets of randomly drawn benchmark points lie within (-y_limit, y_limit); None lifts the
        limit. The default is a rule with exceptions: a benchmark that cannot keep it (Korns-8) is
        drawn without a limit.
    weights : str or (N,) array, optional
        Of the rows: the name of a column of the CSV file, or numbers for arrays.
    validation_fraction : float
        Share of the rows to set aside; which ones depends on the data set alone.
    test : path of a CSV file, (X, y) or (X, y, weights), optional
        Test rows, which are reported and never searched on.

    Raises
    ------
    UserError
        If the source does not exist, or nothing can be learnt from its data.
    """
    data = _loaded(source, header, y_limit, weights)
    if test is not None:
        data = _with_test(data, test, header, weights)
    if validation_fraction == 0:
        return data
    seed = source.get("seed") or 0 if isinstance(source, Mapping) else 0
    return _with_validation(data, validation_fraction, seed)


def _with_test(data: Dataset, source: Source, header: bool | None, weights: object) -> Dataset:
    """Return a data set with test rows of their own."""
    is_file = isinstance(source, str | Path)
    if is_file and not str(source).lower().endswith(".csv"):
        raise UserError(
            f"task.dataset_test: {_shown(source)}; expected the path of a .csv file, or arrays."
        )
    given = _loaded(source, header, None, weights if is_file else None)
    if given.n_input_var != data.n_input_var:
        raise UserError(
            f"task.dataset_test: it has {given.n_input_var} inputs, and task.dataset has "
            f"{data.n_input_var}."
        )
    named = [names for names in (given.input_names, data.input_names) if names[0] != "x1"]
    if len(named) == 2 and named[0] != named[1]:
        raise UserError(
            f"task.dataset_test: its inputs are {', '.join(named[0])}, and those of task.dataset "
            f"{', '.join(named[1])}."
        )
    return replace(
        data,
        X_test=given.X_train,
        y_test=given.y_train,
        y_test_noiseless=given.y_train,
        weights_test=given.weights_train,
        test_is_reported_only=True,
    )


def _loaded(source: Source, header: bool | None, y_limit: float | None, weights: object) -> Dataset:
    match source:
        case str() | Path() if is_table(source):
            return from_file(Path(source).expanduser(), header, weights)
        case (X, y):
            return from_arrays(X, y, weights=weights)
        case (X, y, third):
            if weights is not None:
                raise UserError("task.weights: the dataset (X, y, weights) has weights already.")
            return from_arrays(X, y, weights=third)
    if weights is not None:
        raise UserError(
            f"task.weights: {_shown(weights)}; only the rows of a CSV file or of arrays (X, y) can "
            "have weights."
        )
    match source:
        case Dataset():
            return source
        case str():
            return from_benchmark(find_benchmark(source), y_limit=y_limit)
        case Mapping():
            return _from_dict({"y_limit": y_limit, **source})
    raise UserError(
        f"task.dataset: {_shown(source)} is neither the name of a benchmark, the path of a .csv "
        "file, a dict with a name, nor a pair (X, y)."
    )


def from_arrays(
    X: object,
    y: object,
    name: str = "regression",
    input_names: tuple[str, ...] | None = None,
    weights: object = None,
) -> Dataset:
    """Wrap arrays; all rows serve both to fit and to judge.

    Parameters
    ----------
    X : (N, D) array or data frame
    y : (N,) or (N, 1) array
    name : str
    input_names : tuple of str, optional
        Default: the columns of a data frame, else ``x1, x2, ...``.
    weights : (N,) or (N, 1) array, optional
        Of the rows; one with the weight 0 is left out.
    """
    if input_names is None and hasattr(X, "columns"):
        input_names = tuple(map(str, X.columns))
    X_train, y_train = _numbers(X, "X"), _one_column(y, "y")
    if X_train.ndim != 2:
        raise UserError(f"X has the shape {X_train.shape}; expected (rows, inputs).")
    if len(X_train) != len(y_train):
        raise UserError(f"X has {len(X_train)} rows, but y has {len(y_train)}.")
    if not X_train.shape[1]:
        raise UserError("X has no columns.")
    if weights is None:
        return _of_rows(name, X_train, y_train, None, input_names, "y")
    if isinstance(weights, str):
        raise UserError(
            f"task.weights: {weights!r} is the name of a column, which only a CSV file has; "
            "give an array with (X, y)."
        )
    numbers = _one_column(weights, "weights")
    if len(numbers) != len(y_train):
        raise UserError(f"weights has {len(numbers)} rows, but y has {len(y_train)}.")
    check_weights(numbers, "weights", lambda row: f"row {row} (counting from 0)")
    return _of_rows(name, X_train, y_train, numbers, input_names, "y")


def from_file(path: Path, header: bool | None = None, weights: object = None) -> Dataset:
    """Read a table whose last column is y; all rows serve both to fit and to judge.

    Parameters
    ----------
    path : Path
        A CSV file, or any other that `dso.data_files` knows.
    header : bool, optional
        See `read_csv`; only CSV files leave it open.
    weights : str, optional
        Name of the column that holds the weights of the rows; y is the last of the others.
    """
    table = without_index(_read(path, header))
    names = table.names
    y_label = f"{path}: y (the last column)"
    if weights is None:
        inputs = names[:-1] if names else None
        X, y = np.ascontiguousarray(table.values[:, :-1]), table.values[:, -1].copy()
        return _of_rows(path.stem, X, y, None, inputs, y_label)
    place = _weights_column(table, weights)
    check_weights(
        table.values[:, place],
        f"{path}: column {weights!r}",
        lambda row: f"row {table.line(row)}",
    )
    others = [i for i in range(table.values.shape[1]) if i != place]
    if len(others) < 2:
        raise UserError(f"{path}: has no input besides y and the weights {weights!r}.")
    assert names is not None
    return _of_rows(
        path.stem,
        np.ascontiguousarray(table.values[:, others[:-1]]),
        table.values[:, others[-1]].copy(),
        table.values[:, place].copy(),
        tuple(names[i] for i in others[:-1]),
        f"{path}: y (column {names[others[-1]]!r})",
    )


def _read(path: Path, header: bool | None) -> Table:
    if path.suffix.lower() == ".csv":
        return read_csv(path, header)
    if header is not None:
        raise UserError(f"task.header: {header}; {path} is not a CSV file, so it must be null.")
    table = read_table(path)
    for note in table.notes:
        logger.warning("%s: %s", path, note)
    if len(table.names) < 2:
        raise UserError(f"{path}: has one column; expected one or more inputs, then y.")
    values = _numbers(table.frame.to_numpy(), str(path))
    return Table(path, values, tuple(table.names), table.first_row)


def _weights_column(table: Table, weights: object) -> int:
    if not isinstance(weights, str):
        raise UserError(
            f"task.weights: {_shown(weights)}; for a CSV file it is the name of a column."
        )
    if table.names is None:
        raise UserError(
            f"task.weights: {weights!r}, but {table.path} has no header to name its columns."
        )
    if weights not in table.names:
        raise unknown("column", weights, table.names, f"task.weights ({table.path})")
    return table.names.index(weights)


def _of_rows(
    name: str,
    X: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None,
    input_names: tuple[str, ...] | None,
    y_label: str,
) -> Dataset:
    """Make a data set of checked rows that serve both to fit and to judge."""
    if weights is not None and not weights.all():
        # As if they were not there: not even a pole in such a row counts.
        counts = weights > 0
        n_out = len(y) - int(counts.sum())
        logger.info("%s: %d of %d rows have the weight 0 and are left out.", name, n_out, len(y))
        X, y, weights = X[counts], y[counts], weights[counts]
        y_label += " where the weight is not 0"
    _check_targets(y, y_label, weights)
    names = input_names or _default_names(X.shape[1])
    return Dataset(name, X, y, X, y, y, names, weights_train=weights, weights_test=weights)


def _with_validation(data: Dataset, fraction: float, seed: int) -> Dataset:
    """Set rows of the training set aside; the test rows stay what they are."""
    aside = validation_rows(len(data.y_train), fraction, seed)
    weights = data.weights_train
    for part, rows in (("training", ~aside), ("validation", aside)):
        label = f"task.validation_fraction: y of the {part} rows"
        _check_targets(data.y_train[rows], label, None if weights is None else weights[rows])
    return replace(
        data,
        X_train=data.X_train[~aside],
        y_train=data.y_train[~aside],
        weights_train=None if weights is None else weights[~aside],
        X_validation=data.X_train[aside],
        y_validation=data.y_train[aside],
        weights_validation=None if weights is None else weights[aside],
        test_is_all_rows=data.X_test is data.X_train,
    )


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
        is_benchmark=True,
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
    if not (isinstance(noise, int | float) and 0 <= noise <= MAX_NOISE):
        raise UserError(f"task.dataset.noise: {noise!r}; expected a number from 0 to {MAX_NOISE}.")
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


def _one_column(values: object, label: str) -> np.ndarray:
    """Convert to (N,) float64."""
    column = _numbers(values, label)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        several = column.ndim == 2 and label == "y"
        hint = " DeepSymbolicRegressor takes several columns of y." if several else ""
        raise UserError(f"{label} has the shape {column.shape}; expected one column.{hint}")
    return column


def _numbers(values: object, label: str) -> np.ndarray:
    """Convert to float64; refuse values that are not finite numbers, by row and column."""
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


def _check_targets(y: np.ndarray, label: str, weights: np.ndarray | None = None) -> None:
    if len(y) < 2:
        raise UserError(f"{label} has {len(y)} row(s); at least 2 are needed.")
    if y.min() == y.max():
        raise UserError(f"{label} has the value {y[0]:g} in every row; there is nothing to fit.")
    with np.errstate(over="ignore", under="ignore"):
        variance = weighted_variance(y, weights)
    if not (0 < variance < math.inf):
        raise UserError(
            f"{label} lies between {y.min():g} and {y.max():g}; its variance is beyond double "
            "precision. Scale it."
        )


def _shown(value: object) -> str:
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else text[:57] + "..."
