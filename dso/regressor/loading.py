"""Models of run folders: those of fits, and those of runs with any config."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dso.errors import unknown
from dso.plugins import references
from dso.regressor.equations import Equations
from dso.regressor.run_files import is_of_estimator, read_equations, read_estimator
from dso.regressor.run_folders import read_run


@dataclass(frozen=True)
class LoadedModel:
    """What the folder of a fit, or of a run, says of a model.

    Attributes
    ----------
    parameters : dict
        Arguments of the estimator.
    targets : list of Equations
    target_names : list of str
    names : list of str or None
        Those of a data frame's columns; None where the inputs had none.
    original_names, display_names : list of str
        See `Equations`.
    """

    parameters: dict[str, Any]
    targets: list[Equations]
    target_names: list[str]
    names: list[str] | None
    original_names: list[str]
    display_names: list[str]


def load_model(
    folder: Path,
    seed: int | None,
    allow_code: Collection[str],
    parameters: dict[str, Any],
    known: Sequence[str],
) -> LoadedModel:
    """Read the model of a folder; see `DeepSymbolicRegressor.from_file`.

    Parameters
    ----------
    folder : Path
    seed : int, optional
    allow_code : collection of str
    parameters : dict
        Replace those of the fit.
    known : sequence of str
        The parameters that there are.

    Raises
    ------
    UserError
        If no model can be read, or one of the parameters is unknown.
    """
    if not is_of_estimator(folder):
        equations = read_run(folder, seed, allow_code)
        numbered = [f"x{i + 1}" for i in range(len(equations.names))]
        originals = list(equations.original_names)
        return LoadedModel(
            {"config": str(folder / "config.json"), **parameters},
            [equations],
            ["y"],
            None if originals == numbered else originals,
            originals,
            list(equations.names),
        )
    saved = read_estimator(folder, [*allow_code, *references(parameters)])
    given = {**saved.parameters, **parameters}
    if wrong := [name for name in given if name not in known]:
        raise unknown("parameter", wrong[0], known, f"from_file({str(folder)!r})")
    targets = read_equations(saved)
    if len(targets) < saved.nout:
        logging.getLogger("dso").warning(
            "%s: %d of %d targets have been begun so far.", folder, len(targets), saved.nout
        )
    return LoadedModel(
        given,
        targets,
        saved.target_names[: len(targets)],
        saved.feature_names_in,
        saved.original_names,
        saved.display_feature_names_in,
    )
