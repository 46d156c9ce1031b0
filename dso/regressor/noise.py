"""Errors of y of one size, or in proportion to y: how a target is searched for.

Under `squared` all errors have the same scale. Where y spans decades and its errors are in per cent
the greatest values alone decide then. `RelativeSearch` weighs rows by 1 / y^2; `LogSearch` looks
for f with log(y) = f(X), and shows exp(f).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from dso.errors import UserError
from dso.finishing.shorter import shorter_forms
from dso.fitting.uncertainty import ConstantErrors, constant_errors
from dso.islands import Engine
from dso.library import Library
from dso.memory import OF_EXPONENTIALS, complexity_measure
from dso.program import FitData, Program, ProgramBatch
from dso.regressor.equations import Equations, Found, falling
from dso.regressor.rows import CanonicalRows
from dso.regressor.run_files import library_plan, plan_library
from dso.regressor.search import EarlyStop, Measure, Search
from dso.selection import DEFAULT, TOKEN, Evidence, criteria, gather
from dso.training.stopping import SIGNALLED, Standing

logger = logging.getLogger("dso")

MIN_DECADES = 2.0
"""Of y, from which on `auto` asks for the scale of its errors."""
FIRST_SHARE = 0.25
MAX_FIRST_SHARE = 0.5
PROBE_SHARE = 0.1
"""Of the budget; see `search_by_errors`."""
NEARLY_EXACT = 1e-6
"""Share of the variance of y below which its errors are not asked for."""


class RelativeSearch(Search):
    """Search for y with the least relative errors: rows have weights 1 / y^2."""

    errors = "relative"
    says = "rows are weighed by 1 / y^2, as by loss='relative'"

    def __init__(
        self,
        config: dict[str, Any],
        rows: CanonicalRows,
        names: Sequence[str],
        original_names: Sequence[str],
    ) -> None:
        super().__init__(config, _relative(rows), names, original_names)
        self.given_rows = rows


def _relative(rows: CanonicalRows) -> CanonicalRows:
    sizes = np.abs(rows.y)
    if not sizes.min() > 0:
        raise UserError("loss: 'relative' needs a y without zeros.")
    weights = (sizes.min() / sizes) ** 2
    if not weights.min() > 0:
        raise UserError(
            "loss: 'relative' cannot weigh a y of more than 150 decades; take "
            "target_transform='log'."
        )
    return replace(rows, weights=weights if rows.weights is None else weights * rows.weights)


class LogSearch(Search):
    """Search for the logarithm of y, or of -y; the equations are those of y.

    Their losses are those of the logarithm, their complexities those of what is shown.
    """

    errors = "log"
    says = "the search is for log(y), as by target_transform='log'"
    FUNCTIONS = ("mul", "div", "pow", "exp", "log", "const", -1.0)
    """What the equations may have besides the functions of the search."""

    def __init__(
        self,
        config: dict[str, Any],
        rows: CanonicalRows,
        names: Sequence[str],
        original_names: Sequence[str],
    ) -> None:
        self.sign = one_sign(rows.y)
        if not self.sign:
            raise UserError("target_transform: 'log' needs a y of one sign, without zeros.")
        logs = replace(rows, y=np.log(self.sign * rows.y))
        self.shown_complexity = config["training"]["complexity"]
        super().__init__(_for_logarithms(config), logs, names, original_names)
        self.given_rows = rows

    def equations(self, *, is_final: bool = False) -> Equations:
        """Return what has been found so far, as equations of y."""
        found, task = super().equations(is_final=is_final), self.task
        if not len(found):
            return found
        plan = library_plan(self.config["task"], len(self.names))
        known = self.optimizer.library.names
        others = [name for name in self.FUNCTIONS if str(name) not in known]
        plan["function_set"] = [*plan["function_set"], *others]
        library = plan_library(plan, self.names)
        measure = complexity_measure(self.shown_complexity, library)
        front = self._shown(found, found.front, library, measure, is_shortened=True)
        front = falling(front[np.lexsort((front.losses, front.complexities))], 0.0)
        return Equations(
            library,
            self.names,
            self.original_names,
            task.protected,
            front,
            self._shown(found, found.hall_of_fame, library, measure, is_shortened=False),
            criteria=criteria(front.losses, front.complexities, self._evidence(front, library)),
            plan=plan,
            reductions=self.reductions,
            obeyed=self._obeyed(front.programs, library) if is_final else None,
        )

    @property
    def _can_translate(self) -> bool:  # type: ignore[override]
        names = self.optimizer.library.names
        return "log" in names and (self.sign > 0 or {"mul", "const"} <= set(names))

    def _translated(self, programs: ProgramBatch) -> ProgramBatch:
        """Return the logarithms of programs of y, or of -y."""
        library, names = self.optimizer.library, ["log"]
        numbers = programs.constants
        if self.sign < 0:
            names += ["mul", "const"]
            numbers = np.column_stack([np.full(len(programs), -1.0), numbers])
        head = library.actionize(",".join(names)).tolist()
        rows = [[*head, *programs.row(b).tolist()] for b in range(len(programs))]
        logs = replace(ProgramBatch.from_rows(rows), constants=numbers)
        return super()._translated(logs)

    def _shown(
        self,
        found: Equations,
        rows: Found,
        library: Library,
        measure: Callable[[ProgramBatch], np.ndarray],
        *,
        is_shortened: bool,
    ) -> Found:
        """Return +-exp(f) for each row f, in its shortest form if it is to be found."""
        index = {token.name: i for i, token in enumerate(library.tokens)}
        head = ["exp"] if self.sign > 0 else ["mul", "-1.0", "exp"]
        tokens, constants = [], []
        for b in range(len(rows)):
            names = [found.library.tokens[token].name for token in rows.programs.row(b)]
            row = [index[name] for name in (*head, *names)]
            numbers = rows.programs.constants[b]
            numbers = numbers[~np.isnan(numbers)].tolist()
            if is_shortened and rows.polynomials[b] is None:
                program = Program(library, np.array(row), np.array(numbers))
                forms = shorter_forms(program)
                row, numbers = min([(row, numbers), *forms], key=lambda form: len(form[0]))
            tokens.append(row)
            constants.append(numbers)
        programs = ProgramBatch.from_rows(tokens, constants)
        return Found(programs, rows.losses, measure(programs), rows.polynomials)

    def _evidence(self, front: Found, library: Library) -> Evidence | None:
        if not self.task.is_least_squares:
            return None
        data, logs = self._logs(front.programs, library)
        n_rows = self.given_rows.n_effective
        polynomials = front.polynomials.tolist()
        evidence = gather(logs, front.losses, front.complexities, data, n_rows, polynomials)
        # What is shown is described, not its logarithm.
        return replace(evidence, form_lengths=TOKEN * front.programs.lengths)

    def _logs(self, programs: ProgramBatch, library: Library) -> tuple[FitData, ProgramBatch]:
        """Return the rows of log(+-y), and the programs log(+-g) of programs g."""
        names = ["log"] if self.sign > 0 else ["log", "mul", "-1.0"]
        head = library.actionize(",".join(names)).tolist()
        rows = [[*head, *programs.row(b).tolist()] for b in range(len(programs))]
        logs = replace(ProgramBatch.from_rows(rows), constants=programs.constants)
        data, protected = self.rows, self.task.protected
        return FitData.of_rows(library, data.X, data.y, data.weights, protected), logs

    def _errors(self, found: Equations) -> list[ConstantErrors]:
        data, logs = self._logs(found.front.programs, found.library)
        n_rows = self.rows.n_observations
        return [constant_errors(logs, b, data, n_rows) for b in range(len(found))]

    def evaluate(self, program: Program) -> dict[str, Any]:
        """Return nothing: the task judges logarithms."""
        return {}


def _for_logarithms(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config whose programs have the complexity of their exponentials."""
    training, kind = config["training"], config["training"]["complexity"]
    if kind is None or kind.startswith(OF_EXPONENTIALS):
        return config
    return {**config, "training": {**training, "complexity": OF_EXPONENTIALS + kind}}


