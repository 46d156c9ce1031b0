"""Checks of the estimator's arguments that need no other import."""

from __future__ import annotations

from typing import Any

OF_Y = (
    *("constraints", "nested_constraints", "maxdepth", "occurrences", "every_input"),
    *("complexity_of_operators", "complexity_of_constants", "complexity_of_variables"),
    *("complexity_mapping", "guesses", "expression_spec", "knowledge_penalty"),
)
"""Arguments about the form of an equation of y."""


def asks_of_y(estimator: Any) -> list[str]:
    """Return those of `OF_Y` that are given."""
    return [name for name in OF_Y if getattr(estimator, name) not in (None, False)]
