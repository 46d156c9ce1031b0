"""DeepSymbolicRegressor: search for equations, the scikit-learn way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from dso.errors import UserError, unknown
from dso.messages import muted
from dso.regressor.arguments import asks_of_y
from dso.regressor.preparation import refuse_categories

if TYPE_CHECKING:
    import pandas as pd

    from dso.program import Program
    from dso.reduction import Reduced
    from dso.regressor.equations import Equations
    from dso.regressor.knowledge import Statement
    from dso.regressor.template_spec import TemplateExpressionSpec
    from dso.units import Quantities

# Most parts are imported where they are used: they, and torch, take longer than scikit-learn.

LOSSES = ("auto", "squared", "relative")


class DeepSymbolicRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Find equations for y in terms of the columns of X.

    A policy network proposes expressions, their constants are fitted, and the network learns from
    the best. What is found is a front: for each complexity the equation with the least loss.

    Parameters
    ----------
    config : path or dict, optional
        A config of dso, with sections; without it the defaults suit runs of seconds. The arguments
        below that are given win over it.
    model_selection : str
        The rule that picks the equation which predicts: "parsimony", "mdl", "one_se", "validated",
        "bic", or PySR's "best", "score" and "accuracy"; see `dso.selection.rules`. Can be changed
        after the fit.
    loss : {"auto", "squared", "relative"}
        Whether errors of y are of one size, or in proportion to y: rows then have the weights
        1 / y^2. "auto": where y has one sign and spans more than two decades, the residuals of a
        first front decide between errors of one size and a search for log(y).
    elementwise_loss : str or callable, optional
        What is to be small in each row instead of the squared error: a name ("L1DistLoss",
        "HuberLoss{1}"), a formula ("(x, y) -> abs(x - y)", also of the weight as third argument),
        or a function of predictions (B, N) and targets (N,) in numpy or torch.
    loss_function : callable, optional
        The same for whole predictions: of predictions (B, N) and data with `X`, `y` and `weights`,
        it returns (B,); or of one prediction (N,) and returns a number.
    loss_scale : {None, "log", "linear"}
        "linear": losses may be negative. Default: what the config says, "log" without one.
    target_transform : {None, "log"}
        "log": search for log(y), and show the equations of y.
    function_set : list, optional
        Operators, numbers, ``"const"`` (a number to be fitted), ``"module:name"``.
    operators : list, or dict from arity to list, optional
        The same as PySR gives them: ``"const"`` is added.
    binary_operators, unary_operators : list, optional
        The same in two lists.
    maxsize : int, optional
        Most tokens in an equation; 30 without `config`.
    maxdepth : int, optional
        Greatest depth of an equation; a single token has depth 1.
    constraints : dict, optional
        Greatest complexity of each argument of an operator: ``{"^": (-1, 1), "sin": 5}``; -1 is no
        bound.
    nested_constraints : dict, optional
        How often operators may occur on a path below another: ``{"sin": {"sin": 0, "cos": 1}}``.
    occurrences : dict, optional
        How often an input, an operator or ``"const"`` occurs: ``{"x1": (1, None), "sin": (0, 2)}``.
    every_input : bool
        Whether each input has to occur.
    complexity_of_operators : dict, optional
        In place of 1 (with `config`: of the table's), e.g. ``{"/": 2, "exp": 3}``.
    complexity_of_constants : float, optional
    complexity_of_variables : float or sequence of float, optional
        One for all inputs, or for each.
    complexity_mapping : callable, optional
        Program -> complexity of what is shown. The search itself goes by the other measure.
    warmup_maxsize_by : float, optional
        Share of the fit in which the greatest size grows from 3 to `maxsize`.
    parsimony : float
        What a step of complexity costs, in units of the reward, where programs compete.
    knowledge : sequence of Bounds, Monotone, Convex and Value, optional
        What is known of the answer (`dso.regressor.knowledge`): reported for each equation in the
        column `knowledge`; one that breaks it is not picked while there is another.
    knowledge_penalty : float, optional
        Added to the loss of an equation for each statement that it breaks, also in the search.
        Default: the search does not know of them.
    expression_spec : TemplateExpressionSpec, optional
        The form of every equation; only parts of it are searched for.
    guesses : sequence of str or sympy expression, optional
        Formulas that take part from the start: ``["c1*sin(x1) + 2"]``. Numbers stay as they are
        written, free constants c, c1, c2, ... are fitted. For several targets, a sequence for each.
    denoise : bool
        Search for what a Gaussian process says of y, in place of y.
    select_k_features : int, optional
        Search with this many inputs only, those that a random forest finds most important.
    batching : bool or "auto", optional
        Whether the search sees some of the rows at a time; "auto": where there are more than 1000.
        What it keeps is judged on all.
    batch_size : int, optional
        How many rows that is; 1000 by default.
    niterations : int, optional
        Batches of expressions, each with what genetic programming makes of it.
    n_samples, max_evals : int, optional
        Expressions looked at, where 40 evaluations of the search by values count as one; the budget
        is the least of these three, 600 000 without `config`.
        With `n_samples` 0 there is no search: `pretrained` alone proposes equations.
    pretrained : bool or path, optional
        Whether a pre-trained network proposes equations before the first iteration, unless the
        search by values has found one that is exact; a path names its weights.
    reduce : bool, optional
        Whether the data are asked for what they say of the form of y, and smaller problems that are
        left are searched for too; see `reductions_`. Default: what `config` says, true without it.
    timeout_in_seconds : float, optional
        Limit of the wall time for each target. A run that it ends is not reproducible.
    max_megabytes : float, optional
        Limit of the memory of this process, in 10^6 bytes: the search ends with what it has found
        once more is taken.
    early_stop_condition : float or callable, optional
        The search ends once a loss is below this number, or once it returns true for
        ``(loss, complexity)`` of an equation.
    callback : callable, optional
        Called after each iteration with its standing: iteration, n_samples, seconds, r_best, ...,
        and of what was found so far the selected expression, its loss, and the front. A true answer
        ends the search.
    dimensionless_constants_only : bool
        Whether fitted constants are pure numbers, where the units of columns are given; else each
        may have any unit.
    dimensional_constraint_penalty : float, optional
        With units, what is added to the loss of an equation that is not consistent. Default: the
        search never writes one.
    snap : bool
        Whether fitted constants become whole numbers, fractions, multiples of pi and the like where
        the data allow it.
    random_state : int, RandomState or None
    n_islands : int, optional
        Searches that share the budget and exchange their best equations; see section ``islands``
        of a config. Results depend on it, but not on how many processes there are for them.
    n_jobs : int, optional
        Threads, or with `n_islands` processes; -1 is all. Default: all, but one in a worker
        process. Results do not depend on it.
    warm_start : bool
        Whether another `fit` to the same data continues with what the search has learned.
    print_precision : int
        Significant digits of numbers where the table of equations is shown.
    progress : bool
        Show how the search comes along.
    verbosity : int
        0 shows nothing, warnings included.
    output_directory : path, optional
        Where a folder for each fit is made. Without it nothing is written. Where files cannot be
        written later on, as on a full disk, the fit goes on, and says so at its end.
    run_id : str, optional
        Name of that folder; default: date, time and a random part.

    Attributes
    ----------
    program_ : Program
        The selected equation; a list for several targets.
    equations_ : DataFrame
        The front: complexity, loss, equation, score, sympy_format, lambda_format, and criterion,
        the least of which is selected; and reductions, what each equation obeys
        of `reductions_`. A list for several targets.
    reductions_ : Reduced or None
        What the data say of the form of y, each step with its evidence. A list for several targets.
    hall_of_fame_ : DataFrame
        The equations with the least losses, of any complexity.
    nout_ : int
        Number of targets.
    n_features_in_, feature_names_in_ : int, (D,) array of str
        As in scikit-learn; names only where X has them.
    display_feature_names_in_ : (D,) array of str
        The inputs as equations name them: identifiers.
    selection_mask_ : (D,) bool or None
        The inputs that `select_k_features` left to the search.
    input_ranking_ : DataFrame or None
        All inputs with their importance, the most important first; None without
        `select_k_features`.
    X_units_, y_units_ : list or None
        Units of the inputs and of the targets, as they were given.
    target_names_ : list of str
        Those of a data frame or series; else y, or y1, y2, ...
    interrupted_ : bool
        Whether Ctrl-C ended the search.
    stop_reason_ : str
        What did.
    n_evaluations_ : int
        Expressions looked at.
    run_id_, output_directory_ : str or None
    unwritten_ : list of str
        What could not be written or shown, and why; empty where nothing is missing.

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
        model_selection: str = "parsimony",
        loss: str = "auto",
        elementwise_loss: str | Callable[..., Any] | None = None,
        loss_function: Callable[..., Any] | None = None,
        loss_scale: str | None = None,
        target_transform: str | None = None,
        function_set: Sequence[Any] | None = None,
        operators: Sequence[Any] | Mapping[int, Sequence[Any]] | None = None,
        binary_operators: Sequence[Any] | None = None,
        unary_operators: Sequence[Any] | None = None,
        maxsize: int | None = None,
        maxdepth: int | None = None,
        constraints: Mapping[str, int | Sequence[int]] | None = None,
        nested_constraints: Mapping[str, Mapping[str, int]] | None = None,
        occurrences: Mapping[str, int | Sequence[int | None]] | None = None,
        every_input: bool = False,
        complexity_of_operators: Mapping[str, float] | None = None,
        complexity_of_constants: float | None = None,
        complexity_of_variables: float | Sequence[float] | None = None,
        complexity_mapping: Callable[[Program], float] | None = None,
        warmup_maxsize_by: float | None = None,
        parsimony: float = 0.0,
        knowledge: Sequence[Statement] | None = None,
        knowledge_penalty: float | None = None,
        expression_spec: TemplateExpressionSpec | None = None,
        guesses: Sequence[Any] | None = None,
        denoise: bool = False,
        select_k_features: int | None = None,
        batching: bool | str | None = None,
        batch_size: int | None = None,
        niterations: int | None = None,
        n_samples: int | None = None,
        max_evals: int | None = None,
        pretrained: bool | str | os.PathLike[str] | None = None,
        reduce: bool | None = None,
        timeout_in_seconds: float | None = None,
        max_megabytes: float | None = None,
        early_stop_condition: float | Callable[[float, float], object] | None = None,
        callback: Callable[[Any], object] | None = None,
        dimensionless_constants_only: bool = False,
        dimensional_constraint_penalty: float | None = None,
        snap: bool = True,
        random_state: Any = None,
        n_islands: int | None = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        print_precision: int = 5,
        progress: bool = True,
        verbosity: int = 1,
        output_directory: str | os.PathLike[str] | None = None,
        run_id: str | None = None,
    ) -> None:
        self.config = config
        self.model_selection = model_selection
        self.loss = loss
        self.elementwise_loss = elementwise_loss
        self.loss_function = loss_function
        self.loss_scale = loss_scale
        self.target_transform = target_transform
        self.function_set = function_set
        self.operators = operators
        self.binary_operators = binary_operators
        self.unary_operators = unary_operators
        self.maxsize = maxsize
        self.maxdepth = maxdepth
        self.constraints = constraints
        self.nested_constraints = nested_constraints
        self.occurrences = occurrences
        self.every_input = every_input
        self.complexity_of_operators = complexity_of_operators
        self.complexity_of_constants = complexity_of_constants
        self.complexity_of_variables = complexity_of_variables
        self.complexity_mapping = complexity_mapping
        self.warmup_maxsize_by = warmup_maxsize_by
        self.parsimony = parsimony
        self.knowledge = knowledge
        self.knowledge_penalty = knowledge_penalty
        self.expression_spec = expression_spec
        self.guesses = guesses
        self.denoise = denoise
        self.select_k_features = select_k_features
        self.batching = batching
        self.batch_size = batch_size
        self.niterations = niterations
        self.n_samples = n_samples
        self.max_evals = max_evals
        self.pretrained = pretrained
        self.reduce = reduce
        self.timeout_in_seconds = timeout_in_seconds
        self.max_megabytes = max_megabytes
        self.early_stop_condition = early_stop_condition
        self.callback = callback
        self.dimensionless_constants_only = dimensionless_constants_only
        self.dimensional_constraint_penalty = dimensional_constraint_penalty
        self.snap = snap
        self.random_state = random_state
        self.n_islands = n_islands
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.print_precision = print_precision
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
        X_units: Sequence[str | None] | None = None,
        y_units: str | Sequence[str | None] | None = None,
        *,
        Xresampled: Any = None,
        X_test: Any = None,
        y_test: Any = None,
    ) -> DeepSymbolicRegressor:
        """Search for equations; Ctrl-C, or ``q`` and Enter, end the search and keep its results.

        SIGTERM and SIGHUP do so too, and then take their course, once the files are written.

        Parameters
        ----------
        X : (N, D) array, data frame or lists
        y : (N,) or (N, targets)
            Each target has its own search.
        sample_weight : (N,) array, optional
            A row with the weight 2 counts as two equal rows.
        weights : (N,) array, optional
            The same under PySR's name.
        variable_names : sequence of str, optional
            Names of the inputs; default: those of a data frame, or x1, x2, ...
        X_units : sequence of (str or None), optional
            Units of the inputs, as ``"m/s^2"``; ``""`` is a pure number, None is not known. With
            them only equations are written whose units are consistent.
        y_units : str or sequence of (str or None), optional
            Unit of y; for several targets one for each.
        Xresampled : (M, D) array, optional
            With `denoise`: where y is wanted, in place of the rows of X.
        X_test, y_test : arrays, optional
            Rows that no search sees: `equations_` has their squared error as `test_loss`.

        Returns
        -------
        self
        """
        started = time.monotonic()
        _refuse_masked(X=X, y=y, sample_weight=sample_weight, weights=weights)
        refuse_categories(X)
        given_names, columns = _names_of(y), _names_of_columns(X)
        X, y = validate_data(
            self, X, y, dtype=np.float64, order="C", multi_output=True, y_numeric=True
        )
        y = np.asarray(y, dtype=np.float64)
        self._check_arguments()
        sample_weight = self._checked_weights(X, y, sample_weight, weights)
        self._set_names(variable_names, columns)
        targets = y[:, None] if y.ndim == 1 else y
        self.nout_ = targets.shape[1]
        numbered = ["y"] if self.nout_ == 1 else [f"y{k + 1}" for k in range(self.nout_)]
        self.target_names_ = given_names or numbered
        self._set_units(X_units, y_units)
        test = self._checked_test(X_test, y_test)
        with nullcontext() if self.verbosity else muted():
            rows = self._prepared(X, targets, sample_weight, Xresampled)
            self._fit_targets(*rows, started)
        if self.knowledge is not None:
            ranges = np.column_stack([X.min(axis=0), X.max(axis=0)])
            for equations in self._targets:
                equations.compare_with(self.knowledge, ranges)
        if test is not None:
            for equations, y_of_target in zip(self._targets, test[1].T, strict=True):
                equations.judge(test[0], y_of_target)
        return self

    def _checked_test(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray] | None:
        """Return test rows (M, D) and their targets (M, K)."""
        if (X is None) != (y is None):
            raise UserError("X_test and y_test: give both, or neither.")
        if X is None:
            return None
        _refuse_masked(X_test=X, y_test=y)
        X = validate_data(self, X, dtype=np.float64, order="C", reset=False)
        y = np.asarray(y, dtype=np.float64)
        if y.shape[0] != len(X) or y.size != len(X) * self.nout_ or not np.isfinite(y).all():
            raise UserError(
                f"y_test has the shape {y.shape}; expected finite numbers for {len(X)} rows and "
                f"{self.nout_} target{'s' * (self.nout_ > 1)}."
            )
        return X, y.reshape(len(X), self.nout_)

    def _prepared(
        self,
        X: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
        resampled: Any,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return the rows to search on, as `denoise` and `select_k_features` ask for."""
        from dso.regressor.options import whole
        from dso.regressor.preparation import denoised, rank_inputs

        self.selection_mask_ = self.input_ranking_ = None
        if resampled is not None:
            if not self.denoise:
                raise UserError("Xresampled: it belongs to denoise=True.")
            if weights is not None:
                raise UserError("Xresampled: its rows have no weights; leave one of them out.")
            resampled = validate_data(self, resampled, dtype=np.float64, order="C", reset=False)
        if self.select_k_features is not None:
            n_selected = whole("select_k_features", self.select_k_features)
            names = self._original_names
            self.selection_mask_, self.input_ranking_ = rank_inputs(
                X, targets, weights, names, n_selected, self.random_state
            )
            X = np.ascontiguousarray(X[:, self.selection_mask_])
            resampled = None if resampled is None else resampled[:, self.selection_mask_]
        if self.denoise:
            X, targets = denoised(X, targets, resampled, self.random_state)
        return X, targets, weights

    @property
    def _errors_of_y(self) -> str:
        """What `loss` and `target_transform` say together.

        What is asked of equations of y cannot be asked of those of its logarithm.
        """
        if self.target_transform is not None:
            return self.target_transform
        return "squared" if self.loss == "auto" and asks_of_y(self) else self.loss

    def _check_arguments(self) -> None:
        from dso.regressor.display import check_precision
        from dso.selection import check_rule

        check_rule(self.model_selection)
        for name, allowed in (("loss", LOSSES), ("target_transform", (None, "log"))):
            if getattr(self, name) not in allowed:
                raise unknown(name, getattr(self, name), [a for a in allowed if a])
        if self.target_transform is not None and self.loss == "relative":
            raise UserError(
                "loss: 'relative' and target_transform: 'log' both make errors relative; give one "
                "of them."
            )
        if self.target_transform is not None and (asked := asks_of_y(self)):
            raise UserError(
                f"{asked[0]} is about equations of y, and target_transform: 'log' searches for "
                "those of log(y); give one of them."
            )
        if self.knowledge is not None:
            from dso.regressor.knowledge import check_statements

            check_statements(self.knowledge)
        if self.complexity_mapping is not None and not callable(self.complexity_mapping):
            raise UserError(f"complexity_mapping: {self.complexity_mapping!r} cannot be called.")
        check_precision(self.print_precision)
        for name in ("early_stop_condition", "timeout_in_seconds", "max_megabytes"):
            value = getattr(self, name)
            if value is None or (callable(value) and name == "early_stop_condition"):
                continue
            is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if is_number and name[0] == "e" and self.loss_scale == "linear":
                continue
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

    def _set_names(self, variable_names: Sequence[str] | None, columns: list[str] | None) -> None:
        from dso.export import identifiers

        names: Sequence[str] | None = getattr(self, "feature_names_in_", columns)
        if variable_names is not None:
            if isinstance(variable_names, str) or len(variable_names) != self.n_features_in_:
                raise UserError(
                    f"variable_names: {variable_names!r}; expected {self.n_features_in_} names, "
                    "one for each column of X."
                )
            names = list(map(str, variable_names))
            twice = [name for i, name in enumerate(names) if name in names[:i]]
            if twice:
                raise UserError(f"variable_names: {twice[0]!r} is there more than once.")
        if names is None:
            names = [f"x{i + 1}" for i in range(self.n_features_in_)]
        self._original_names = list(map(str, names))
        self.display_feature_names_in_ = np.array(identifiers(names), dtype=object)

    def _set_units(self, X_units: Any, y_units: Any) -> None:
        """Read the units of inputs, and those of each target."""
        from dso.units.quantities import Quantities, listed

        given = [y_units] * self.nout_
        if self.nout_ > 1 and y_units is not None:
            given = listed(y_units, self.nout_, "y_units")
        names = self.display_feature_names_in_.tolist()
        pure = self.dimensionless_constants_only
        self._take_units(
            [Quantities.of(X_units, unit, names, pure_constants=pure) for unit in given]
        )

    def _take_units(self, quantities: list[Quantities | None]) -> None:
        """Have the units of each target, and show them as texts."""
        self._quantities = quantities
        known = [one for one in quantities if one is not None]
        self.X_units_ = self.y_units_ = None
        if any(unit is not None for one in known for unit in one.inputs):
            self.X_units_ = [unit and unit.text for unit in known[0].inputs]
        if any(one.target is not None for one in known):
            self.y_units_ = [one and one.target and one.target.text for one in quantities]

    def _fit_targets(
        self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray | None, started: float
    ) -> None:
        from sympy.core.cache import clear_cache

        from dso.regressor.fit import Fit

        before = getattr(self, "_searches", None) if self.warm_start else None
        last_random_state = getattr(self, "_last_random_state", None)
        fit = Fit(self, X, targets, weights, before, last_random_state, started)
        self._last_random_state = self.random_state
        self.output_directory_ = fit.directory
        if not (fit.is_continued and getattr(self, "run_id_", None)):
            self.run_id_ = fit.new_run_id()
        fit.run(self.run_id_)
        self._targets, self._searches = fit.targets, fit.searches
        self.interrupted_, self.n_evaluations_ = fit.interrupted, fit.n_evaluations
        self.stop_reason_, self.unwritten_ = fit.stop_reason, fit.unwritten
        clear_cache()  # sympy remembers every expression that it has met

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
        _refuse_masked(X=X)
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
        frames = [equations.frame(self.model_selection) for equations in self._fitted()]
        return frames[0] if self.nout_ == 1 else frames

    @property
    def reductions_(self) -> Reduced | list[Reduced | None] | None:
        """What the data say of the form of y, or of each target; see `dso.reduction.reduce`.

        None where nobody asked them: `reduce` was false, or the search had found its equation
        before.
        """
        found = [equations.reductions for equations in self._fitted()]
        return found[0] if self.nout_ == 1 else found

    @property
    def hall_of_fame_(self) -> pd.DataFrame | list[pd.DataFrame]:
        """The best equations, or those of each target."""
        frames = [equations.hall_of_fame_frame() for equations in self._fitted()]
        return frames[0] if self.nout_ == 1 else frames

    def get_best(self, index: int | Sequence[int] | None = None) -> Any:
        """Return the selected row of `equations_`, or the one given."""
        return self._for_each(
            lambda equations, i: equations.frame(self.model_selection).iloc[i], index
        )

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
            if equations.quantities is not None and equations.quantities.target is not None:
                target += rf"\;[{equations.quantities.target.latex()}]"
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

    def plot(
        self,
        X: Any = None,
        y: Any = None,
        index: int | Sequence[int] | None = None,
        ax: Any = None,
    ) -> Any:
        """Draw front, predictions against truth, and residuals (extra ``plots``).

        In a notebook the figure is shown below the cell, with a display in a window.

        Parameters
        ----------
        X, y : arrays, optional
            Default: the data of the fit. Where a model was loaded and its folder has none, the
            front is drawn alone.
        index : int or sequence of int, optional
        ax : Axes or sequence of Axes, optional
            What to draw in: one for the front alone, or three. Default: a new figure.

        Returns
        -------
        array of Axes
            Of matplotlib; a list of them for several targets.
        """
        from dso.regressor.plots import plot

        targets = self._fitted()
        searches = getattr(self, "_searches", None) or [None] * len(targets)
        if (X is None) != (y is None):
            raise UserError("plot: give both X and y, or neither.")
        if X is not None:
            X = validate_data(self, X, dtype=np.float64, order="C", reset=False)
            columns = iter(np.reshape(np.asarray(y, dtype=np.float64), (len(X), -1)).T)
        fits = enumerate(searches)

        def draw(equations: Equations, i: int) -> Any:
            k, search = next(fits)
            rows = self._kept_rows(k)
            if search is not None:
                rows = search.given_rows.X, search.given_rows.y
            rows = self._of_all_inputs(rows)
            return plot(equations, i, rows if X is None else (X, next(columns)), ax)

        return self._for_each(draw, index)

    def _kept_rows(self, k: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the data of target `k` that the folder of the fit holds, None without."""
        from dso.runs.folder import DATA_FILE
        from dso.task.regression.data_archive import read_archive

        if self.output_directory_ is None:
            return None
        path = self._folder_of(k) / DATA_FILE
        if not path.exists():
            return None
        data = read_archive(path)
        return data.X_train, data.y_train

    def _of_all_inputs(self, rows: tuple | None) -> tuple | None:
        """Return rows of the selected inputs as rows of all: the others are in no equation."""
        mask = getattr(self, "selection_mask_", None)
        if rows is None or mask is None or rows[0].shape[1] == len(mask):
            return rows
        X = np.zeros((len(rows[0]), len(mask)))
        X[:, mask] = rows[0]
        return X, rows[1]

    def _folder_of(self, k: int) -> Path:
        """Return the folder of the search of target `k`: a fit with several has one for each."""
        folder = Path(str(self.output_directory_), str(self.run_id_))
        return folder if self.nout_ == 1 else folder / f"output{k + 1}"

    # ------------------------------------------------------------------------ shown, and stored

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        if not hasattr(self, "_targets"):
            return super().__repr__(N_CHAR_MAX)
        from dso.regressor.display import as_text

        return as_text(
            type(self).__name__, self._targets, self.model_selection, self.print_precision
        )

    def _html_repr(self) -> str:
        if not hasattr(self, "_targets"):
            from sklearn.utils import estimator_html_repr

            return estimator_html_repr(self)
        from dso.regressor.display import as_html

        return as_html(self._targets, self.model_selection, self.print_precision)

    def __getstate__(self) -> dict[str, Any]:
        # The searches are as large as the data and their caches, and live in this process only.
        state = dict(super().__getstate__())
        if "_searches" in state:
            state["_searches"] = None
        return state

    @classmethod
    def from_file(
        cls,
        run_directory: str | os.PathLike[str],
        *,
        seed: int | None = None,
        allow_code: Collection[str] = (),
        **parameters: Any,
    ) -> DeepSymbolicRegressor:
        """Return the model of a run folder in its present state, also during its search.

        Parameters
        ----------
        run_directory : path
            ``output_directory/run_id`` of a fit, or the folder of a run of `dso run`.
        seed : int, optional
            Which of several runs of `dso run`; default: the one with the best reward.
        allow_code : sequence of str
            Modules with functions of your own that the model uses: only these are imported. What
            `parameters` name is allowed too.
        **parameters
            Replace those of the fit, e.g. `model_selection`.

        Raises
        ------
        UserError
            If no model can be read, or it names code that is not allowed.
        """
        from dso.regressor.loading import load_model

        folder = Path(run_directory)
        loaded = load_model(folder, seed, allow_code, parameters, cls._get_param_names())
        model = cls(**loaded.parameters)
        model.n_features_in_ = len(loaded.display_names)
        if loaded.names is not None:
            model.feature_names_in_ = np.array(loaded.names, dtype=object)
        model._original_names = loaded.original_names
        model.display_feature_names_in_ = np.array(loaded.display_names, dtype=object)
        model.selection_mask_ = model.input_ranking_ = None
        model._targets, model.nout_ = loaded.targets, len(loaded.targets)
        model.target_names_ = loaded.target_names
        model._take_units([equations.quantities for equations in loaded.targets])
        model.run_id_, model.output_directory_ = folder.name, str(folder.parent)
        return model


def _names_of_columns(X: Any) -> list[str] | None:
    """Return the names of columns that scikit-learn ignores because they are not text."""
    columns = getattr(X, "columns", None)
    if columns is None or list(columns) == list(range(len(columns))):
        return None
    return ["_".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in columns]


def _names_of(y: Any) -> list[str]:
    """Return the names that a data frame or series gives its columns, none of anything else."""
    columns = list(getattr(y, "columns", [getattr(y, "name", None)]))
    return columns if all(isinstance(name, str) for name in columns) else []


def _refuse_masked(**arrays: Any) -> None:
    """Refuse masked values, as missing ones are refused: scikit-learn takes them for numbers."""
    for name, array in arrays.items():
        if isinstance(array, np.ma.MaskedArray) and (n := np.ma.count_masked(array)):
            raise UserError(
                f"{name}: {n} of {array.size} values are masked; leave these rows out, or fill in "
                "values (numpy.ma.filled)."
            )