def one_sign(y: np.ndarray) -> int:
    """Return the sign that all of y (N,) has; 0 where there is none."""
    return int(np.sign(y[0])) if (np.sign(y) == np.sign(y[0])).all() else 0


def spans_decades(y: np.ndarray) -> bool:
    """Tell whether y (N,) has one sign and more than `MIN_DECADES` decades."""
    sizes = np.abs(y)
    return bool(one_sign(y)) and np.log10(sizes.max()) - np.log10(sizes.min()) > MIN_DECADES


def explains(found: Equations, search: Search) -> float:
    """Return the description length of y in nats, by the best row under a search's kind of errors.

    Up to what all kinds have in common. Normal errors of log(y) give y a density that is less by
    the factor 1 / y; so do relative ones.
    """
    y = np.abs(search.given_rows.y)
    n_rows, weights = search.given_rows.n_effective, search.given_rows.weights
    length = float(found.criterion(DEFAULT).min())
    if not isinstance(search, RelativeSearch | LogSearch):
        return length
    if isinstance(search, RelativeSearch):
        # The loss has the weights 1 / y^2 in units of their mean.
        length += n_rows / 2 * np.log(np.average(y.min() ** 2 / y**2, weights=weights))
        length -= n_rows * np.log(y.min())
    return length + n_rows * float(np.average(np.log(y), weights=weights))


