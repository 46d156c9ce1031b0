"""RegressionTask: the reward of a program is how well its predictions fit the training rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.export import identifiers
from dso.fitting.least_squares import MAX_EXACT
from dso.fitting.objective import RowLoss, make_objective
from dso.fitting.polynomial_basis import warn_of_degrees
from dso.fitting.polynomial_fitter import PolynomialOptions
from dso.fitting.weights import weighted_variance
from dso.library import FittedPolynomial, Library, create_tokens, with_complexities
from dso.library.template import Template, read_template, with_tokens_of
from dso.plugins import import_object, is_reference
from dso.program import FitData, Program, ProgramBatch, has_poly
from dso.program.columns import Rows
from dso.program.execute import VALID
from dso.program.units import is_consistent
from dso.selection import DEFAULT, Evidence, RowLosses, criteria, gather
from dso.streams import Stream
from dso.task.regression.benchmarks import Y_LIMIT, function_sets
from dso.task.regression.dataset import Dataset, Source, load_dataset
from dso.task.regression.guesses import read_guesses
from dso.task.regression.knowledge import Knowledge, read_statements
from dso.task.regression.metrics import make_metric, metric_of_loss
from dso.task.regression.reward_noise import RECOVERED, RewardNoise
from dso.task.regression.rows import draw_rows, n_search_rows
from dso.task.regression.scorer import Scorer
from dso.task.task import HierarchicalTask, Rewards, has_own_reward
from dso.units import Quantities

logger = logging.getLogger("dso")

DEFAULT_FUNCTION_SET = "Koza"
LEAST_SHARE = 1e-15
"""Losses below this share of that of the mean of y are rounding."""
QUICK_TEST_ROWS = 20_000
"""Test sets above this size are judged by a fixed sample of this many rows until a run ends."""


class RegressionTask(HierarchicalTask):
    """Find a formula for y.

    Parameters
    ----------
    dataset : str, dict, (X, y), (X, y, weights) or Dataset
        See `dso.task.regression.dataset.load_dataset`.
    function_set : sequence of str or float, optional
        Tokens besides the inputs. Default: the benchmark's, or Koza's where there is none.
    complexities : mapping, optional
        Of tokens, in place of those of the table; see `dso.library.with_complexities`.
    guesses : sequence of str
        Formulas that join the first batch; see `dso.task.regression.guesses`.
    template : mapping, optional
        Arguments of `dso.library.template.read_template`: combine, expressions, parameters, and
        variable_names, by default the names of the inputs.
    metric, metric_params : str, sequence of float
        The reward; a name in `dso.task.regression.metrics.METRICS`.
    elementwise_loss : str or callable, optional
        What is to be small instead of the squared error of each row: a name as ``HuberLoss{1}``, a
        formula as ``(x, y) -> abs(x - y)``, or a function; see `dso.fitting.objective`.
    loss_function : callable, optional
        The same for whole predictions: of predictions and data.
    loss_scale : {"log", "linear"}
        "linear": losses may be negative.
    extra_metric_test, extra_metric_test_params : str or None, sequence of float
        A metric to report on the test set.
    model_selection : str
        The rule of `dso.selection.rules` that chooses the result from the Pareto front; "reward":
        the greatest reward does; "auto": `DEFAULT` for rows of data, the reward for benchmarks.
    threshold : float
        A program succeeds below this normalised mean squared error on the noiseless test targets.
    protected : bool
        Whether operators are replaced by variants that are defined everywhere.
    reward_noise, reward_noise_type, normalize_variance : float, str, bool
        See `RewardNoise`.
    decision_tree_threshold_set : sequence, optional
        Thresholds of StateChecker tokens.
    poly_optimizer_params : dict, optional
        Fields of `PolynomialOptions`, for the token `poly`.
    header, y_limit, weights, validation_fraction
        See `load_dataset`.
    batching : bool or "auto"
        Whether a search shall see only some of the training rows at a time; "auto": where there are
        more than 1 000, and rewards have no noise. The task itself rewards on all of them; see
        `on_rows`.
    batching_rows : int, optional
        How many rows that is.
    dataset_test : str, (X, y) or (X, y, weights), optional
        Rows that are reported and never searched on.
    X_units, y_units, dimensionless_constants_only
        See `Quantities.of`.
    dimensional_constraint_penalty : float, optional
        Added to the loss of programs whose units are not consistent. Default: none are written.
    knowledge : sequence of dict
        See `read_statements`.
    knowledge_penalty : float
        Added to the loss of a program for each of these statements that it breaks.
    """

    fit_data: FitData

    def __init__(
        self,
        *,
        dataset: Source,
        function_set: Sequence[str | float] | None = None,
        complexities: Mapping[str, float] | None = None,
        guesses: Sequence[str | Mapping[str, Any]] = (),
        template: Mapping[str, Any] | None = None,
        metric: str = "inv_nrmse",
        metric_params: Sequence[float] = (1.0,),
        elementwise_loss: str | Callable[..., Any] | None = None,
        loss_function: str | Callable[..., Any] | None = None,
        loss_scale: str = "log",
        extra_metric_test: str | None = None,
        extra_metric_test_params: Sequence[float] = (),
        model_selection: str = "auto",
        threshold: float = 1e-12,
        protected: bool = False,
        reward_noise: float = 0.0,
        reward_noise_type: str = "r",
        normalize_variance: bool = False,
        decision_tree_threshold_set: Sequence | None = None,
        poly_optimizer_params: dict | None = None,
        header: bool | None = None,
        y_limit: float | None = Y_LIMIT,
        weights: object = None,
        validation_fraction: float = 0.0,
        batching: bool | str = "auto",
        batching_rows: int | None = None,
        dataset_test: Source | None = None,
        X_units: Sequence[str | None] | None = None,
        y_units: str | None = None,
        dimensionless_constants_only: bool = False,
        dimensional_constraint_penalty: float | None = None,
        knowledge: Sequence[Mapping[str, Any]] = (),
        knowledge_penalty: float = 0.0,
    ) -> None:
        data = load_dataset(dataset, header, y_limit, weights, validation_fraction, dataset_test)
        self.dataset = data
        self.name = data.name
        self.metric = make_metric(
            metric,
            metric_params,
            weighted_variance(data.y_train, data.weights_train),
            has_weights=data.weights_train is not None,
        )
        self.extra_metric_test = None
        if extra_metric_test is not None:
            self.extra_metric_test = make_metric(
                extra_metric_test,
                extra_metric_test_params,
                weighted_variance(data.y_test, data.weights_test),
                "task.extra_metric_test",
                data.weights_test is not None,
            )
        self.noise = RewardNoise(reward_noise, reward_noise_type, normalize_variance)
        self.stochastic = reward_noise > 0
        if self.stochastic and batching is True:
            raise UserError(
                "task.batching: true does not go with task.reward_noise; leave one of them out."
            )
        self.n_search_rows = n_search_rows(
            len(data.y_train), False if self.stochastic else batching, batching_rows
        )
        if model_selection == "auto":
            model_selection = "reward" if data.is_benchmark or self.stochastic else DEFAULT
        self.model_selection = model_selection
        self.threshold = threshold
        self.protected = protected
        functions = list(_choose_function_set(function_set, data))
        if template is not None:
            self.in_holes = [token.name for token in create_tokens(0, functions, protected)]
            self.template = _read_template(template, data)
            functions = with_tokens_of(self.template, functions)
            if decision_tree_threshold_set:
                raise UserError("task.template: not with task.decision_tree_threshold_set.")
            decision_tree_threshold_set = self.template.thresholds(data.n_input_var)
        tokens = create_tokens(
            data.n_input_var,
            functions,
            protected=protected,
            decision_tree_threshold_set=decision_tree_threshold_set,
        )
        self.library = Library(
            with_complexities(tokens, complexities or {}), identifiers(data.input_names)
        )
        self.guesses = None
        if guesses:
            self.guesses = read_guesses(guesses, self.library, "task.guesses", self.template)
        self.quantities = Quantities.of(
            X_units,
            y_units,
            data.input_names,
            pure_constants=dimensionless_constants_only,
        )
        self.units_penalty = None if self.quantities is None else dimensional_constraint_penalty
        self.knowledge = None
        if knowledge:
            self.knowledge = Knowledge(
                read_statements(knowledge), knowledge_penalty, data.input_names, data.X_train
            )
        options = None
        if self.library.poly_token is not None:
            options = PolynomialOptions(**(poly_optimizer_params or {}))
        train = self._data(data.X_train, data.y_train, data.weights_train)
        self.objective = make_objective(
            _function_of(elementwise_loss, "task.elementwise_loss"),
            _function_of(loss_function, "task.loss_function"),
            loss_scale,
            train,
        )
        self._given_metric = self.metric
        if self.objective is not None:
            self.metric = metric_of_loss(self.metric, self.objective, train)
            if self.objective.keeps_rows:
                self.n_search_rows = len(data.y_train)
        self._fit_to(Scorer(train, options, self.objective))
        if options is not None:
            warn_of_degrees(data.n_input_var, self.n_search_rows, options.degree)
        self.has_losses = self.metric.is_of_mse and not has_own_reward(self)
        self.is_least_squares = self.has_losses and self.objective is None
        self.invalid_reward = self.metric.invalid_reward
        self.n_train_rows = len(data.y_train)
        self._validation = None
        if data.X_validation is not None and data.y_validation is not None:
            self._validation = Scorer(
                self._data(data.X_validation, data.y_validation, data.weights_validation),
                objective=self.objective,
            )
            self.n_validation_rows = len(data.y_validation)
        self._quick_rows = _quick_test_rows(data)
        self._quick_test = self._test_scorer(self._quick_rows)
        self._n_noisy_calls = 0

    @property
    def X_train(self) -> np.ndarray:
        """Training inputs, (N, D)."""
        return self.dataset.X_train

    @property
    def y_train(self) -> np.ndarray:
        """Training targets, (N,)."""
        return self.dataset.y_train

    def _fit_to(self, train: Scorer) -> None:
        """Reward and fit on these rows."""
        self._train = train
        self.fit_data = train.data
        self.polynomials = train.fitter

    def on_rows(self, rows: Rows) -> RegressionTask:
        """Return the same task with its rewards and fits on some of the training rows only.

        Rewards stay in units of the variance of all of them.
        """
        part = copy(self)
        part._fit_to(self._train.on_rows(rows))
        return part

    def on_data(
        self, X: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None
    ) -> RegressionTask:
        """Return the same task on the same rows in other units, which are its test rows too."""
        other = copy(self)
        rows: dict[str, Any] = {"X_train": X, "X_test": X}
        rows |= dict.fromkeys(("y_train", "y_test", "y_test_noiseless"), y)
        rows |= dict.fromkeys(("weights_train", "weights_test"), weights)
        other.dataset = replace(self.dataset, **rows)
        other._fit_to(replace(self._train, data=self._data(X, y, weights)))
        other.metric = replace(self._given_metric, variance=weighted_variance(y, weights))
        if self.objective is not None:
            other.metric = metric_of_loss(other.metric, self.objective, other.fit_data)
        other._quick_test = other._test_scorer(other._quick_rows)
        return other

    def on_drawn_rows(self, stream: Stream) -> RegressionTask:
        """Return the same task on `n_search_rows` random training rows."""
        return self.on_rows(draw_rows(self.n_train_rows, self.n_search_rows, stream))

    def validation_rewards(self, programs: ProgramBatch) -> Rewards:
        """Reward B programs, constants and all, on the rows set aside."""
        assert self._validation is not None
        polynomials = self._polynomials(programs)
        return self._validation.rewards(
            self.metric, programs, self.n_threads, polynomials=polynomials
        )

    @property
    def max_reward(self) -> float:
        """The reward of a perfect program."""
        return self.metric.max_reward

    @property
    def lossless_reward(self) -> float:
        """The reward that has the loss 0: that of a perfect program, 0 where none is known."""
        return self.max_reward if np.isfinite(self.max_reward) else 0.0

    def rewards(self, programs: ProgramBatch) -> Rewards:
        """Reward a batch of B programs."""
        if self.stochastic:
            return self._noisy_rewards(programs)
        scored = self._train.rewards(self.metric, programs, self.n_threads)
        scored = self._without_interpolation(programs, scored)
        penalties = self._penalties(programs)
        if penalties is None:
            return scored
        lowered = scored.values - penalties
        if self.metric.is_of_mse:
            lowered = self.metric.from_mse(self._errors(programs) + penalties)
        is_lower = (scored.cause == VALID) & (penalties > 0)
        return scored._replace(values=np.where(is_lower, lowered, scored.values))

    def mean_losses(self, programs: ProgramBatch) -> np.ndarray:
        """Return the losses in force (B,) on the rows of `fit_data`, NaN for invalid programs.

        Penalties for units that are not consistent, and for knowledge that is broken, are in them.
        """
        penalties = self._penalties(programs)
        return self._errors(programs) + (0.0 if penalties is None else penalties)

    def _errors(self, programs: ProgramBatch) -> np.ndarray:
        """Return the losses without penalties."""
        return self._train.mean_loss(programs, self.n_threads).values

    def _penalties(self, programs: ProgramBatch) -> np.ndarray | None:
        """Return what is added to losses (B,); None where nothing ever is."""
        of_knowledge = 0.0 if self.knowledge is None else self.knowledge.penalty
        if len(programs) == 0 or not (self.units_penalty is not None or of_knowledge):
            return None
        penalties = np.zeros(len(programs))
        if self.units_penalty is not None:
            penalties += self.units_penalty * ~self._is_consistent(programs)
        if of_knowledge:
            penalties += of_knowledge * self._n_broken(programs)
        return penalties

    def _n_broken(self, programs: ProgramBatch) -> np.ndarray:
        """Return how many statements each of B programs breaks, (B,)."""
        assert self.knowledge is not None
        polynomials = self._polynomials(programs)
        return self.knowledge.n_broken(programs, self.library, self.n_threads, polynomials)

    def _is_consistent(self, programs: ProgramBatch) -> np.ndarray:
        """Tell which programs (B,) have consistent units."""
        assert self.quantities is not None
        return is_consistent(self.library, self.quantities, programs)

    def evidence(
        self,
        programs: ProgramBatch,
        losses: np.ndarray,
        complexities: np.ndarray,
        polynomials: Sequence[FittedPolynomial | None],
        n_observations: int | None = None,
    ) -> Evidence | None:
        """Return what the data say of B fitted programs; None where rewards are of another kind.

        Parameters
        ----------
        programs : ProgramBatch
            With constants.
        losses, complexities : (B,) float64
        polynomials : sequence of (FittedPolynomial or None)
        n_observations : int, optional
            Rows before equal ones were merged. Default: none were.
        """
        loss = None
        if not self.is_least_squares:
            loss = self._row_losses(programs, losses, polynomials)
            if loss is None:
                return None
        held_out = None if self._validation is None else self._validation.data
        n_rows = n_observations or self.n_train_rows
        data = self.fit_data, n_rows, polynomials, held_out
        return gather(programs, losses, complexities, *data, loss)

    def _row_losses(
        self,
        programs: ProgramBatch,
        losses: np.ndarray,
        polynomials: Sequence[FittedPolynomial | None],
    ) -> RowLosses | None:
        """Return what the evidence counts where another loss of single rows is in force.

        None if that does not measure residuals. Its degree is that at the best of B programs.
        """
        objective, data = self.objective, self.fit_data
        if not isinstance(objective, RowLoss) or self.loss_scale == "linear":
            return None
        best = slice(int(losses.argmin()), int(losses.argmin()) + 1)
        values, cause, _ = self._train.predictions(programs[best], 1, polynomials[best])
        degree = objective.degree(values[0], data) if cause[0] == VALID else None
        if degree is None:
            return None
        return RowLosses(
            lambda rows, predictions: objective.shared(predictions, rows),
            self.metric.variance,
            degree,
        )

    def criterion(
        self, programs: ProgramBatch, rewards: np.ndarray, complexities: np.ndarray
    ) -> np.ndarray | None:
        """Return what the rule of selection compares, (B,); see `dso.selection`."""
        if self.model_selection == "reward" or len(programs) == 0:
            return None
        losses = self.losses(programs, rewards)
        polynomials = self._polynomials(programs)
        evidence = self.evidence(programs, losses, complexities, polynomials)
        found = criteria(losses, complexities, evidence, self.loss_scale)[self.model_selection]
        if self.knowledge is None:
            return found
        is_broken = self._n_broken(programs) > 0
        return found if is_broken.all() else np.where(is_broken, np.inf, found)

    def losses(self, programs: ProgramBatch, rewards: np.ndarray) -> np.ndarray:
        """Return the losses (B,): those in force, or what rewards lack of the best one."""
        if not self.has_losses:
            return self.lossless_reward - rewards
        return self.mean_losses(programs)

    def reward_of(self, loss: float) -> float:
        """Return the reward that belongs to one of `losses`."""
        if not self.has_losses:
            return self.lossless_reward - loss
        return float(self.metric.from_mse(np.array([loss]))[0])

    @property
    def loss_scale(self) -> str:
        """Whether `losses` are positive ("log") or any numbers ("linear")."""
        return "log" if self.objective is None else self.objective.scale

    @property
    def least_loss(self) -> float:
        """Losses up to this are none but for rounding."""
        if self.is_least_squares:
            return MAX_EXACT * self.metric.variance
        if self.objective is None:
            return 0.0
        return -np.inf if self.loss_scale == "linear" else LEAST_SHARE * self.metric.variance

    def reward_function(self, program: Program, optimizing: bool = False) -> float:
        """Return the reward of one program.

        While its constants are fitted, it is without noise, and the negative NRMSE wherever the
        metric is one of the squared error.
        """
        rewards = self._rewards_in_fits if optimizing else self.rewards
        return float(rewards(program.batch).values[0])

    def fitting_rewards(self, programs: ProgramBatch) -> np.ndarray | None:
        """See `Task.fitting_rewards`."""
        is_own = type(self).reward_function is not RegressionTask.reward_function
        return None if is_own else self._rewards_in_fits(programs).values

    def _rewards_in_fits(self, programs: ProgramBatch) -> Rewards:
        metric = self.metric
        if metric.is_of_mse and self.objective is None:
            metric = make_metric("neg_nrmse", (), metric.variance)
        return self._train.rewards(metric, programs, self.n_threads)

    def evaluate(self, program: Program, *, final: bool = False) -> dict[str, Any]:
        """Judge a program by the test rows.

        Parameters
        ----------
        program : Program
        final : bool
            Use every test row, also of sets above `QUICK_TEST_ROWS`.

        Returns
        -------
        dict
            ``nmse_test``, ``nmse_test_noiseless``, ``success``, and the extra metric under its name
            and ``<name>_noiseless``. All but ``success`` are None if the program is invalid there.
        """
        rows = slice(None) if final else self._quick_rows
        test = self._test_scorer(rows) if final else self._quick_test
        polynomials = self._polynomials(program.batch, program.polynomial)
        predictions, cause, _ = test.predictions(program.batch, 1, polynomials)
        result = self._judge(predictions, rows)
        if self.objective is not None:
            loss = float(self.objective.means(predictions, test.data)[0])
            result["loss_test"] = loss
            is_below = loss < self.threshold * self.metric.variance
            result["success"] = self.loss_scale == "log" and is_below
        if cause[0] != VALID:
            return dict.fromkeys(result) | {"success": False}
        data = self.dataset
        if data.test_is_reported_only or (result["success"] and data.test_is_all_rows):
            result["success"] = self._fits_all_parts(program)
        if not self._has_own_test_rows:
            result["success"] = result["success"] and not self._interpolates(program.batch)[0]
        if self.units_penalty is not None:
            result["success"] = bool(result["success"] and self._is_consistent(program.batch)[0])
        if self.knowledge is not None:
            result["n_broken"] = int(self._n_broken(program.batch)[0])
            result["success"] = result["success"] and not result["n_broken"]
        return result

    def final_evaluation(self, program: Program) -> dict[str, Any]:
        """Judge a program by every test row."""
        return self.evaluate(program, final=True)

    def state_dict(self) -> dict[str, int]:
        """Return what a run changes: how far the noise has come."""
        return {"n_noisy_calls": self._n_noisy_calls}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where `state_dict` was taken."""
        self._n_noisy_calls = state["n_noisy_calls"]

    def _data(self, X: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> FitData:
        return FitData.of_rows(self.library, X, y, weights, self.protected)

    def _test_scorer(self, rows: Rows) -> Scorer:
        """Return a scorer of noiseless test rows; copies of a million rows are made when needed."""
        data = self.dataset
        if data.X_test is data.X_train:
            return Scorer(
                replace(self._train.data, y=data.y_test_noiseless), objective=self.objective
            )
        weights = None if data.weights_test is None else data.weights_test[rows]
        test = self._data(data.X_test[rows], data.y_test_noiseless[rows], weights)
        return Scorer(test, objective=self.objective)

    def _fits_all_parts(self, program: Program) -> bool:
        """Tell whether a program succeeds on the training rows, and on those set aside if any."""
        polynomials = self._polynomials(program.batch, program.polynomial)
        errors = [
            part.mean_loss(program.batch, 1, polynomials).values[0]
            for part in (self._train, self._validation)
            if part is not None
        ]
        return bool(max(errors) / self.metric.variance < self.threshold)

    def _judge(self, predictions: np.ndarray, rows: Rows) -> dict[str, Any]:
        """Compare the predictions (1, M) of one program with the test targets."""
        y, y_noiseless = self.dataset.y_test, self.dataset.y_test_noiseless
        weights = self.dataset.weights_test
        nmse_noiseless = _nmse(predictions[0], y_noiseless, weights, rows)
        result = {
            "nmse_test": _nmse(predictions[0], y, weights, rows),
            "nmse_test_noiseless": nmse_noiseless,
            "success": nmse_noiseless < self.threshold,
        }
        metric = self.extra_metric_test
        if metric is not None:
            for suffix, target in (("", y), ("_noiseless", y_noiseless)):
                rewards = metric.from_predictions(
                    target[rows], predictions, None if weights is None else weights[rows]
                )
                result[metric.name + suffix] = float(rewards[0])
        return result

    def _polynomials(
        self, programs: ProgramBatch, known: FittedPolynomial | None = None
    ) -> list[FittedPolynomial | None]:
        """Return what was fitted to each program that has a `poly`; `known` if that is given."""
        if known is not None or self.polynomials is None:
            return [known] * len(programs)
        return self.polynomials.polynomials(programs, self.n_threads)

    @property
    def _has_own_test_rows(self) -> bool:
        """Whether success is judged by rows that nothing was fitted to."""
        data = self.dataset
        is_theirs = data.test_is_all_rows or data.X_test is data.X_train
        return not (is_theirs or data.test_is_reported_only)

    def _interpolates(self, programs: ProgramBatch) -> np.ndarray:
        """Tell which programs (B,) have too many fitted numbers for an exact fit to mean anything.

        With p of them it takes 2 p + 1 training rows.
        """
        n_fitted = np.zeros(len(programs), dtype=np.int64)
        if self.library.const_token is not None:
            n_fitted += (programs.tokens == self.library.const_token).sum(axis=1)
        if self.polynomials is not None:
            n_fitted += has_poly(self.library, programs)
            n_fitted += self.polynomials.n_more_terms(programs)
        return self._train.data.n_rows < 2 * n_fitted + 1

    def _without_interpolation(self, programs: ProgramBatch, scored: Rewards) -> Rewards:
        """Let no program that may only interpolate have a better reward than one that nearly fits.

        "Nearly" is an error at the threshold of success.
        """
        if self.loss_scale == "linear":
            return scored  # no loss is known to be too good
        if self.metric.is_of_mse:
            error = np.array([self.threshold * self.metric.variance])
            nearly: np.ndarray | float = self.metric.from_mse(error)
        elif self.metric.name == "pearson":
            nearly = float(np.sqrt(max(0.0, 1 - self.threshold)))
        else:
            return scored
        best = np.where(self._interpolates(programs), nearly, np.inf)
        return scored._replace(values=np.minimum(scored.values, best))

    def _noisy_rewards(self, programs: ProgramBatch) -> Rewards:
        """Reward a batch with noise on the rewards or on the predictions; never on invalid ones."""
        random = self.noise.generator(self._n_noisy_calls)
        self._n_noisy_calls += 1
        change = None
        if self.noise.kind == "y_hat":
            change = partial(
                self.noise.added_to_predictions,
                y=self.y_train,
                random=random,
                weights=self.dataset.weights_train,
            )
        scored = self._train.rewards(self.metric, programs, self.n_threads, change)
        scored = self._without_interpolation(programs, scored)
        candidates = scored.cause == VALID
        values, reward_of_success = scored.values, self.max_reward
        if self.noise.kind == "r":
            noisy = self.noise.added_to_rewards(values, random)
            values = np.where(candidates, noisy, scored.values)
            candidates = candidates & (scored.values >= self.max_reward - 1e-5)
            reward_of_success = RECOVERED
        has_succeeded = self._has_succeeded(programs, candidates)
        return scored._replace(values=np.where(has_succeeded, reward_of_success, values))

    def _has_succeeded(self, programs: ProgramBatch, candidates: np.ndarray) -> np.ndarray:
        """Tell which of the candidates (B,) bool succeed on the test rows."""
        if not self._has_own_test_rows:
            candidates = candidates & ~self._interpolates(programs)
        has_succeeded = candidates.copy()
        if candidates.any():
            chosen, data = programs[candidates], self.dataset
            judge, unit = self._train, self.metric.variance
            if not data.test_is_reported_only:
                judge = self._quick_test
                if self.objective is None:
                    unit = weighted_variance(data.y_test_noiseless, data.weights_test)
            losses = judge.mean_loss(chosen, self.n_threads, self._polynomials(chosen)).values
            has_succeeded[candidates] = losses / unit < self.threshold
        return has_succeeded


def _function_of(given: Any, where: str) -> Any:
    """Return what a config's ``module:function`` names, and anything else as it is."""
    return import_object(given, where) if is_reference(given) else given


def _choose_function_set(
    given: Sequence[str | float] | None, data: Dataset
) -> Sequence[str | float]:
    if given is None:
        return data.function_set or function_sets()[DEFAULT_FUNCTION_SET]
    if data.function_set and list(map(str, given)) != list(map(str, data.function_set)):
        logger.warning(
            "task.function_set is used instead of the set that belongs to benchmark %s (%s).",
            data.name,
            ", ".join(map(str, data.function_set)),
        )
    return given


def _read_template(given: Mapping[str, Any], data: Dataset) -> Template:
    names = given.get("variable_names") or identifiers(data.input_names)
    if len(names) != data.n_input_var:
        raise UserError(
            f"task.template.variable_names: {len(names)} names for {data.n_input_var} inputs."
        )
    parameters = given.get("parameters") or {}
    return read_template(given["combine"], given["expressions"], parameters, names, data.X_train)


def _quick_test_rows(data: Dataset) -> Rows:
    """Return the test rows to judge by before the end: all, or a sorted random choice."""
    n_rows = len(data.y_test)
    if n_rows <= QUICK_TEST_ROWS or data.X_test is data.X_train:
        return slice(None)
    random = Stream(0, "quick test rows").generator()
    return np.sort(random.choice(n_rows, QUICK_TEST_ROWS, replace=False))


def _nmse(prediction: np.ndarray, y: np.ndarray, weights: np.ndarray | None, rows: Rows) -> float:
    """Return the mean squared error in some rows, in units of the variance of all targets."""
    part = None if weights is None else weights[rows]
    with np.errstate(over="ignore", invalid="ignore"):
        mse = np.average((y[rows] - prediction) ** 2, weights=part)
        return float(mse / weighted_variance(y, weights))
