"""How the policy of a run fares in changed environments: a table and a drawing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from dso.launch.play import anchor_of, policy_of
from dso.report.policy_data import describe_policy
from dso.report.policy_page import robustness_page
from dso.task.control.robustness import vary

if TYPE_CHECKING:
    import pandas as pd

TABLE, PAGE = "robustness.csv", "robustness.html"


def robustness(
    run_folder: str | os.PathLike[str],
    changes: Mapping[str, Sequence[float]],
    episodes: int = 100,
    seed: int | None = None,
) -> pd.DataFrame:
    """Play the policy of a run, and its anchor if there is one, while parameters change.

    The table is written as ``robustness.csv`` and drawn in ``robustness.html`` in the run folder.

    Parameters
    ----------
    run_folder : path
        See `dso.launch.play.play`.
    changes : mapping
        Per parameter its values, e.g. ``{"m": [0.8, 1.0], "g": [9, 10, 11]}``; one at a time is
        changed. A parameter is an argument of the environment (``wind_power``) or a number that
        its object has (``length``).
    episodes : int
        Of each value, with the seeds 0, 1, ...
    seed : int, optional
        Which of several runs in the folder; default: the best.

    Returns
    -------
    DataFrame
        parameter, value, mean, deviation, anchor (its mean return).
    """
    import pandas as pd

    policy, recipe, folder = policy_of(run_folder, seed)
    rows = vary(policy, recipe, changes, range(episodes), anchor_of(folder, recipe))
    table = pd.DataFrame([asdict(row) for row in rows])
    table.to_csv(folder / TABLE, index=False)
    page = robustness_page(describe_policy(policy), table.to_dict("records"))
    (folder / PAGE).write_text(page, encoding="utf-8")
    return table
