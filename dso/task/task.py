"""The base class of tasks: a task owns a library of tokens and says how good a program is.

A user's task derives from `Task`, sets `library`, `name` and `stochastic`, and defines
`reward_function` and `evaluate`. A task that can score many programs at once also defines
``rewards(programs) -> Rewards``, which is then used instead of `reward_function`. Where a class is
derived from one with ``rewards`` and overrides `reward_function` alone, the override decides.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dso.pacing import IsOver
from dso.program.execute import Execution

if TYPE_CHECKING:
    import numpy as np

    from dso.fitting.objective import Objective
    from dso.fitting.polynomial_fitter import PolynomialFitter
    from dso.library import Library
    from dso.library.template import Template
    from dso.program import FitData, Program, ProgramBatch
    from dso.streams import Stream
    from dso.units import Quantities


class Fitter(Protocol):
    """Gives programs numbers for their `const`; those given with a program stay."""

    def fit(self, programs: ProgramBatch, first: np.ndarray | None = None) -> ProgramBatch:
        """Return programs with their constants (B, K), NaN where a program has no further one.

        `first` (B, K'), where given, is where a fit starts; NaN leaves that open.
        """

    def of(self, task: Any) -> Fitter:
        """Return a fitter with the same options for another task."""


Rewards = Execution
"""What a task answers: `values` (B,) are rewards, `cause` and `node` say what is invalid."""


class Task(ABC):
    """Base of all tasks.

    Attributes
    ----------
    library : Library
        The tokens that programs are made of.
    name : str
        Used in file names.
    stochastic : bool
        Whether the same program can be rewarded differently; if so, rewards are not cached.
    n_threads : int
        Threads that ``rewards`` may use; its results do not depend on them.
    n_candidates : int
        How many of a run's best programs `final_choice` is to see; 0: the best is the result.
    protected : bool
        Whether programs are executed in protected mode.
    invalid_reward : float, optional
        The reward of a program whose own is not finite. Default: the worst of its batch.
    fit_data : FitData, optional
        Rows that `const` is fitted to and the search by values looks at.
    is_least_squares : bool
        Whether the least squared error on `fit_data` has the greatest reward.
    objective : Objective, optional
        Something else whose least value on `fit_data` does.
    polynomials : PolynomialFitter, optional
        What fits the polynomials of programs to `fit_data`; a library with `poly` needs it.
    learns : bool
        Whether there is anything to search for.
    guesses : ProgramBatch, optional
        Programs that join the first batch, off policy. Their numbers stay as given.
    template : Template, optional
        The form of every program.
    in_holes : sequence of str
        Names of the tokens that its holes may have, besides inputs.
    quantities : Quantities, optional
        The units of the columns.
    units_penalty : float, optional
        What inconsistent programs lose; None: they are not written.
    n_train_rows, n_search_rows, n_validation_rows : int
        Rows of training data, those of them that a search sees at a time (`on_drawn_rows`), and
        rows set aside to rank programs by (`validation_rewards`); 0 for a task without data.
    """

    library: Library
    name: str
    stochastic: bool = False
    n_threads: int = 1
    n_candidates: int = 0
    protected: bool = False
    invalid_reward: float | None = None
    fit_data: FitData | None = None
    is_least_squares: bool = False
    objective: Objective | None = None
    polynomials: PolynomialFitter | None = None
    learns: bool = True
    guesses: ProgramBatch | None = None
    template: Template | None = None
    in_holes: Sequence[str] = ()
    quantities: Quantities | None = None
    units_penalty: float | None = None
    n_train_rows: int = 0
    n_search_rows: int = 0
    n_validation_rows: int = 0

    @abstractmethod
    def reward_function(self, program: Program, optimizing: bool = False) -> float:
        """Return the reward of one program.

        Parameters
        ----------
        program : Program
        optimizing : bool
            Whether the program's constants are being fitted. Tasks without constants may leave
            this argument out.
        """

    def rewards(self, programs: ProgramBatch) -> Rewards:
        """Reward a batch of B programs; optional, and then asked in place of `reward_function`."""
        raise NotImplementedError

    def rewards_in_time(self, programs: ProgramBatch, is_over: IsOver) -> Rewards:
        """Reward the first of a batch, at least one, as many as there is time for.

        Optional, for a task whose batches take long; `dso.pacing.parts` helps.
        """
        raise NotImplementedError

    def fitting_rewards(self, programs: ProgramBatch) -> np.ndarray | None:
        """Reward a batch, (B,), whose constants are being fitted; optional.

        None: `reward_function` is asked for one program after the other.
        """
        return None

    def make_fitter(self) -> Fitter | None:
        """Return what gives `const` its numbers, where the task knows a better way than others."""
        return None

    @abstractmethod
    def evaluate(self, program: Program) -> dict[str, Any]:
        """Return what is worth knowing of a program besides its reward.

        The keys become columns of the result files; a true ``success`` stops the run early.
        """

    def evaluate_row(self, program: Program) -> dict[str, Any]:
        """Return what `evaluate` does, perhaps of fewer cases: called for each row of a table."""
        return self.evaluate(program)

    def on_drawn_rows(self, stream: Stream) -> Task:
        """Return the same task on `n_search_rows` random training rows."""
        raise NotImplementedError

    def validation_rewards(self, programs: ProgramBatch) -> Rewards:
        """Reward programs, constants and all, on the rows set aside."""
        raise NotImplementedError

    def final_evaluation(self, program: Program) -> dict[str, Any]:
        """Return what `evaluate` does, at any cost: called only when a run ends."""
        return self.evaluate(program)

    def final_choice(self, programs: Sequence[Program], is_over: IsOver | None = None) -> Program:
        """Return the result of a run, given its best programs, the best first.

        Once `is_over` is true, what is known then decides.
        """
        return programs[0]

    def criterion(
        self, programs: ProgramBatch, rewards: np.ndarray, complexities: np.ndarray
    ) -> np.ndarray | None:
        """Return what decides between the programs of the Pareto front, (B,): the least wins.

        None: nothing but the rewards.
        """
        return None

    def write_result(  # noqa: B027, most tasks leave nothing
        self, program: Program, file: Callable[[str], Path]
    ) -> None:
        """Write files of a run in addition to its tables: none.

        Parameters
        ----------
        program : Program
            The result of the run.
        file : callable
            Gives the path of a file of the run by its suffix, as ``file("_policy.json")``.
        """


def rewards_batches(task: Task) -> bool:
    """Tell whether a task is asked for the rewards of a batch, not of one program after the other.

    The class that is derived last decides: it has `rewards`, or it has only `reward_function`,
    which is then what its author wants programs to be rewarded by.
    """
    return _derived_last_has(task, "rewards", "reward_function")


def heeds_time(task: Task) -> bool:
    """Tell whether a task is asked by `rewards_in_time`.

    It is not where a class derived from the one that has it overrides `rewards` alone.
    """
    return _derived_last_has(task, "rewards_in_time", "rewards")


def _derived_last_has(task: Task, name: str, other: str) -> bool:
    """Tell whether the last class with one of two methods, `Task` aside, has the first of them."""
    for one in type(task).__mro__:
        if name in vars(one):
            return one is not Task
        if other in vars(one):
            return False
    return False


def has_own_reward(task: Task) -> bool:
    """Tell whether a `reward_function` takes the place of the `rewards` of a class above it."""
    return type(task).rewards is not Task.rewards and not rewards_batches(task)


class HierarchicalTask(Task):
    """A task whose programs are expression trees."""


class SequentialTask(Task):
    """A task whose programs are plain sequences."""
