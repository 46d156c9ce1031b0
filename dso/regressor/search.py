"""The search for the equations of one target."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.build.race import Rows, make_race
from dso.build.units_aside import are_much_better, break_units_alone
from dso.config.results import ENDS
from dso.core import DeepSymbolicOptimizer, InnerSearch
from dso.errors import UserError
from dso.finishing.shorter import shorter_forms
from dso.fitting.rounding import rounded_constants, rounded_polynomial
from dso.fitting.slots import widened, with_ones
from dso.fitting.uncertainty import ConstantErrors, constant_errors
from dso.islands import Archipelago, Engine, make_search, one_by_one
from dso.library import Library, create_tokens
from dso.memory import ScoredPrograms
from dso.messages import muted
from dso.program import FitData, Program, ProgramBatch, padded
from dso.reduction import Race, Reduced
from dso.regressor.equations import Equations, Found, falling
from dso.regressor.quit_key import QuitKey
from dso.regressor.rows import CanonicalRows
from dso.regressor.scales import Scales, can_scale
from dso.regressor.simple_laws import simple_laws
from dso.runs.display import Progress
from dso.runs.recorders import DataFile
from dso.runs.tables import ResultFiles
from dso.selection import criteria
from dso.task.regression import RegressionTask
from dso.task.regression.dataset import from_arrays
from dso.task.regression.rows import validation_rows
from dso.training.sources import Finishing
from dso.training.stopping import Standing

if TYPE_CHECKING:
    import pandas as pd

SECONDS_BETWEEN_FILES = 2.0
MAX_ROWS_OF_LAWS = 2000
"""Of data that the fits of simple laws start from."""
LAWS_AT_ONCE = 50
"""Simple laws that are judged between two looks at the clock."""

EarlyStop = float | Callable[[float, float], object] | None


@dataclass(frozen=True)
class Measure:
    """A complexity of the user's own, by which equations are shown.

    Attributes
    ----------
    of : callable
        Program -> number.
    greatest : float
        Equations that are more complex are left out.
    """

    of: Callable[[Program], float]
    greatest: float

    def front(self, library: Library, found: Sequence[Found]) -> Found:
        """Return what is found, with these complexities and in their order."""
        rows = Found.concatenate(found)
        numbers = [self._checked(library, rows, i) for i in range(len(rows))]
        rows = replace(rows, complexities=np.array(numbers))[np.array(numbers) <= self.greatest]
        return rows[np.lexsort((rows.losses, rows.complexities))]

    def _checked(self, library: Library, rows: Found, i: int) -> float:
        program = Program(library, rows.programs.row(i), rows.programs.constants[i])
        number = self.of(program)
        if not isinstance(number, Real) or not np.isfinite(float(number)):
            raise UserError(f"complexity_mapping: {program!r} has {number!r}; expected a number.")
        return float(number)


class Search:
    """An optimiser with its data, and what ends it besides the rules of the config.

    Parameters
    ----------
    config : dict
        Without data.
    rows : CanonicalRows
    names, original_names : sequence of str
        See `Equations`.

    Attributes
    ----------
    given_rows : CanonicalRows
        Those that were given, where `rows` are made of them.
    errors : str
        What errors it takes y to have; see `dso.regressor.noise.KINDS`.
    """

    errors = "squared"
    measure: Measure | None = None

    def __init__(
        self,
        config: dict[str, Any],
        rows: CanonicalRows,
        names: Sequence[str],
        original_names: Sequence[str],
    ) -> None:
        self.rows = self.given_rows = rows
        self.names = names
        self.original_names = original_names
        self.config = config
        self.scales = Scales.of(rows) if can_scale(config["task"], config["training"]) else None
        if self.scales is not None and self.scales.are_handy:
            self.scales = None
        seen = rows if self.scales is None else self.scales.scaled(rows)
        data = from_arrays(seen.X, seen.y, input_names=tuple(names), weights=seen.weights)
        self.optimizer = make_search(config, data)

    def run(
        self,
        *,
        n_iterations: int | None = None,
        early_stop: EarlyStop = None,
        callback: Callable[[Standing], object] | None = None,
        write: Callable[[Equations], None] | None = None,
        is_continued: bool = False,
        engine: Engine = one_by_one,
        signals: Sequence[int] = (),
    ) -> Equations:
        """Search until something ends it, and return what was found.

        Parameters
        ----------
        n_iterations : int, optional
            End after this many more.
        early_stop : float or callable, optional
            End once a loss on the front is below this, or once it says so of a loss and its
            complexity.
        callback : callable, optional
            Called with the `Standing` and this search after each iteration; a true answer ends the
            search.
        write : callable, optional
            Given the equations so far, now and then.
        is_continued : bool
            Go on from where the search has ended, with the budget of the config once more.
        engine : callable
            Does the rounds of islands, where the config asks for several.
        signals : sequence of int
            That came before, and end the search too.
        """
        optimizer = self.optimizer
        last, n_before = None, self.standing.iteration if is_continued else 0
        if isinstance(optimizer, Archipelago):
            optimizer.engine = engine
            if n_iterations is not None:
                n_iterations = optimizer.n_rounds(n_iterations, n_before)
        if n_iterations is not None:
            last = n_iterations + n_before
        watch = _Watch(self, last, early_stop, callback, write)
        if is_continued:
            training = self.config["training"]
            optimizer.config_training.update({key: training[key] for key in ENDS})
            optimizer.extend(training["n_samples"], training["max_seconds"], watch)
        else:
            optimizer.setup(watch)
        if early_stop is not None and isinstance(optimizer, DeepSymbolicOptimizer):
            optimizer.stopping.is_enough = watch.is_good_enough
        with optimizer.stopping.on_signals():
            for number in signals:
                optimizer.stopping.heed(number)
            if not is_continued:
                self._offer_first_ones()
                optimizer.race = self._race()
            while optimizer.train_one_step() is None:
                pass
        if not self._is_finished:
            self._offer_shorter_ones()
        found = self.equations(is_final=True)
        if not len(found):
            raise UserError(
                f"none of {self.standing.n_samples} expressions is defined on all rows; give more "
                "samples, or other operators."
            )
        if self.task.objective is None:
            found.errors = self._errors(found)
        found.rewards = [self.reward_of(loss) for loss in found.front.losses]
        self._write_results(found)
        return found

    def start(self) -> None:
        """Build all parts for a search within another, and have simple laws judged."""
        self.optimizer.setup()
        self._offer_first_ones()

    def _offer_first_ones(self) -> None:
        """Have simple laws judged, and show the best of them."""
        self._show_in_given_units()
        self._offer_simple_ones()
        self._show_best()

    def _race(self) -> Race | None:
        """Return the race of this search, in the units of the user."""
        if self.optimizer.race is None or not self._can_translate:
            return None
        run = self.optimizer.run
        return make_race(self.config, run, self._fitted_rows, start_inner, self._translated)

    @property
    def _fitted_rows(self) -> Rows:
        """The rows of y in the units of the user, but for those that are set aside."""
        rows, fraction = self.given_rows, self.config["task"]["validation_fraction"]
        kept = np.ones(len(rows.y), dtype=bool)
        if fraction:
            kept = ~validation_rows(len(kept), fraction)
        return rows.X[kept], rows.y[kept], None if rows.weights is None else rows.weights[kept]

    _can_translate = True
    """Whether programs of y can be said as programs of what the search looks for."""

    def _translated(self, programs: ProgramBatch) -> ProgramBatch:
        """Return programs of y in the user's units as programs that the search looks for."""
        if self.scales is None:
            return programs
        return self.scales.inverse.undone(self.optimizer.library, programs)

    def _write_results(self, found: Equations) -> None:
        """Have the tables of the run folder, and so the report, say what the estimator does."""
        optimizer = self.optimizer
        run, folder = optimizer.run, optimizer.folder
        if folder is None:
            return
        ResultFiles(folder, run.reports, run.trainer.keeper).write()
        i = found.select(self.task.model_selection)
        program, standing = found.program(i), self.standing
        row = {
            "seed": run.seed,
            "r": self.reward_of(found.front.losses[i]),
            **self.evaluate(program),
            "expression": found.texts[i],
            "traversal": repr(program),
            "n_samples": standing.n_samples,
            "t": standing.seconds,
        }
        folder.append_summary(row)

    def _show_in_given_units(self) -> None:
        """Have the run show its programs, and keep its data, in the user's columns."""
        scales, run = self.scales, self.optimizer.run
        if scales is None:
            return
        task = self.task
        run.reports.show_as(lambda programs: scales.undone(run.task.library, programs), task)
        for recorder in run.journal.recorders:
            if isinstance(recorder, DataFile):
                recorder.data = task.dataset

    def _show_best(self) -> None:
        """Show the best simple law: the search by values, which comes next, may take seconds."""
        if np.isfinite(self.standing.r_best):
            for recorder in self.optimizer.run.journal.recorders:
                if isinstance(recorder, Progress):
                    recorder.show(self.standing)

    def reward_of(self, loss: float) -> float:
        """Return the reward that belongs to a loss."""
        return self.task.reward_of(loss)

    def evaluate(self, program: Program) -> dict[str, Any]:
        """Return what the task says of an equation."""
        return self.task.final_evaluation(program)

    def _offer_simple_ones(self) -> None:
        """Have simple laws judged."""
        optimizer = self.optimizer
        programs, first = self._simple_ones(optimizer.task.fit_data)
        for b in range(0, len(programs), LAWS_AT_ONCE):
            if optimizer.stopping.is_over:
                return
            part = slice(b, b + LAWS_AT_ONCE)
            optimizer.trainer.offer(programs[part], first[part])

    def _simple_ones(self, data: FitData) -> tuple[ProgramBatch, np.ndarray]:
        """Return simple laws that may be written, and where their fits start on given rows.

        The latter are (B, K), NaN where nothing is known.
        """
        library = self.optimizer.library
        data = data.on_rows(slice(None, None, -(-data.n_rows // MAX_ROWS_OF_LAWS)))
        texts, starts = zip(*simple_laws(data), strict=True)
        programs = ProgramBatch.from_rows([library.actionize(text).tolist() for text in texts])
        first = padded(starts, len(texts))
        prior = self.optimizer.prior
        # The sampler never writes one token, as the first one has to be an operator.
        is_allowed = (
            prior.may_be_shown(programs) if self._least_length() == 1 else prior.allowed(programs)
        )
        return programs[is_allowed], first[is_allowed]

    def _offer_shorter_ones(self) -> None:
        """Have the equations of the front judged in the shorter forms that sympy knows."""
        optimizer, library = self.optimizer, self.optimizer.library
        front = self._found(optimizer.front)
        programs = [
            Program(library, front.programs.row(i), front.programs.constants[i])
            for i in range(len(front))
        ]
        forms = [form for program in programs for form in shorter_forms(program)]
        if not forms:
            return
        batch = ProgramBatch.from_rows(*zip(*forms, strict=True))
        batch = batch[optimizer.prior.allowed(batch)]
        if len(batch):
            optimizer.trainer.offer(batch)

    @property
    def _is_finished(self) -> bool:
        """Whether the run finishes what is on the front, at its end too."""
        return Finishing.name in self.optimizer.trainer.sources

    def _least_length(self) -> int:
        """Return the fewest tokens that the length priors allow."""
        priors = self.config["prior"]["length"]
        priors = priors if isinstance(priors, list) else [priors]
        return max((one.get("min_") or 1 for one in priors if one.get("on")), default=1)

    @property
    def standing(self) -> Standing:
        """Where the search stands."""
        return self.optimizer.trainer.standing

    @cached_property
    def task(self) -> RegressionTask:
        """The task of the optimiser, on the data as they were given."""
        task = self.optimizer.task
        assert isinstance(task, RegressionTask)
        if self.scales is None:
            return task
        return task.on_data(self.rows.X, self.rows.y, self.rows.weights)

    def losses(self, programs: ProgramBatch, rewards: np.ndarray) -> np.ndarray:
        """Return the losses (B,) of programs of the search; see `RegressionTask.losses`."""
        task = self.task
        if self.scales is not None:
            programs = self.scales.undone(task.library, programs)
        return task.losses(programs, rewards)

    def equations(self, *, is_final: bool = False) -> Equations:
        """Return what has been found so far, constants rounded where that changes nothing.

        Parameters
        ----------
        is_final : bool
            Whether the run has ended, which rounds them itself if it finishes programs.
        """
        optimizer = self.optimizer
        task = self.task
        front = self._found(optimizer.front, is_final, is_front=True)
        hall_of_fame = self._found(optimizer.hall_of_fame, is_final)
        if self.measure is not None:
            front = self.measure.front(optimizer.library, [front, hall_of_fame])
        front = falling(front, task.least_loss)
        if not len(hall_of_fame):  # all of it is too long in the user's units
            hall_of_fame = front
        evidence = None
        if len(front):
            evidence = task.evidence(
                front.programs,
                front.losses,
                front.complexities,
                front.polynomials.tolist(),
                self.given_rows.n_effective,
            )
        return Equations(
            optimizer.library,
            self.names,
            self.original_names,
            task.protected,
            front,
            hall_of_fame,
            criteria=criteria(front.losses, front.complexities, evidence, task.loss_scale),
            quantities=optimizer.task.quantities,
            reductions=self.reductions,
            obeyed=self._obeyed(front.programs) if is_final else None,
            loss_scale=task.loss_scale,
        )

    @property
    def reductions(self) -> Reduced | None:
        """What the data say of the form of y; None where they were not asked."""
        return self.optimizer.reduced

    def _obeyed(self, programs: ProgramBatch, library: Library | None = None) -> list[str]:
        """Return of each program the reduction that goes furthest of those that it obeys."""
        found, library = self.reductions, library or self.optimizer.library
        if found is None:
            return [""] * len(programs)
        texts = []
        for b in range(len(programs)):
            numbers = programs.constants[b]
            program = Program(library, programs.row(b), numbers[~np.isnan(numbers)])
            obeyed = (r for r in found.reductions if r.is_obeyed(program.execute, self.rows.X))
            texts.append(next((reduction.says() for reduction in obeyed), ""))
        return texts

    def _found(
        self, scored: ScoredPrograms, is_final: bool = False, is_front: bool = False
    ) -> Found:
        """Return programs of the search as they are shown."""
        task, programs, complexities = self.task, scored.programs, scored.complexities
        finishing = self.optimizer.trainer.sources.get(Finishing.name)
        finishing = finishing if is_final and isinstance(finishing, Finishing) else None
        if self.scales is not None:
            programs = self._in_units_of_user(programs, finishing, is_front)
            complexities = self.optimizer.trainer.keeper.complexity(programs)
        elif finishing is None:
            programs = rounded_constants(programs, task.fit_data)
        losses = task.losses(programs, scored.rewards)
        polynomials = np.full(len(programs), None)
        if task.polynomials is not None:
            polynomials[:] = task.polynomials.polynomials(programs, task.n_threads)
            for b in np.flatnonzero(polynomials != None):  # noqa: E711, element by element
                polynomials[b] = rounded_polynomial(
                    programs[b : b + 1], polynomials[b], task.fit_data
                )
        found = Found(programs, losses, complexities, polynomials)
        if self.scales is None:
            return found
        found = found[np.flatnonzero(np.isfinite(losses))]
        by_size = np.lexsort((found.losses, found.complexities))
        return found[by_size if is_front else np.argsort(found.losses, kind="stable")]

    def _in_units_of_user(
        self, programs: ProgramBatch, finishing: Finishing | None, is_front: bool
    ) -> ProgramBatch:
        """Return programs in the units of the user, and those of a front in plainer forms too.

        A power of ten is one more constant; some of these may be dropped.
        """
        task = self.task
        assert self.scales is not None
        programs = self.scales.undone(task.library, programs)
        if finishing is None:
            return rounded_constants(programs, task.fit_data)
        finisher = finishing.finisher.on(task.fit_data)
        if is_front:
            simple, first = self._simple_ones(task.fit_data)
            simple = with_ones(task.library, simple)
            first = widened(first, simple.constants.shape[1])
            known = ~np.isnan(first) & ~np.isnan(simple.constants)
            start = np.where(known, first, simple.constants)
            simple, _ = finisher.fitted(replace(simple, constants=start))
            forms = [programs, finisher.simplified(programs), simple]
            programs = ProgramBatch.concatenate([part for part in forms if len(part)])
            front = finisher.front(programs)
            better = finisher.improved(front, is_over=lambda: self.optimizer.stopping.is_over)
            programs = ProgramBatch.concatenate([front, better])
        prior = self.optimizer.prior
        is_shown, others = prior.may_be_shown(programs), break_units_alone(prior, programs)
        if others.any():
            losses = task.mean_losses(programs)
            is_shown |= others & are_much_better(losses, is_shown, task.least_loss)
        return finisher.settled(programs[is_shown], snap=finishing.snap)

    def _errors(self, found: Equations) -> list[ConstantErrors]:
        task = self.task
        programs, n_rows = found.front.programs, self.rows.n_observations
        return [constant_errors(programs, b, task.fit_data, n_rows) for b in range(len(found))]


class SoFar:
    """Where a search stands, and what it has found; worked out when it is asked for.

    It has the attributes of a `Standing` too.

    Attributes
    ----------
    front : DataFrame
        As `DeepSymbolicRegressor.equations_`.
    expression : str or None
        The equation that would be selected; None before there is one.
    loss : float
        Its loss; infinite before there is one.
    """

    def __init__(self, standing: Standing, search: Search, strategy: str) -> None:
        self.standing = standing
        self._search = search
        self._strategy = strategy

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.standing, name)

    @cached_property
    def _equations(self) -> Equations:
        return self._search.equations()

    @property
    def front(self) -> pd.DataFrame:
        """See the class."""
        return self._equations.frame(self._strategy)

    @property
    def expression(self) -> str | None:
        """See the class."""
        found = self._equations
        return found.texts[found.select(self._strategy)] if len(found) else None

    @property
    def loss(self) -> float:
        """See the class."""
        found = self._equations
        return float(found.front.losses[found.select(self._strategy)]) if len(found) else np.inf


class _Watch:
    """Called after each iteration: writes what was found, and asks for the end."""

    def __init__(
        self,
        search: Search,
        last: int | None,
        early_stop: EarlyStop,
        callback: Callable[[Standing], object] | None,
        write: Callable[[Equations], None] | None,
    ) -> None:
        self.search = search
        self.last = last
        self.early_stop = early_stop
        self.callback = callback
        self.write = write
        self.quit_key = QuitKey()
        self._judged: ScoredPrograms | None = None
        self._is_met = False
        self._written: ScoredPrograms | None = None
        self._next_write = time.monotonic() + SECONDS_BETWEEN_FILES

    def __call__(self, standing: Standing) -> bool:
        request = self.search.optimizer.stopping.request
        if self.last is not None and standing.iteration >= self.last:
            request("niterations are done")
        if self.quit_key.is_pressed():
            request("q was typed")
        if self.early_stop is not None and self.is_good_enough():
            request("early_stop_condition is met")
        if self.write is not None:
            self._write_if_due(self.write)
        return self.callback is not None and bool(self.callback(standing))

    def is_good_enough(self) -> bool:
        """Tell whether `early_stop` is met by the front as it is."""
        front = self.search.optimizer.front
        if front is not self._judged:
            self._judged, self._is_met = front, self._meets(front)
        return self._is_met

    def _meets(self, front: ScoredPrograms) -> bool:
        losses = self.search.losses(front.programs, front.rewards)
        stop = self.early_stop
        if callable(stop):
            pairs = zip(losses.tolist(), front.complexities.tolist(), strict=True)
            return any(stop(loss, complexity) for loss, complexity in pairs)
        return bool((losses < stop).any())

    def _write_if_due(self, write: Callable[[Equations], None]) -> None:
        front = self.search.optimizer.front
        if front is self._written or time.monotonic() < self._next_write:
            return
        start = time.monotonic()
        write(self.search.equations())
        self._written = front
        end = time.monotonic()
        # At most a fiftieth of the time, as for the other files of a run.
        self._next_write = end + max(SECONDS_BETWEEN_FILES, 50 * (end - start))


def constant_equation(
    rows: CanonicalRows, names: Sequence[str], original_names: Sequence[str]
) -> Equations:
    """Return the one equation of a target that has the same value in every row."""
    plan = {
        "n_inputs": len(names),
        "function_set": ["const"],
        "protected": False,
        "thresholds": [],
        "complexities": {},
    }
    library = Library(create_tokens(len(names), ["const"]), names)
    assert library.const_token is not None
    programs = ProgramBatch.from_rows([[library.const_token]])
    programs = replace(programs, constants=np.array([[rows.y[0]]]))
    found = Found(programs, np.zeros(1), np.ones(1), np.full(1, None))
    n_rows = rows.n_observations
    scatter = np.zeros((1, 1)) if n_rows > 1 else np.full((1, 1), np.nan)
    errors = ConstantErrors(rows.y[:1], scatter, np.ones(1, dtype=bool), n_rows - 1)
    return Equations(library, names, original_names, False, found, found, [errors], plan=plan)


def start_inner(config: dict[str, Any], rows: Rows) -> InnerSearch:
    """Begin a search for a smaller problem, whose programs are in the units of its rows."""
    names = [f"x{j + 1}" for j in range(rows[0].shape[1])]
    search = Search(config, CanonicalRows.of(*rows), names, names)
    with muted():
        search.start()
    undo = None
    if search.scales is not None:
        undo = partial(search.scales.undone, search.optimizer.library)
    return InnerSearch(search.optimizer, undo)
