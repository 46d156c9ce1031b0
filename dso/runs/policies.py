"""Which file of a run folder holds the policy of one seed, or of the best run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dso.errors import UserError
from dso.runs.results import RunResults, numbers

SUFFIX = "_policy.json"


def policy_files(folder: Path) -> dict[int, Path]:
    """Return the policies of a folder by seed; empty where there are none."""
    files = sorted(folder.glob(f"dso_*{SUFFIX}")) if folder.is_dir() else []
    return {int(file.name.removesuffix(SUFFIX).rpartition("_")[2]): file for file in files}


def policy_file(folder: Path, seed: int | None = None) -> Path:
    """Return the file of a policy.

    Parameters
    ----------
    folder : Path
    seed : int, optional
        Of the run; default: the one with the best return in the test episodes.

    Raises
    ------
    UserError
        If the folder has no policy, or none of this seed.
    """
    files = policy_files(folder)
    if not files:
        raise UserError(f"{folder}: has no policy; a control run writes one when it ends.")
    if seed is not None:
        if seed not in files:
            known = ", ".join(map(str, sorted(files)))
            raise UserError(f"{folder}: no policy with seed {seed}; there are {known}.")
        return files[seed]
    summary = RunResults(folder).summary()
    column = "r_avg_test" if "r_avg_test" in summary else "r"
    seeds, results = numbers(summary, "seed"), numbers(summary, column)
    standing = dict(zip(seeds.tolist(), np.nan_to_num(results, nan=-np.inf).tolist(), strict=True))
    return files[max(files, key=lambda one: standing.get(one, -np.inf))]
