"""The search for the equations of one target."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.config.results import ENDS
from dso.errors import UserError
from dso.finishing.shorter import shorter_forms
from dso.fitting.rounding import rounded_constants, rounded_polynomial
from dso.fitting.slots import widened, with_ones
from dso.fitting.uncertainty import ConstantErrors, constant_errors
from dso.islands import Archipelago, Engine, make_search, one_by_one
from dso.library import Library, create_tokens
from dso.memory import ScoredPrograms
from dso.program import FitData, Program, ProgramBatch
from dso.regressor.equations import Equations, Found, falling
from dso.regressor.quit_key import QuitKey
from dso.regressor.rows import CanonicalRows
from dso.regressor.scales import Scales, can_scale
from dso.regressor.simple_laws import simple_laws
from dso.runs.tables import ResultFiles
from dso.selection import criteria
from dso.task.regression import RegressionTask
from dso.task.regression.dataset import from_arrays
from dso.training.sources import Finishing
from dso.training.stopping import Standing

if TYPE_CHECKING:
    import pandas as pd

SECONDS_BETWEEN_FILES = 2.0

EarlyStop = float | Callable[[float, float], object] | None


class Search:
    """An optimiser with its data, and what ends it beside the rules of the config.

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
        """
        optimizer = self.optimizer
        last = None
        if isinstance(optimizer, Archipelago):
            optimizer.engine = engine
            if n_iterations is not None:
                n_iterations = math.ceil(n_iterations / optimizer.config_islands["interval"])
        if n_iterations is not None:
            last = n_iterations + (self.standing.iteration if is_continued else 0)
        watch = _Watch(self, last, early_stop, callback, write)
        if is_continued:
            training = self.config["training"]
            optimizer.config_training.update({key: training[key] for key in ENDS})
            optimizer.extend(training["n_samples"], training["max_seconds"], watch)
        else:
            optimizer.setup(watch)
            self._offer_simple_ones()
        with optimizer.stopping.on_signals():
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
        self._write_results(found)
        return found

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
        folder.append_summary(row, replace=True)

    def reward_of(self, loss: float) -> float:
        """Return the reward that belongs to a loss."""
        return self.task.reward_of(loss)

    def evaluate(self, program: Program) -> dict[str, Any]:
        """Return what the task says of an equation."""
        return self.task.final_evaluation(program)

    def _offer_simple_ones(self) -> None:
        """Have simple laws judged."""
        data = self.optimizer.task.fit_data
        programs, first = self._simple_ones(data)
        if len(programs):
            self.optimizer.trainer.offer(programs, first)

    def _simple_ones(self, data: FitData) -> tuple[ProgramBatch, np.ndarray]:
        """Return simple laws that may be written, and where their fits start on given rows.

        The latter are (B, K), NaN where nothing is known.
        """
        optimizer, library = self.optimizer, self.optimizer.library
        texts, starts = zip(*simple_laws(data), strict=True)
        programs = ProgramBatch.from_rows([library.actionize(text).tolist() for text in texts])
        first = np.full((len(texts), max(map(len, starts))), np.nan)
        for row, start in zip(first, starts, strict=True):
            row[: len(start)] = start
        is_allowed = optimizer.prior.allowed(programs)
        if self._least_length() == 1:
            # The sampler never writes them, as the first token has to be an operator.
            is_allowed |= programs.lengths == 1
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
        batch = ProgramBatch.from_rows([tokens for tokens, _ in forms])
        width = max(len(numbers) for _, numbers in forms)
        constants = np.full((len(forms), width), np.nan)
        for row, (_, numbers) in zip(constants, forms, strict=True):
            row[: len(numbers)] = numbers
        batch = replace(batch, constants=constants)
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
            Whether the run has come to its end, which rounds them itself if it finishes programs.
        """
        optimizer = self.optimizer
        task = self.task
        front = falling(self._found(optimizer.front, is_final, is_front=True), task.least_loss)
        evidence = None
        if len(front):
            evidence = task.evidence(
                front.programs,
                front.losses,
                front.complexities,
                front.polynomials.tolist(),
                self.rows.n_effective,
            )
        return Equations(
            optimizer.library,
            self.names,
            self.original_names,
            task.protected,
            front,
            self._found(optimizer.hall_of_fame, is_final),
            criteria=criteria(front.losses, front.complexities, evidence, task.loss_scale),
            loss_scale=task.loss_scale,
        )

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

        A power of ten is one more constant, of which some may go.
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
            programs = ProgramBatch.concatenate([front, finisher.improved(front)])
        is_allowed = self.optimizer.prior.allowed(programs) | (programs.lengths == 1)
        programs = programs[is_allowed] if is_allowed.any() else programs
        return finisher.settled(programs, snap=finishing.snap)

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
        self._written: ScoredPrograms | None = None
        self._next_write = time.monotonic() + SECONDS_BETWEEN_FILES

    def __call__(self, standing: Standing) -> bool:
        request = self.search.optimizer.stopping.request
        if self.last is not None and standing.iteration >= self.last:
            request("niterations are done")
        if self.quit_key.is_pressed():
            request("q was typed")
        if self.early_stop is not None and self._is_good_enough():
            request("early_stop_condition is met")
        if self.write is not None:
            self._write_if_due(self.write)
        return self.callback is not None and bool(self.callback(standing))

    def _is_good_enough(self) -> bool:
        front = self.search.optimizer.front
        if front is self._judged:
            return False  # nothing new, and it was not before
        self._judged = front
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
    plan = {"n_inputs": len(names), "function_set": ["const"], "protected": False, "thresholds": []}
    library = Library(create_tokens(len(names), ["const"]), names)
    assert library.const_token is not None
    programs = ProgramBatch.from_rows([[library.const_token]])
    programs = replace(programs, constants=np.array([[rows.y[0]]]))
    found = Found(programs, np.zeros(1), np.ones(1), np.full(1, None))
    n_rows = rows.n_observations
    scatter = np.zeros((1, 1)) if n_rows > 1 else np.full((1, 1), np.nan)
    errors = ConstantErrors(rows.y[:1], scatter, np.ones(1, dtype=bool), n_rows - 1)
    return Equations(library, names, original_names, False, found, found, [errors], plan=plan)
