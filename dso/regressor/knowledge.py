"""What is known of the answer, as the estimator is told; see `dso.task.regression.knowledge`."""

from __future__ import annotations

from collections.abc import Sequence

from dso.errors import UserError
from dso.task.regression.knowledge import Bounds, Convex, Monotone, Statement, Value

__all__ = ["Bounds", "Convex", "Monotone", "Statement", "Value", "check_statements"]


def check_statements(given: object) -> None:
    """Refuse what is not a list of statements."""
    if not isinstance(given, Sequence) or not all(isinstance(one, Statement) for one in given):
        raise UserError(
            f"knowledge: {given!r}; expected a list of Bounds, Monotone, Convex and Value."
        )
