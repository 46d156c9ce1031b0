"""LaTeX: one expression, and tables of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dso.program.symbolic import exchanged, to_latex

COLUMNS = ("equation", "complexity", "loss", "score")
MULTILINE_ABOVE = 50
"""Characters of an equation from which on it may break into lines."""


@dataclass(frozen=True)
class LatexRow:
    """One line of a table.

    Attributes
    ----------
    expression : sympy expression
    complexity : float
    loss, score : float
    """

    expression: Any
    complexity: float
    loss: float
    score: float


def latex(expression: Any, precision: int | None = 3) -> str:
    """Return a sympy expression as LaTeX.

    Parameters
    ----------
    expression : sympy expression
    precision : int or None
        Significant digits of its numbers; None for all.
    """
    import sympy

    if precision is not None:
        rounded = {
            number: sympy.Float(number, precision) for number in expression.atoms(sympy.Float)
        }
        expression = exchanged(expression, rounded)
    return to_latex(expression)


def latex_number(value: float, precision: int) -> str:
    """Return a number as LaTeX, with this many significant digits."""
    text = f"{value:.{precision}g}"
    if "e" in text:
        digits, exponent = text.split("e")
        return rf"{digits} \cdot 10^{{{int(exponent)}}}"
    return text.replace("inf", r"\infty")


def latex_table(
    rows: Sequence[LatexRow],
    precision: int = 3,
    columns: Sequence[str] = COLUMNS,
    target: str = "y",
) -> str:
    """Return a table in the manner of booktabs; long equations break into lines by breqn.

    Parameters
    ----------
    rows : sequence of LatexRow
    precision : int
        Significant digits of all numbers.
    columns : sequence of str
        Of `COLUMNS`, in the order wanted.
    target : str
        Left side of the equations, as LaTeX.
    """
    alignment = "".join("l" if column == "equation" else "c" for column in columns)
    head = " & ".join(column.capitalize() for column in columns)
    lines = [
        "% needs \\usepackage{breqn} and \\usepackage{booktabs}",
        r"\begin{table}[h]",
        r"\begin{center}",
        rf"\begin{{tabular}}{{@{{}}{alignment}@{{}}}}",
        r"\toprule",
        head + r" \\",
        r"\midrule",
    ]
    lines += [
        " & ".join(_cell(row, column, precision, target) for column in columns) + r" \\"
        for row in rows
    ]
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{center}", r"\end{table}"]
    return "\n".join(lines)


def _cell(row: LatexRow, column: str, precision: int, target: str) -> str:
    if column == "equation":
        text = f"{target} = {latex(row.expression, precision)}"
        if len(text) <= MULTILINE_ABOVE:
            return f"${text}$"
        inner = rf"\vspace{{-1em}} \begin{{dmath*}} {text} \end{{dmath*}}"
        return rf"\begin{{minipage}}{{0.8\linewidth}} {inner} \end{{minipage}}"
    if column == "complexity":
        return f"${row.complexity:g}$"
    return f"${latex_number(getattr(row, column), precision)}$"