class Searched(NamedTuple):
    """What came of a search, and what was spent on it.

    Attributes
    ----------
    search : Search
    found : Equations
    n_evaluations : int
    """

    search: Search
    found: Equations
    n_evaluations: int


@dataclass(frozen=True)
class Searches:
    """Makes searches of one target, and runs them.

    Attributes
    ----------
    rows : CanonicalRows
    names, original_names : sequence of str
    n_iterations, early_stop, write, engine, signals
        See `Search.run`.
    callback : callable
        Given a search, returns its callback.
    measure : Measure, optional
    """

    rows: CanonicalRows
    names: Sequence[str]
    original_names: Sequence[str]
    n_iterations: int | None
    early_stop: EarlyStop
    callback: Callable[[Search], Callable[[Standing], object]]
    write: Callable[[Equations], None] | None
    engine: Engine
    measure: Measure | None = None
    signals: Sequence[int] = ()

    def make(self, kind: type[Search], config: dict[str, Any]) -> Search:
        """Return a search that has not begun."""
        search = kind(config, self.rows, self.names, self.original_names)
        search.measure = self.measure
        return search

    def run(
        self,
        search: Search,
        *,
        pause: Callable[[Standing], bool] = lambda standing: False,
        is_continued: bool = False,
    ) -> Equations:
        """Run a search until it ends, or `pause` says so."""

        asked = self.callback(search)

        def callback(standing: Standing) -> bool:
            return bool(asked(standing)) or pause(standing)

        return search.run(
            n_iterations=self.n_iterations,
            early_stop=self.early_stop,
            callback=callback,
            write=self.write,
            is_continued=is_continued,
            engine=self.engine,
            signals=self.signals,
        )


KINDS: dict[str, type[Search]] = {
    "squared": Search,
    "relative": RelativeSearch,
    "log": LogSearch,
}


def search_for(searches: Searches, config: dict[str, Any], errors: str) -> Searched:
    """Search for y.

    Parameters
    ----------
    searches : Searches
    config : dict
    errors : {"auto", "squared", "relative", "log"}
    """
    if errors == "log" and has_units(config):
        raise UserError(
            "target_transform: 'log' does not go with units: a logarithm has none; leave out "
            "X_units and y_units, or take loss='relative'."
        )
    if errors == "auto" and spans_decades(searches.rows.y):
        return search_by_errors(searches, config)
    search = searches.make(KINDS["squared" if errors == "auto" else errors], config)
    found = searches.run(search)
    return Searched(search, found, search.standing.n_samples)


def has_units(config: dict[str, Any]) -> bool:
    """Tell whether a config gives units to inputs or y."""
    return any(config["task"][key] is not None for key in ("X_units", "y_units"))


