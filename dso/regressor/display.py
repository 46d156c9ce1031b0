"""The table of equations that people see: as text, and as HTML."""

from __future__ import annotations

from html import escape
from typing import Any

from dso.regressor.equations import Equations
from dso.regressor.equations import as_text as equation_text

PRECISION = 5
"""Significant digits of numbers in tables."""
HEADS = ("pick", "score", "equation", "loss", "complexity")
MARK = ">>>>"


def short_text(expression: Any) -> str:
    """Return a sympy expression as text with short numbers."""
    import sympy

    numbers = expression.atoms(sympy.Float)
    return equation_text(expression.xreplace({n: sympy.Float(n, PRECISION) for n in numbers}))


def _shown(equations: Equations, i: int) -> str:
    try:
        return short_text(equations.short_sympy(i))
    except Exception:  # nested too deeply for sympy
        return equations.texts[i]


def cells(equations: Equations, strategy: str) -> list[tuple[str, ...]]:
    """Return the rows of the table, in the columns of `HEADS`."""
    chosen = equations.select(strategy) if len(equations) else -1
    return [
        (
            MARK if i == chosen else "",
            f"{max(score, 0.0):.{PRECISION}g}",
            _shown(equations, i),
            f"{loss:.{PRECISION}g}",
            f"{complexity:g}",
        )
        for i, (score, loss, complexity) in enumerate(
            zip(
                equations.scores,
                equations.front.losses,
                equations.front.complexities,
                strict=True,
            )
        )
    ]


def as_text(name: str, targets: list[Equations], strategy: str) -> str:
    """Return one table for each target."""
    return (
        f"{name}.equations_ = [\n"
        + ",\n".join(_table(cells(equations, strategy)) for equations in targets)
        + "\n]"
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    numbered = [("", *HEADS), *((str(i), *row) for i, row in enumerate(rows))]
    widths = [max(map(len, column)) for column in zip(*numbered, strict=True)]
    return "\n".join(
        "  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in numbered
    )


def as_html(targets: list[Equations], strategy: str) -> str:
    """Return the same for a notebook."""
    return "\n".join(_html_table(cells(equations, strategy)) for equations in targets)


def _html_table(rows: list[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("", *HEADS))
    lines = []
    for i, row in enumerate(rows):
        style = ' style="font-weight: bold"' if row[0] else ""
        columns = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        lines.append(f"<tr{style}><th>{i}</th>{columns}</tr>")
    body = "\n".join(lines)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
