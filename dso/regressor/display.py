"""The table of equations that users see, as text and as HTML."""

from __future__ import annotations

import textwrap
from html import escape
from typing import Any

from dso.errors import UserError
from dso.export import latex
from dso.program.symbolic import short_text
from dso.regressor.equations import Equations
from dso.regressor.options import is_whole

HEADS = ("pick", "score", "loss", "complexity", "equation")
MARK = ">>>>"
WIDTH = 100
"""Width of the text in columns; longer equations are continued on the next line."""
MAX_DIGITS = 17
"""That tell any two numbers apart."""


def check_precision(precision: Any) -> None:
    """Refuse what is not a number of significant digits; files may hold anything."""
    if not is_whole(precision) or not 1 <= precision <= MAX_DIGITS:
        raise UserError(
            f"print_precision: {precision!r}; expected a whole number from 1 to {MAX_DIGITS}."
        )


def heads(equations: Equations) -> tuple[str, ...]:
    """Return the columns of a table: no score where losses may be negative."""
    return HEADS if equations.loss_scale == "log" else tuple(h for h in HEADS if h != "score")


def figures(equations: Equations, strategy: str, precision: int) -> list[tuple[str, ...]]:
    """Return the rows of the table without the equations, in the columns of `heads`."""
    chosen = equations.select(strategy) if len(equations) else -1
    front = equations.front
    rows = zip(equations.scores, front.losses, front.complexities, strict=True)
    return [
        (
            MARK if i == chosen else "",
            *([f"{max(score, 0.0):.{precision}g}"] if equations.loss_scale == "log" else []),
            f"{loss:.{precision}g}",
            f"{complexity:g}",
        )
        for i, (score, loss, complexity) in enumerate(rows)
    ]


def as_text(name: str, targets: list[Equations], strategy: str, precision: int) -> str:
    """Return one table for each target, its numbers to `precision` significant digits."""
    check_precision(precision)
    return (
        f"{name}.equations_ = [\n"
        + ",\n".join(_table(equations, strategy, precision) for equations in targets)
        + "\n]"
    )


def _table(equations: Equations, strategy: str, precision: int) -> str:
    rows: list[tuple[str, ...]] = [("", *heads(equations)[:-1])]
    for i, cells in enumerate(figures(equations, strategy, precision)):
        rows.append((str(i), *cells))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    texts = [_text(equations, i, precision) for i in range(len(equations))]
    lines = []
    for row, text in zip(rows, [_head(equations), *texts], strict=True):
        start = "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        start = f"  {start}  "
        lines += textwrap.wrap(
            text,
            WIDTH,
            initial_indent=start,
            subsequent_indent=" " * (len(start) + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def _head(equations: Equations) -> str:
    """Return the head of the equations, with units where there are any."""
    if equations.quantities is None:
        return HEADS[-1]
    return f"{HEADS[-1]} of {equations.units_text()}"


def as_html(targets: list[Equations], strategy: str, precision: int) -> str:
    """Return the same for a notebook, whose MathJax sets the equations."""
    check_precision(precision)
    return "\n".join(_html_table(equations, strategy, precision) for equations in targets)


def _html_table(equations: Equations, strategy: str, precision: int) -> str:
    head = "".join(
        f"<th>{name}</th>" for name in ("", *heads(equations)[:-1], escape(_head(equations)))
    )
    lines = []
    for i, row in enumerate(figures(equations, strategy, precision)):
        style = ' style="font-weight: bold"' if row[0] else ""
        cells = [*map(escape, row), _mathematics(equations, i, precision)]
        columns = "".join(f"<td>{cell}</td>" for cell in cells)
        lines.append(f"<tr{style}><th>{i}</th>{columns}</tr>")
    body = "\n".join(lines)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _text(equations: Equations, i: int, precision: int) -> str:
    try:
        return short_text(equations.short_sympy(i), precision)
    except Exception:  # nested too deeply for sympy
        return equations.texts[i]


def _mathematics(equations: Equations, i: int, precision: int) -> str:
    try:
        return f"${escape(latex(equations.short_sympy(i), precision))}$"
    except Exception:  # nested too deeply for sympy
        return escape(equations.texts[i])
