"""Which row of a front is a run's formula, decided in one place for pages and pictures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.runs.results import numbers

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = re.compile(r"(?<![\w.])[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?(?![\w.])", re.IGNORECASE)


def chosen_row(front: pd.DataFrame) -> int | None:
    """Return the row that the rule of selection chooses; None where the reward decides."""
    criterion = numbers(front, "criterion")
    return int(np.nanargmin(criterion)) if np.isfinite(criterion).any() else None


def picked_row(front: pd.DataFrame, result: dict[str, Any]) -> int | None:
    """Return the row of a front that a run has as its result; None where it stands in no row.

    Numbers of the result may have been rounded. A run that has not ended has no result yet: then
    the rule of selection, or else the reward, decides.

    Parameters
    ----------
    front : DataFrame
    result : dict
        The run's row of ``summary.csv``, empty before there is one.
    """
    if not len(front) or "traversal" not in front:
        return None
    texts = front["traversal"].fillna("").astype(str).tolist()
    wanted = result.get("traversal")
    if isinstance(wanted, str) and wanted:
        if wanted in texts:
            return texts.index(wanted)
        forms = [_NUMBER.sub("#", text) for text in texts]
        form = _NUMBER.sub("#", wanted)
        return forms.index(form) if form in forms else None
    if (chosen := chosen_row(front)) is not None:
        return chosen
    rewards = numbers(front, "r_val" if "r_val" in front else "r")
    return int(np.nanargmax(rewards)) if np.isfinite(rewards).any() else None
