"""Rules that pick a row of a front: each gives a number per row, and the least is picked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dso.errors import unknown
from dso.selection.evidence import Evidence

NEAR_BEST = 1.5
"""`best` chooses among rows whose loss is at most this many times the least."""


def scores(losses: np.ndarray, complexities: np.ndarray) -> np.ndarray:
    """Return the fall of the logarithm of the loss per step of complexity, (B,); 0 at first.

    Losses below 0, which a metric of one's own may have, have no logarithm: they fall
    themselves.
    """
    found = np.zeros(len(losses))
    if (losses < 0).any():
        found[1:] = -np.diff(losses) / np.diff(complexities)
        return found
    with np.errstate(divide="ignore", invalid="ignore"):
        found[1:] = -np.diff(np.log(losses)) / np.diff(complexities)
    return found


def accuracy(losses: np.ndarray, complexities: np.ndarray) -> np.ndarray:
    """The least loss."""
    return losses


def score(losses: np.ndarray, complexities: np.ndarray) -> np.ndarray:
    """The greatest score."""
    return -scores(losses, complexities)


def best(losses: np.ndarray, complexities: np.ndarray) -> np.ndarray:
    """The greatest score among losses of at most 1.5 times the least."""
    least = losses.min()
    is_near = losses <= least + (NEAR_BEST - 1) * abs(least)
    return np.where(is_near, -scores(losses, complexities), np.inf)


def parsimony(evidence: Evidence) -> np.ndarray:
    """Akaike's criterion for few rows, and a price of tokens, in nats.

    n log(loss) / 2 + n p / (n - p - 1) + 2 T, for T tokens with K numbers fitted to n rows; p is
    K + 1, as the size of the errors is fitted too. It is infinite where rows do not suffice.
    """
    n, p = evidence.n_rows, evidence.n_numbers + 1
    with np.errstate(divide="ignore"):
        price = np.where(n > p + 1, n * p / (n - p - 1.0), np.inf)
    return n / 2 * evidence.log_losses + price + evidence.form_lengths


def bic(evidence: Evidence) -> np.ndarray:
    """Bayes's information criterion: n log(loss) + (K + 1) log(n), for K fitted numbers."""
    n = evidence.n_rows
    return n * evidence.log_losses + (evidence.n_numbers + 1) * np.log(n)


def mdl(evidence: Evidence) -> np.ndarray:
    """Description length in nats: n log(loss) / 2, the tokens, and the digits of their numbers."""
    return (
        evidence.n_rows / 2 * evidence.log_losses + evidence.form_lengths + evidence.number_lengths
    )


def validated(evidence: Evidence) -> np.ndarray:
    """The least squared error on rows that the row was not fitted to."""
    return evidence.validated


def one_se(evidence: Evidence) -> np.ndarray:
    """The simplest row whose validated error is within one standard error of the least."""
    errors = evidence.validated
    limit = errors.min() + evidence.standard_errors[errors.argmin()]
    return np.where(errors <= limit, evidence.complexities, np.inf)


OF_LOSSES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "best": best,
    "score": score,
    "accuracy": accuracy,
}
"""PySR's rules, exactly."""
OF_EVIDENCE: dict[str, Callable[[Evidence], np.ndarray]] = {
    "parsimony": parsimony,
    "mdl": mdl,
    "one_se": one_se,
    "validated": validated,
    "bic": bic,
}
"""Rules that look at the data again; without evidence they pick as `best` does."""
SELECTIONS = (*OF_EVIDENCE, *OF_LOSSES)
DEFAULT = SELECTIONS[0]


def criteria(
    losses: np.ndarray,
    complexities: np.ndarray,
    evidence: Evidence | None = None,
    scale: str = "log",
) -> dict[str, np.ndarray]:
    """Return what each rule compares, (B,) by its name; the row with the least is chosen.

    Parameters
    ----------
    losses, complexities : (B,) float64
        In ascending order of complexity.
    evidence : Evidence, optional
        None where losses are not squared errors.
    scale : {"log", "linear"}
        "linear": losses may be negative, so no ratio means anything and the least is chosen.
    """
    if len(losses) == 0:
        return {name: np.empty(0) for name in SELECTIONS}
    if scale == "linear":
        return dict.fromkeys(SELECTIONS, losses)
    found = {name: rule(losses, complexities) for name, rule in OF_LOSSES.items()}
    if evidence is None:
        return found | dict.fromkeys(OF_EVIDENCE, found["best"])
    rows = np.flatnonzero(evidence.is_eligible)
    for name, rule in OF_EVIDENCE.items():
        values = rule(evidence[rows])
        found[name] = np.full(len(losses), np.inf)
        # Where a rule admits none of them, the simplest is chosen.
        is_admitted = np.isfinite(values).any()
        found[name][rows] = values if is_admitted else complexities[rows]
    return found


def check_rule(name: str, where: str = "model_selection") -> None:
    """Refuse what is not a rule.

    Raises
    ------
    UserError
        Naming the nearest.
    """
    if name not in SELECTIONS:
        raise unknown(where, name, SELECTIONS)
