"""Quantities in other units: what a rule of units says about the values of an operator."""

from __future__ import annotations

import numpy as np

from dso.library.unit_rules import FREE, LIKE_VALUE, LinearRule


def rescaled(
    rule: LinearRule, arguments: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Return arguments (n, N) in other units, and by which factor the value has to change."""
    one, sizes = random.uniform(0.5, 2.0), random.uniform(0.5, 2.0, len(arguments))
    if rule.kind == "ratios":
        factor = one**rule.value
        powers = [float(w) if w != FREE else np.nan for w in rule.weights]
        factors = np.where(np.isnan(powers), sizes, one ** np.nan_to_num(powers))
    else:
        factor = float(np.prod([sizes[i] ** float(power) for i, power in rule.counting]))
        factors = np.array(
            [1.0 if w == 0 else size for w, size in zip(rule.weights, sizes, strict=True)]
        )
        factors[[w == LIKE_VALUE for w in rule.weights]] = factor
    return factors[:, None] * arguments, factor
