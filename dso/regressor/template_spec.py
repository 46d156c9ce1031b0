"""TemplateExpressionSpec: the form of every equation, as an argument of the estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TemplateExpressionSpec:
    """A formula with parts that are given and parts that are searched for.

    Attributes
    ----------
    combine : str
        ``"sin(f(x1, x2)) + g(x3)^2"``: each expression is called once, with the inputs that may
        occur in it. Parts may have names: ``"a = f(x1); b = g(x2); a^2 + b"``.
    expressions : sequence of str
        Names of the parts that are searched for.
    variable_names : sequence of str, optional
        Names of the columns of X in `combine`. Default: the names of the inputs.
    parameters : mapping, optional
        Name of a parameter to how many fitted constants it has: ``p[1]``, ``p[2]``, ..., or
        ``p[k]`` for one of each value of the column k.
    """

    combine: str
    expressions: Sequence[str]
    variable_names: Sequence[str] | None = None
    parameters: Mapping[str, int] | None = field(default=None)

    def to_config(self) -> dict[str, Any]:
        """Return the section ``task.template``."""
        names = self.variable_names
        combine = self.combine
        if isinstance(combine, str):
            combine = "; ".join(line.strip() for line in combine.splitlines() if line.strip())
        return {
            "combine": combine,
            "expressions": list(self.expressions),
            "variable_names": None if names is None else list(names),
            "parameters": dict(self.parameters or {}),
        }
