"""The files of a fit: PySR's hall_of_fame.csv, and what the estimator is rebuilt from."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.fitting.uncertainty import ConstantErrors
from dso.library import FittedPolynomial, Library, create_tokens
from dso.program import ProgramBatch
from dso.regressor.equations import Equations, Found
from dso.runs.folder import write_text
from dso.task.regression.benchmarks import function_sets
from dso.task.regression.regression import DEFAULT_FUNCTION_SET

FILE = "estimator.json"
FORMAT = 1


def new_run_id() -> str:
    """Return a name for a run: date, time, and something that no other run has."""
    return f"{time.strftime('%Y%m%d_%H%M%S')}_{secrets.token_hex(3)}"


class RunFiles:
    """Writes the files of a fit.

    Parameters
    ----------
    folder : Path
        Made when the first file is written.
    header : dict
        What is written of the estimator beside its equations; see `read_estimator`.
    n_targets : int
    """

    def __init__(self, folder: Path, header: dict[str, Any], n_targets: int) -> None:
        self.folder = folder
        self.header = header
        self.n_targets = n_targets

    def write(self, targets: Sequence[Equations], libraries: Sequence[dict[str, Any]]) -> None:
        """Replace the files, each atomically.

        Parameters
        ----------
        targets : sequence of Equations
            Those that there are so far.
        libraries : sequence of dict
            From what each library is made; see `library_plan`.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"output_directory: {str(self.folder)!r} cannot be made ({error.strerror})."
            ) from None
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
    }


def read_estimator(folder: Path) -> dict[str, Any]:
    """Return what `RunFiles` wrote last.

    Raises
    ------
    UserError
        If there is nothing that can be read.
    """
    path = folder / FILE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"run_directory: {str(path)!r} cannot be read ({error.strerror}). It is written by a "
            "fit with output_directory, some seconds after it has started."
        ) from None
    except ValueError:
        raise UserError(f"run_directory: {str(path)!r} is not a file of dso.") from None
    if state.get("format") != FORMAT:
        raise UserError(
            f"run_directory: {str(path)!r} has the format {state.get('format')!r}; this version "
            f"reads {FORMAT}."
        )
    return state


def read_equations(state: dict[str, Any]) -> list[Equations]:
    """Rebuild the equations of each target from what `read_estimator` returned."""
    return [_equations(target, state) for target in state["targets"]]


def _equations(plain: dict[str, Any], state: dict[str, Any]) -> Equations:
    plan, errors = plain["library"], plain["errors"]
    functions, thresholds = plan["function_set"], plan["thresholds"]
    tokens = create_tokens(plan["n_inputs"], functions, plan["protected"], thresholds)
    return Equations(
        Library(tokens, state["display_feature_names_in"]),
        state["display_feature_names_in"],
        state["original_names"],
        plan["protected"],
        _found(plain["front"]),
        _found(plain["hall_of_fame"]),
        None if errors is None else [_errors(one) for one in errors],
    )


def _plain_equations(equations: Equations) -> dict[str, Any]:
    errors = equations.errors
    return {
        "front": _plain_found(equations.front),
        "hall_of_fame": _plain_found(equations.hall_of_fame),
        "errors": None if errors is None else [_plain_errors(one) for one in errors],
    }


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


def _found(plain: dict[str, Any]) -> Found:
    batch = ProgramBatch.from_rows(plain["tokens"])
    n_slots = max(map(len, plain["constants"]), default=0)
    constants = np.full((len(batch), n_slots), np.nan)
    for b, row in enumerate(plain["constants"]):
        constants[b, : len(row)] = row
    programs = ProgramBatch(batch.tokens, batch.lengths, constants)
    polynomials = np.full(len(batch), None)
    for b, one in enumerate(plain["polynomials"]):
        if one is not None:
            exponents = np.array(one["exponents"], dtype=np.int32).reshape(-1, one["n_inputs"])
            polynomials[b] = FittedPolynomial(exponents, np.array(one["coefficients"]))
    return Found(programs, np.array(plain["losses"]), np.array(plain["complexities"]), polynomials)


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


def _errors(plain: dict[str, Any]) -> ConstantErrors:
    n_constants = len(plain["values"])
    return ConstantErrors(
        np.array(plain["values"]),
        np.reshape(plain["covariance"], (n_constants, n_constants)),
        np.array(plain["is_determined"], dtype=bool),
        plain["degrees_of_freedom"],
    )


def _plain_number(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")