def search_by_errors(searches: Searches, config: dict[str, Any]) -> Searched:
    """Search for y, and for its logarithm where a first front of that explains y better.

    The first `FIRST_SHARE` of the budget looks for y. Where that leaves a residual, `PROBE_SHARE`
    goes to a front of log(y), or of relative errors where the library lacks a logarithm. The rest
    is for whichever explains y better.
    """
    training = config["training"]
    squared, pause = searches.make(Search, config), _Pause(config)
    found = searches.run(squared, pause=pause)
    spent = squared.standing.n_samples
    if not pause.is_taken or squared.optimizer.stop_reason in SIGNALLED:
        return Searched(squared, found, spent)
    has_log = "log" in squared.optimizer.library.names and not has_units(config)
    kind: type[RelativeSearch | LogSearch] = LogSearch if has_log else RelativeSearch
    gain = -np.inf
    if _has_residuals(squared, found):
        n_samples = max(1, int(PROBE_SHARE * training["n_samples"]))
        probe = searches.make(kind, _unseen(_with_budget(config, n_samples, PROBE_SHARE)))
        theirs = replace(searches, write=None).run(probe)
        gain = explains(found, squared) - explains(theirs, probe)
        spent += probe.standing.n_samples
        if probe.optimizer.stop_reason in SIGNALLED:
            squared.optimizer.stop_reason = probe.optimizer.stop_reason
            return Searched(squared, found, spent)
    left = max(1, training["n_samples"] - spent)
    rest = _with_budget(config, left, 1 - FIRST_SHARE - PROBE_SHARE)
    if gain > 0:
        logger.warning(
            "y spans %.1f decades, and its errors grow with it (%.0f nats): %s; loss='squared' "
            "keeps them all of one size.",
            np.ptp(np.log10(np.abs(squared.rows.y))),
            gain,
            kind.says,
        )
        search = searches.make(kind, rest)
        found = searches.run(search)
        return Searched(search, found, spent + search.standing.n_samples)
    spent -= squared.standing.n_samples
    squared.config = rest
    found = searches.run(squared, is_continued=True)
    return Searched(squared, found, spent + squared.standing.n_samples)


def _has_residuals(squared: Search, found: Equations) -> bool:
    """Tell whether what a search leaves unexplained may say what errors are like."""
    task = squared.task
    if not task.is_least_squares or task.library.const_token is None:
        return False
    return bool(found.front.losses.min() > NEARLY_EXACT * task.metric.variance)


def _unseen(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config that leaves no files and shows nothing."""
    return {
        **config,
        "reduce": {**config["reduce"], "on": False},
        "experiment": {**config["experiment"], "logdir": None},
        "training": {**config["training"], "verbose": False},
    }


class _Pause:
    """Ends a search after `FIRST_SHARE` of its budget; asked after each iteration.

    But not before the data have been asked for reductions, and what came of it has been judged, as
    long as that comes within `MAX_FIRST_SHARE`.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        training, reduce = config["training"], config["reduce"]
        self.first = reduce["after"] + 1 if reduce["on"] else 0
        self.budget = training["n_samples"]
        self.n_samples = FIRST_SHARE * training["n_samples"]
        self.seconds = FIRST_SHARE * (training["max_seconds"] or np.inf)
        self.is_taken = False

    def __call__(self, standing: Standing) -> bool:
        is_due = standing.n_samples >= self.n_samples or standing.seconds >= self.seconds
        is_late = standing.n_samples >= MAX_FIRST_SHARE * self.budget
        is_due &= is_late or standing.iteration >= self.first
        self.is_taken = is_due and standing.n_samples < self.budget
        return self.is_taken


def _with_budget(config: dict[str, Any], n_samples: int, share: float) -> dict[str, Any]:
    """Return a config with this many evaluations, and a share of the seconds."""
    training = {**config["training"], "n_samples": n_samples}
    if training["max_seconds"] is not None:
        training["max_seconds"] *= share
    return {**config, "training": training}
