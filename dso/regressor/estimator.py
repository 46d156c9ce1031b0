"""DeepSymbolicRegressor: search for equations, the scikit-learn way."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from dso.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from dso.program import Program
    from dso.regressor.equations import Equations
    from dso.regressor.rows import CanonicalRows
    from dso.regressor.search import Search

# Most parts are imported where they are used: they, and torch, take longer than scikit-learn.


class DeepSymbolicRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Find equations for y in terms of the columns of X.

    A policy network proposes expressions, their constants are fitted, and the network learns from
    the best. What is found is a front: for each complexity the equation with the least loss.

    Parameters
    ----------
    config : path or dict, optional
        A config of dso, with sections; without it the defaults suit runs of seconds. The arguments
        below that are given win over it.
    model_selection : {"best", "accuracy", "score"}
        Which equation predicts: the one with the least loss; the one with the greatest score, which
        is the fall of log(loss) per step of complexity; or, "best", the greatest score among those
        whose loss is at most 1.5 times the least. Can be changed after the fit.
    function_set : list, optional
        Operators, numbers, ``"const"`` (a number to be fitted), ``"module:name"``.
    operators : list, or dict from arity to list, optional
        The same as PySR gives them: ``"const"`` is added.
    binary_operators, unary_operators : list, optional
        The same in two lists.
    maxsize : int, optional
        Most tokens in an equation; 30 without `config`.
    niterations : int, optional
        Batches of expressions, each with what genetic programming makes of it.
    n_samples, max_evals : int, optional
        Expressions looked at; the budget is the least of these three, 600 000 without `config`.
    timeout_in_seconds : float, optional
        Limit of the wall time for each target. A run that it ends is not reproducible.
    early_stop_condition : float or callable, optional
        The search ends once a loss is below this number, or once it returns true for
        ``(loss, complexity)`` of an equation.
    callback : callable, optional
        Called after each iteration with its standing (iteration, n_samples, seconds, r_best, ...);
        a true answer ends the search.
    random_state : int, RandomState or None
    n_jobs : int, optional
        Threads; -1 is all. Default: all, but one in a worker process. Results do not depend on it.
    warm_start : bool
        Whether another `fit` to the same data goes on with what the search has learned.
    progress : bool
        Show how the search comes along.
    verbosity : int
        0 shows nothing, warnings included.
    output_directory : path, optional
        Where a folder for each fit is made. Without it nothing is written.
    run_id : str, optional
        Name of that folder; default: date, time and a random part.

    Attributes
    ----------
    program_ : Program
        The selected equation; a list for several targets.
    equations_ : DataFrame
        The front: complexity, loss, equation, score, sympy_format, lambda_format. A list for
        several targets.
    hall_of_fame_ : DataFrame
        The equations with the least losses, whatever their complexity.
    nout_ : int
        Number of targets.
    n_features_in_, feature_names_in_ : int, (D,) array of str
        As in scikit-learn; names only where X has them.
    display_feature_names_in_ : (D,) array of str
        The inputs as equations name them: identifiers.
    interrupted_ : bool
        Whether Ctrl-C ended the search.
    stop_reason_ : str
        What did.
    n_evaluations_ : int
        Expressions looked at.
    run_id_, output_directory_ : str or None

    Examples
    --------
    >>> import numpy as np
    >>> from dso import DeepSymbolicRegressor
    >>> X = np.random.default_rng(0).random((50, 2))
    >>> model = DeepSymbolicRegressor(random_state=0, verbosity=0)
    >>> model.fit(X, np.sin(X[:, 0]) + X[:, 1] ** 2).sympy()
    x2**2 + sin(x1)
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | dict | None = None,
        *,
        model_selection: str = "best",
        function_set: Sequence[Any] | None = None,
        operators: Sequence[Any] | Mapping[int, Sequence[Any]] | None = None,
        binary_operators: Sequence[Any] | None = None,
        unary_operators: Sequence[Any] | None = None,
        maxsize: int | None = None,
        niterations: int | None = None,
        n_samples: int | None = None,
        max_evals: int | None = None,
        timeout_in_seconds: float | None = None,
        early_stop_condition: float | Callable[[float, float], object] | None = None,
        callback: Callable[[Any], object] | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        progress: bool = True,
        verbosity: int = 1,
        output_directory: str | os.PathLike[str] | None = None,
        run_id: str | None = None,
    ) -> None:
        self.config = config
        self.model_selection = model_selection
        self.function_set = function_set
        self.operators = operators
        self.binary_operators = binary_operators
        self.unary_operators = unary_operators
        self.maxsize = maxsize
        self.niterations = niterations
        self.n_samples = n_samples
        self.max_evals = max_evals
        self.timeout_in_seconds = timeout_in_seconds
        self.early_stop_condition = early_stop_condition
        self.callback = callback
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.progress = progress
        self.verbosity = verbosity
        self.output_directory = output_directory
        self.run_id = run_id

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    # ------------------------------------------------------------------------------------- fit

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        weights: Any = None,
        variable_names: Sequence[str] | None = None,
    ) -> DeepSymbolicRegressor:
        """Search for equations; Ctrl-C, or ``q`` and Enter, end the search and keep its results.

        Parameters
        ----------
        X : (N, D) array, data frame or lists
        y : (N,) or (N, targets)
            Each target has a search of its own.
        sample_weight : (N,) array, optional
            A row with the weight 2 counts as two equal rows.
        weights : (N,) array, optional
            The same under PySR's name.
        variable_names : sequence of str, optional
            Names of the inputs; default: those of a data frame, or x1, x2, ...

        Returns
        -------
        self
        """
        X, y = validate_data(
            self, X, y, dtype=np.float64, order="C", multi_output=True, y_numeric=True
        )
        y = np.asarray(y, dtype=np.float64)
        self._check_arguments()
        sample_weight = self._checked_weights(X, y, sample_weight, weights)
        self._set_names(variable_names)
        targets = y[:, None] if y.ndim == 1 else y
        self.nout_ = targets.shape[1]
        with self._messages():
            self._fit_targets(X, targets, sample_weight)
        return self

    def _check_arguments(self) -> None:
        from dso.regressor.equations import SELECTIONS

        if self.model_selection not in SELECTIONS:
            from dso.errors import unknown

            raise unknown("model_selection", self.model_selection, SELECTIONS)
        for name in ("early_stop_condition", "timeout_in_seconds"):
            value = getattr(self, name)
            if value is None or (callable(value) and name == "early_stop_condition"):
                continue
            is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not (is_number and value > 0):
                others = " or a function of (loss, complexity)" if name[0] == "e" else ""
                raise UserError(f"{name}: {value!r}; expected a number > 0{others}.")
        if self.callback is not None and not callable(self.callback):
            raise UserError(f"callback: {self.callback!r} cannot be called.")

    @staticmethod
    def _checked_weights(
        X: np.ndarray, y: np.ndarray, sample_weight: Any, weights: Any
    ) -> np.ndarray | None:
        if weights is not None:
            if sample_weight is not None:
                raise UserError("sample_weight and weights mean the same; give one of them.")
            sample_weight = weights
        if sample_weight is None:
            return None
        return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)

    def _set_names(self, variable_names: Sequence[str] | None) -> None:
        from dso.export import identifiers

        names = getattr(self, "feature_names_in_", None)
        if variable_names is not None:
            if isinstance(variable_names, str) or len(variable_names) != self.n_features_in_:
                raise UserError(
                    f"variable_names: {variable_names!r}; expected {self.n_features_in_} names, "
                    "one for each column of X."
                )
            names = variable_names
        if names is None:
            names = [f"x{i + 1}" for i in range(self.n_features_in_)]
        self._original_names = list(map(str, names))
        self.display_feature_names_in_ = np.array(identifiers(names), dtype=object)

    @contextmanager
    def _messages(self) -> Iterator[None]:
        """Keep the messages of a quiet fit to itself."""
        logger = logging.getLogger("dso")
        level = logger.level
        if not self.verbosity:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)

    def _fit_targets(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None) -> None:
        from dso.regressor.options import search_config
        from dso.regressor.rows import CanonicalRows

        config = search_config(self)
        rows = [CanonicalRows.of(X, y, weights) for y in targets.T]
        before = self._searches_to_continue(config, rows)
        config["experiment"]["seed"] = self._seed(config, before)
        self._name_run(before)
        writer = self._writer(config)
        self._targets: list[Equations] = []
        self._searches: list[Search | None] = []
        self._stop_reasons: list[str] = []
        for k, part in enumerate(rows):
            search = before[k] if before else None
            self._fit_one(config, k, part, search, writer)
            if self.interrupted_:
                # The targets that are left get the few equations of one iteration.
                config["training"]["n_samples"] = 1
        if writer is not None:
            writer(self._targets)

    def _fit_one(
        self,
        config: dict[str, Any],
        k: int,
        rows: CanonicalRows,
        search: Search | None,
        writer: Callable[[list[Equations]], None] | None,
    ) -> None:
        from dso.regressor.search import Search, constant_equation
        from dso.training.stopping import INTERRUPT

        if k == 0:
            self.interrupted_, self.n_evaluations_ = False, 0
        names = self.display_feature_names_in_.tolist()
        if rows.is_constant:
            self._targets.append(constant_equation(rows, names, self._original_names))
            self._searches.append(None)
            self._stop_reasons.append("y is constant")
        else:
            is_continued = search is not None
            if search is None:
                search = Search(self._with_folder(config, k), rows, names, self._original_names)
            else:
                search.config["training"] = config["training"]
            done = list(self._targets)
            found = search.run(
                n_iterations=self.niterations,
                early_stop=self.early_stop_condition,
                callback=self.callback,
                write=None if writer is None else lambda found: writer([*done, found]),
                is_continued=is_continued,
            )
            self._targets.append(found)
            self._searches.append(search)
            self._stop_reasons.append(str(search.optimizer.stop_reason))
            self.n_evaluations_ += search.standing.n_samples
            self.interrupted_ |= search.optimizer.stop_reason == INTERRUPT
        self.stop_reason_ = "; ".join(dict.fromkeys(self._stop_reasons))

    def _searches_to_continue(
        self, config: dict[str, Any], rows: list[CanonicalRows]
    ) -> list[Search | None]:
        """Return the searches of the last fit where this one is to go on from them."""
        from dso.regressor.options import changed_keys

        searches = getattr(self, "_searches", None)
        if not self.warm_start or not searches or len(searches) != len(rows):
            return []
        for search, part in zip(searches, rows, strict=True):
            if search is None:
                continue
            others = changed_keys(search.config, config)
            if not search.rows.same_as(part):
                others.insert(0, "the data")
            if others:
                logging.getLogger("dso").warning(
                    "warm_start: other than in the last fit: %s; the search starts again.",
                    ", ".join(others),
                )
                return []
        return searches

    def _seed(self, config: dict[str, Any], before: list[Search | None]) -> int:
        """Return the seed of the searches; that of the config where only it says one."""
        if self.random_state is None and self.config is not None:
            seed = config["experiment"]["seed"]
            if seed is not None:
                return seed
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _name_run(self, before: list[Search | None]) -> None:
        from dso.regressor.run_files import new_run_id

        directory = self.output_directory
        self.output_directory_ = None if directory is None else str(directory)
        if not (before and getattr(self, "run_id_", None)):
            self.run_id_ = self.run_id or new_run_id()

    def _with_folder(self, config: dict[str, Any], k: int) -> dict[str, Any]:
        """Return the config of target `k`: each has a folder of its own below that of the fit."""
        name = self.run_id_ if self.nout_ == 1 else f"{self.run_id_}/output{k + 1}"
        folder = {"logdir": self.output_directory_, "exp_name": name}
        return {**config, "experiment": {**config["experiment"], **folder}}

    def _writer(self, config: dict[str, Any]) -> Callable[[list[Equations]], None] | None:
        """Return what writes the files of the fit, None where none are wanted."""
        if self.output_directory_ is None:
            return None
        from dso.regressor.run_files import RunFiles, library_plan

        names = getattr(self, "feature_names_in_", None)
        header = {
            "parameters": _plain_parameters(self.get_params(deep=False)),
            "n_features_in": self.n_features_in_,
            "feature_names_in": None if names is None else list(map(str, names)),
            "original_names": self._original_names,
            "display_feature_names_in": self.display_feature_names_in_.tolist(),
            "nout": self.nout_,
            "run_id": self.run_id_,
        }
        files = RunFiles(Path(self.output_directory_, self.run_id_), header, self.nout_)
        plan = library_plan(config["task"], self.n_features_in_)
        constant = {**plan, "function_set": ["const"], "protected": False, "thresholds": []}

        def write(targets: list[Equations]) -> None:
            plans = [
                constant if equations.library.names[self.n_features_in_ :] == ["const"] else plan
                for equations in targets
            ]
            files.write(targets, plans)

        return write

    # --------------------------------------------------------------------------------- results

    def _fitted(self) -> list[Equations]:
        check_is_fitted(self, "_targets")
        return self._targets

    def _for_each(self, of_target: Callable[[Equations, int], Any], index: Any = None) -> Any:
        """Return the answer for the selected, or given, row of the target; a list for several."""
        targets = self._fitted()
        indices: list[Any] = [index] * len(targets)
        if isinstance(index, Sequence) and not isinstance(index, str):
            if len(index) != len(targets):
                raise UserError(
                    f"index: {index!r}; expected one row number for each of {len(targets)} targets."
                )
            indices = list(index)
        answers = [
            of_target(equations, equations.row(i, self.model_selection))
            for equations, i in zip(targets, indices, strict=True)
        ]
        return answers[0] if self.nout_ == 1 else answers

    def predict(self, X: Any, index: int | Sequence[int] | None = None) -> np.ndarray:
        """Return predictions.

        Parameters
        ----------
        X : (N, D) array or data frame
        index : int or sequence of int, optional
            Row of `equations_`, or one for each target; default: the selected one.

        Returns
        -------
        (N,) or (N, targets) float64
            NaN or infinite where the equation is not defined; there is a warning then.
        """
        self._fitted()
        X = validate_data(self, X, dtype=np.float64, order="C", reset=False)

        def values(equations: Equations, i: int) -> np.ndarray:
            values = equations.program(i).execute(X)
            n_bad = np.count_nonzero(~np.isfinite(values))
            if n_bad:
                import warnings

                warnings.warn(
                    f"{equations.texts[i]} is not defined for {n_bad} of {len(X)} rows.",
                    RuntimeWarning,
                    stacklevel=4,
                )
            return values

        predictions = self._for_each(values, index)
        return predictions if self.nout_ == 1 else np.column_stack(predictions)

    @property
    def program_(self) -> Program | list[Program]:
        """The selected equation."""
        return self._for_each(lambda equations, i: equations.program(i))

    @property
    def equations_(self) -> pd.DataFrame | list[pd.DataFrame]:
        """The front, or one for each target."""
        frames = [equations.frame() for equations in self._fitted()]
        return frames[0] if self.nout_ == 1 else frames

    @property
    def hall_of_fame_(self) -> pd.DataFrame | list[pd.DataFrame]:
        """The best equations, or those of each target."""
        frames = [equations.hall_of_fame_frame() for equations in self._fitted()]
        return frames[0] if self.nout_ == 1 else frames

    def get_best(self, index: int | Sequence[int] | None = None) -> Any:
        """Return the selected row of `equations_`, or the one given."""
        return self._for_each(lambda equations, i: equations.frame().iloc[i], index)

    def sympy(self, index: int | Sequence[int] | None = None) -> Any:
        """Return an equation as a sympy expression."""
        return self._for_each(lambda equations, i: equations.sympy(i), index)

    def latex(self, index: int | Sequence[int] | None = None, precision: int | None = 3) -> Any:
        """Return an equation as LaTeX, its numbers to `precision` significant digits."""
        from dso.export import latex

        return self._for_each(lambda equations, i: latex(equations.sympy(i), precision), index)

    def latex_table(
        self,
        indices: Sequence[int] | None = None,
        precision: int = 3,
        columns: Sequence[str] = ("equation", "complexity", "loss", "score"),
    ) -> str:
        """Return tables of equations as LaTeX, one for each target.

        Parameters
        ----------
        indices : sequence of int, optional
            Rows of `equations_`; for several targets a sequence for each. Default: all.
        precision : int
            Significant digits.
        columns : sequence of str
            Of equation, complexity, loss and score.
        """
        from dso.errors import unknown
        from dso.export.tables import COLUMNS, LatexRow, latex_table

        for name in columns:
            if name not in COLUMNS:
                raise unknown("column", name, COLUMNS, "latex_table")
        targets = self._fitted()
        wanted: list[Any] = [indices]
        if self.nout_ > 1:
            wanted = list(indices) if indices is not None else [None] * self.nout_
        tables = []
        for k, (equations, rows) in enumerate(zip(targets, wanted, strict=True)):
            front, scores = equations.front, equations.scores
            numbers = range(len(equations)) if rows is None else rows
            numbers = [equations.row(i, self.model_selection) for i in numbers]
            lines = [
                LatexRow(equations.sympy(i), front.complexities[i], front.losses[i], scores[i])
                for i in numbers
            ]
            target = "y" if self.nout_ == 1 else f"y_{{{k + 1}}}"
            tables.append(latex_table(lines, precision, columns, target))
        return "\n\n".join(tables)

    def pytorch(self, index: int | Sequence[int] | None = None) -> Any:
        """Return an equation as a torch module whose constants can be trained."""
        from dso.export.torch_module import TorchProgram

        return self._for_each(lambda equations, i: TorchProgram(equations.written_out(i)), index)

    def jax(self, index: int | Sequence[int] | None = None) -> Any:
        """Return an equation as a dict of a jax ``callable(X, parameters)`` and ``parameters``."""
        from dso.export.jax_callable import jax_program

        return self._for_each(lambda equations, i: jax_program(equations.written_out(i)), index)

    def numpy_code(self, index: int | Sequence[int] | None = None) -> Any:
        """Return an equation as the text of a Python module with a function `predict`."""
        from dso.export import numpy_source

        return self._for_each(
            lambda equations, i: numpy_source(equations.written_out(i), equations.names), index
        )

    def c_code(self, index: int | Sequence[int] | None = None) -> Any:
        """Return an equation as the text of a C99 file with a function `predict`."""
        from dso.export import c_source

        return self._for_each(
            lambda equations, i: c_source(equations.written_out(i), equations.names), index
        )

    def constants(
        self, index: int | Sequence[int] | None = None, level: float = 0.95
    ) -> pd.DataFrame | list[pd.DataFrame]:
        """Return the fitted constants of an equation with standard errors and intervals.

        They follow from the Jacobian at the fit. ``attrs["equation"]`` of the table says where the
        constants stand, ``attrs["note"]`` what has to be said, as that they are not identifiable.

        Parameters
        ----------
        index : int or sequence of int, optional
        level : float
            Of the confidence intervals.
        """
        if not 0 < level < 1:
            raise UserError(f"level: {level!r}; expected a number between 0 and 1.")
        return self._for_each(lambda equations, i: equations.constants_frame(i, level), index)

    def plot(self, X: Any = None, y: Any = None, index: int | Sequence[int] | None = None) -> Any:
        """Return a figure: front, predictions against truth, residuals (extra ``plots``).

        Parameters
        ----------
        X, y : arrays, optional
            Default: the data of the fit, which a model that was loaded does not have; the front is
            drawn alone then.
        index : int or sequence of int, optional
        """
        from dso.regressor.plots import plot

        targets = self._fitted()
        searches = getattr(self, "_searches", None) or [None] * len(targets)
        if (X is None) != (y is None):
            raise UserError("plot: give both X and y, or neither.")
        if X is not None:
            X = validate_data(self, X, dtype=np.float64, order="C", reset=False)
            columns = iter(np.reshape(np.asarray(y, dtype=np.float64), (len(X), -1)).T)
        fits = iter(searches)

        def draw(equations: Equations, i: int) -> Any:
            search = next(fits)
            rows = None if search is None else (search.rows.X, search.rows.y)
            return plot(equations, i, rows if X is None else (X, next(columns)))

        return self._for_each(draw, index)

    # ------------------------------------------------------------------------ shown, and stored

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "_targets"):
            return super().__repr__(N_CHAR_MAX)
        from dso.regressor.display import as_text

        return as_text(type(self).__name__, self._targets, self.model_selection)

    def _html_repr(self) -> str:
        if not hasattr(self, "_targets"):
            from sklearn.utils import estimator_html_repr

            return estimator_html_repr(self)
        from dso.regressor.display import as_html

        return as_html(self._targets, self.model_selection)

    def __getstate__(self) -> dict[str, Any]:
        # The searches are as large as the data and their caches, and live in this process only.
        state = dict(super().__getstate__())
        if "_searches" in state:
            state["_searches"] = None
        return state

    @classmethod
    def from_file(
        cls, run_directory: str | os.PathLike[str], **parameters: Any
    ) -> DeepSymbolicRegressor:
        """Return the model of a run folder as it stands, also while its search goes on.

        Parameters
        ----------
        run_directory : path
            ``output_directory/run_id`` of a fit.
        **parameters
            Replace those of the fit, e.g. `model_selection`.
        """
        from dso.regressor.run_files import read_equations, read_estimator

        state = read_estimator(Path(run_directory))
        model = cls(**{**state["parameters"], **parameters})
        model.n_features_in_ = state["n_features_in"]
        if state["feature_names_in"] is not None:
            model.feature_names_in_ = np.array(state["feature_names_in"], dtype=object)
        model._original_names = state["original_names"]
        model.display_feature_names_in_ = np.array(state["display_feature_names_in"], dtype=object)
        model._targets = read_equations(state)
        if len(model._targets) < state["nout"]:
            logging.getLogger("dso").warning(
                "%s: %d of %d targets have been begun so far.",
                run_directory,
                len(model._targets),
                state["nout"],
            )
        model.nout_ = len(model._targets)
        model.run_id_ = state["run_id"]
        model.output_directory_ = str(Path(run_directory).parent)
        return model


def _plain_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that JSON can hold."""
    plain = {}
    for name, value in parameters.items():
        value = str(value) if isinstance(value, os.PathLike) else value
        try:
            plain[name] = json.loads(json.dumps(value))
        except (TypeError, ValueError):
            continue
    return plain
