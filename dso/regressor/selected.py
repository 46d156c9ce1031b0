"""Equations of some inputs as equations of all, so that they take the user's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dso.library import FittedPolynomial
from dso.regressor.equations import Equations, Found
from dso.regressor.run_files import plan_library


def of_all_inputs(
    found: Equations,
    plan: dict[str, Any],
    selected: np.ndarray,
    names: Sequence[str],
    original_names: Sequence[str],
) -> Equations:
    """Return the same equations with a library of all inputs.

    Parameters
    ----------
    found : Equations
    plan : dict
        From what its library was made; see `library_plan`.
    selected : (d,) int
        Columns of the inputs that it has, of D.
    names, original_names : sequence of str
        Of all D.
    """
    n_all = len(names)
    moved = {f"x{i + 1}": f"x{column + 1}" for i, column in enumerate(selected.tolist())}
    complexities = {moved.get(name, name): value for name, value in plan["complexities"].items()}
    plan = {**plan, "n_inputs": n_all, "complexities": complexities}
    # Inputs come first in a library; the last entry answers for PAD, which is index -1.
    others = np.arange(len(selected), found.library.L) + n_all - len(selected)
    table = np.concatenate([selected, others, [-1]]).astype(np.int16)

    def moved_rows(rows: Found) -> Found:
        polynomials = np.full(len(rows), None)
        for b, one in enumerate(rows.polynomials):
            polynomials[b] = None if one is None else _widened(one, selected, n_all)
        programs = replace(rows.programs, tokens=table[rows.programs.tokens])
        return replace(rows, programs=programs, polynomials=polynomials)

    return Equations(
        plan_library(plan, names),
        names,
        original_names,
        found.protected,
        moved_rows(found.front),
        moved_rows(found.hall_of_fame),
        found.errors,
        found.criteria,
        plan,
    )


def _widened(polynomial: FittedPolynomial, selected: np.ndarray, n_all: int) -> FittedPolynomial:
    exponents = np.zeros((len(polynomial.exponents), n_all), dtype=polynomial.exponents.dtype)
    exponents[:, selected] = polynomial.exponents
    return replace(polynomial, exponents=exponents)
