"""The files of a fit: PySR's hall_of_fame.csv, and what the estimator is rebuilt from."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from dso.errors import UserError
from dso.files import read_regular
from dso.fitting.uncertainty import ConstantErrors
from dso.library import FittedPolynomial, Library, create_tokens, with_complexities
from dso.plugins import references, refuse_code
from dso.program import ProgramBatch
from dso.reduction import Reduced, Reduction
from dso.regressor.equations import Equations, Found
from dso.regressor.saved import FORMAT, SavedErrors, SavedEstimator, SavedFound, SavedTarget
from dso.runs.disk import cause, write_text
from dso.task.regression.benchmarks import function_sets
from dso.task.regression.regression import DEFAULT_FUNCTION_SET
from dso.units import Quantities

FILE = "estimator.json"
MAX_BYTES = 2**30
FUNCTIONS = ("function_set", "operators", "binary_operators", "unary_operators")


def is_of_estimator(folder: Path) -> bool:
    """Tell whether a fit of the estimator has written a folder."""
    return (folder / FILE).exists()


def new_run_id() -> str:
    """Return a name for a run: date, time, and something that no other run has."""
    return f"{time.strftime('%Y%m%d_%H%M%S')}_{secrets.token_hex(3)}"


class RunFiles:
    """Writes the files of a fit.

    Parameters
    ----------
    folder : Path
        Made again if it was deleted.
    header : dict
        What is written of the estimator besides its equations; see `read_estimator`.
    n_targets : int
    """

    def __init__(self, folder: Path, header: dict[str, Any], n_targets: int) -> None:
        self.folder = folder
        self.header = header
        self.n_targets = n_targets

    def make_folder(self) -> None:
        """Make the folder, before a search that could not leave its files there.

        Raises
        ------
        UserError
            If it cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise UserError(
                f"output_directory: {str(self.folder)!r} cannot be made ({cause(error)})."
            ) from None

    def write(self, targets: Sequence[Equations], libraries: Sequence[dict[str, Any]]) -> None:
        """Replace the files, each atomically.

        Parameters
        ----------
        targets : sequence of Equations
            Those that there are so far.
        libraries : sequence of dict
            From what each library is made; see `library_plan`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for k, equations in enumerate(targets):
            suffix = f"_output{k + 1}" if self.n_targets > 1 else ""
            write_text(self.folder / f"hall_of_fame{suffix}.csv", pysr_csv(equations))
        plain = [
            {"library": library, **_plain_equations(equations)}
            for library, equations in zip(libraries, targets, strict=True)
        ]
        state = {"format": FORMAT, **self.header, "targets": plain}
        write_text(self.folder / FILE, json.dumps(state, indent=1, default=_plain_number) + "\n")


def pysr_csv(equations: Equations) -> str:
    """Return the front in the format of PySR's hall_of_fame.csv."""
    lines = ["Complexity,Loss,Equation"]
    front = equations.front
    for i, text in enumerate(equations.texts):
        lines.append(f'{front.complexities[i]:g},{float(front.losses[i])!r},"{text}"')
    return "\n".join(lines) + "\n"


def library_plan(task_section: dict[str, Any], n_inputs: int) -> dict[str, Any]:
    """Return from what a library is made."""
    functions = task_section["function_set"]
    return {
        "n_inputs": n_inputs,
        "function_set": function_sets()[DEFAULT_FUNCTION_SET] if functions is None else functions,
        "protected": task_section["protected"],
        "thresholds": task_section["decision_tree_threshold_set"],
        "complexities": task_section["complexities"],
    }


def plan_library(plan: dict[str, Any], names: Sequence[str]) -> Library:
    """Return the library that `library_plan` describes, with names for its inputs."""
    functions, thresholds = plan["function_set"], plan["thresholds"]
    tokens = create_tokens(plan["n_inputs"], functions, plan["protected"], thresholds)
    return Library(with_complexities(tokens, plan["complexities"]), names)


