"""Programs whose units are not consistent, kept where they fit much better than any whose are.

Units that are given by mistake must not keep the law from being found. But in noise a formula that
breaks them often fits a little better than the law. So what searches find that no units bind is
kept where its loss is less than half of that of anything consistent.
"""

from __future__ import annotations

import numpy as np

from dso.memory import Keeper
from dso.prior import JointPrior, UnitsConstraint
from dso.program import ProgramBatch
from dso.task.regression import RegressionTask

MUCH_BETTER = 0.5
"""Share of the loss of what is consistent."""


def break_units(prior: JointPrior, programs: ProgramBatch) -> np.ndarray:
    """Tell which programs (B,) have units that the prior forbids."""
    broken = prior.violations(programs)
    return broken.get(UnitsConstraint.__name__, np.zeros(len(programs), dtype=bool))


def break_units_alone(prior: JointPrior, programs: ProgramBatch) -> np.ndarray:
    """Tell which programs (B,) the prior forbids for their units, and for nothing else."""
    others = programs.lengths > prior.max_length
    for name, is_broken in prior.violations(programs).items():
        if name != UnitsConstraint.__name__:
            others = others | is_broken
    return break_units(prior, programs) & ~others


def are_much_better(
    losses: np.ndarray, is_consistent: np.ndarray, least_loss: float, best: float = np.inf
) -> np.ndarray:
    """Tell which losses (B,) are much less than those of consistent programs among them.

    Parameters
    ----------
    losses : (B,) float64
    is_consistent : (B,) bool
    least_loss : float
        Losses up to this are none but for rounding.
    best : float
        The least one of consistent programs elsewhere.
    """
    known = losses[is_consistent & np.isfinite(losses)]
    return np.maximum(losses, least_loss) < MUCH_BETTER * min(best, known.min(initial=np.inf))


def worth_seeing(
    prior: JointPrior,
    task: RegressionTask,
    keeper: Keeper,
    programs: ProgramBatch,
    losses: np.ndarray,
) -> np.ndarray:
    """Tell which programs (B,) that other searches have found a search is to see.

    Parameters
    ----------
    prior : JointPrior
    task : RegressionTask
    keeper : Keeper
        With what the search has found by itself.
    programs : ProgramBatch
    losses : (B,) float64
        Mean squared errors.
    """
    is_consistent = ~break_units(prior, programs)
    kept = keeper.pareto_front or keeper.hall_of_fame
    if is_consistent.all() or kept is None:
        return is_consistent
    rows = kept.rows
    known = task.losses(rows.programs, rows.rewards)[~break_units(prior, rows.programs)]
    best = float(np.min(known, initial=np.inf))
    return is_consistent | are_much_better(losses, is_consistent, task.least_loss, best)