def read_estimator(folder: Path, allow_code: Collection[str] = ()) -> SavedEstimator:
    """Return what `RunFiles` wrote last.

    Parameters
    ----------
    folder : Path
    allow_code : collection of str
        Modules, or ``module:name``, that it may have imported; see `dso.plugins.refuse_code`.

    Raises
    ------
    UserError
        If there is nothing that can be read, or it names code that is not allowed.
    """
    path = folder / FILE
    where = f"run_directory: {str(path)!r}"
    try:
        content = read_regular(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{where} cannot be read ({cause(error)}). It is written by a fit with "
            "output_directory, some seconds after it has started."
        ) from None
    try:
        state = json.loads(content)
        form = state["format"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise UserError(f"{where} is not a file of dso.") from None
    if form != FORMAT:
        raise UserError(f"{where} has the format {form!r}; this version reads {FORMAT}.")
    try:
        saved = SavedEstimator.model_validate(state)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise UserError(f"{where} is damaged: {place}: {first['msg']}.") from None
    functions = [target.library.function_set for target in saved.targets]
    later = [saved.parameters.get(name) for name in ("config", *FUNCTIONS)]  # by another fit
    refuse_code(
        references([*functions, *later]), allow_code, where, 'from_file(..., allow_code=["module"])'
    )
    return saved


def read_equations(saved: SavedEstimator) -> list[Equations]:
    """Rebuild the equations of each target from what `read_estimator` returned.

    Raises
    ------
    UserError
        If programs do not fit their library.
    """
    try:
        return [_equations(target, saved) for target in saved.targets]
    except (ValueError, OverflowError) as error:
        raise UserError(f"run_directory: '{FILE}' is damaged: {error}") from None


def _equations(target: SavedTarget, saved: SavedEstimator) -> Equations:
    plan, names = target.library, saved.display_feature_names_in
    library = plan_library(plan.model_dump(), names)
    for found in (target.front, target.hall_of_fame):
        found.check(library, plan.n_inputs)
    equations = Equations(
        library,
        names,
        saved.original_names,
        plan.protected,
        _found(target.front),
        _found(target.hall_of_fame),
        None if target.errors is None else [_errors(one) for one in target.errors],
        {name: np.array(values) for name, values in target.criteria.items()} or None,
        plan.model_dump(),
        None if target.units is None else target.units.rebuilt(names),
        None if target.reductions is None else target.reductions.rebuilt(names),
        target.obeyed,
    )
    for i in range(len(equations)):
        equations.program(i)  # which looks whether it is a whole one
    return equations


def _plain_equations(equations: Equations) -> dict[str, Any]:
    errors = equations.errors
    return {
        "front": _plain_found(equations.front),
        "hall_of_fame": _plain_found(equations.hall_of_fame),
        "errors": None if errors is None else [_plain_errors(one) for one in errors],
        "criteria": {name: values.tolist() for name, values in equations.criteria.items()},
        "units": _plain_units(equations.quantities),
        "reductions": _plain_reductions(equations.reductions),
        "obeyed": equations.obeyed,
    }


def _plain_units(quantities: Quantities | None) -> dict[str, Any] | None:
    if quantities is None:
        return None
    target = quantities.target
    return {
        "inputs": [None if unit is None else unit.text for unit in quantities.inputs],
        "target": None if target is None else target.text,
        "pure_constants": quantities.pure_constants,
    }


def _plain_reductions(found: Reduced | None) -> dict[str, Any] | None:
    if found is None:
        return None
    plain = found._asdict()
    plain["reductions"] = [_plain_reduction(reduction) for reduction in found.reductions]
    if found.separation is not None:
        plain["separation"] = {
            "reduction": _plain_reduction(found.separation.reduction),
            "is_product": found.separation.is_product,
            "groups": found.separation.groups,
            "factors": found.separation.factors,
        }
    return plain


def _plain_reduction(reduction: Reduction) -> dict[str, Any]:
    plain = asdict(reduction)
    del plain["names"]  # which are those of the inputs
    return plain


def _plain_found(found: Found) -> dict[str, Any]:
    programs = found.programs
    constants = [row[~np.isnan(row)].tolist() for row in programs.constants]
    return {
        "tokens": [programs.row(b).tolist() for b in range(len(found))],
        "constants": constants,
        "losses": found.losses.tolist(),
        "complexities": found.complexities.tolist(),
        "polynomials": [_plain_polynomial(one) for one in found.polynomials],
    }


def _found(saved: SavedFound) -> Found:
    programs = ProgramBatch.from_rows(saved.tokens, saved.constants)
    polynomials = np.full(len(programs), None)
    for b, one in enumerate(saved.polynomials):
        polynomials[b] = None if one is None else one.rebuilt()
    return Found(programs, np.array(saved.losses), np.array(saved.complexities), polynomials)


def _plain_polynomial(polynomial: FittedPolynomial | None) -> dict[str, Any] | None:
    if polynomial is None:
        return None
    return {
        "n_inputs": polynomial.exponents.shape[1],
        "exponents": polynomial.exponents.tolist(),
        "coefficients": polynomial.coefficients.tolist(),
    }


def _plain_errors(errors: ConstantErrors) -> dict[str, Any]:
    return {
        "values": errors.values.tolist(),
        "covariance": errors.covariance.tolist(),
        "is_determined": errors.is_determined.tolist(),
        "degrees_of_freedom": errors.degrees_of_freedom,
    }


def _errors(saved: SavedErrors) -> ConstantErrors:
    n_constants = len(saved.values)
    return ConstantErrors(
        np.array(saved.values),
        np.reshape(saved.covariance, (n_constants, n_constants)),
        np.array(saved.is_determined, dtype=bool),
        saved.degrees_of_freedom,
    )


def _plain_number(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")
