"""A page about a policy: its formulas, its returns, what it does in which state, and its film.

One file without scripts; drawings are SVG.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

WIDTH, HEIGHT, MARGIN = 340, 220, 36
MAX_POINTS = 400
"""Of a drawing of an action against an observation."""
N_BINS = 24
STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
       color: #222; background: #fff; }
figure { display: inline-block; margin: 0 1rem 1rem 0; }
figcaption { font-size: 13px; }
code { font-size: 14px; }
rect, circle { fill: #2563a8; }
circle { fill-opacity: 0.45; }
line { stroke: #888; }
text { font-size: 11px; fill: #555; }
video { max-width: 100%; }
table { border-collapse: collapse; }
td, th { padding: 0.2rem 0.8rem 0.2rem 0; text-align: right; }
"""


def policy_page(
    title: str,
    expressions: Sequence[str],
    names: Sequence[str],
    returns: np.ndarray,
    observations: np.ndarray,
    actions: np.ndarray,
    film: str | None = None,
) -> str:
    """Return the page as text.

    Parameters
    ----------
    title : str
    expressions : sequence of str
        One per action.
    names : sequence of str
        Of the observations.
    returns : (E,) float64
    observations : (N, O) float64
    actions : (N, A) float64
    film : str, optional
        Where it is, seen from the page.
    """
    figures = [histogram(returns, "return")]
    for i, values in enumerate(actions.T, start=1):
        for j in _most_related(observations, values):
            figures.append(scatter(observations[:, j], values, names[j], f"a{i}"))
    shown = "" if film is None else f'<h2>Film</h2><video controls src="{html.escape(film)}">'
    shown += "" if film is None else "</video>"
    return _page(
        title,
        expressions,
        f"<p>Mean return of {len(returns)} episodes: {returns.mean():.2f}, deviation "
        f"{returns.std():.2f}, from {returns.min():.2f} to {returns.max():.2f}.</p>"
        f"{shown}<h2>Returns, and actions against observations</h2>{''.join(figures)}",
    )


def robustness_page(
    title: str, expressions: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> str:
    """Return a page about what a policy gets while parameters of its environment change.

    Parameters
    ----------
    title : str
    expressions : sequence of str
    rows : sequence of mapping
        With parameter, value, mean, deviation and anchor.
    """
    names = ("parameter", "value", "mean", "deviation", "anchor")
    head = "".join(f"<th>{name}</th>" for name in names)
    cells = [[_cell(row[name]) for name in names] for row in rows]
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells)
    drawings = []
    for name in dict.fromkeys(row["parameter"] for row in rows):
        ours = [row for row in rows if row["parameter"] == name]
        x, y = (np.array([row[key] for row in ours]) for key in ("value", "mean"))
        drawings.append(scatter(x, y, str(name), "mean return"))
    inside = f"<table><tr>{head}</tr>{body}</table>{''.join(drawings)}"
    return _page(f"{title}: changed environments", expressions, inside)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return html.escape(value)
    return "" if np.isnan(value) else f"{value:.5g}"


def _page(title: str, expressions: Sequence[str], inside: str) -> str:
    """Return a whole page with the formulas above what is inside."""
    formulas = "".join(
        f"<p><code>a{i} = {html.escape(text)}</code></p>"
        for i, text in enumerate(expressions, start=1)
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1>{formulas}{inside}</body></html>\n"
    )


def histogram(values: np.ndarray, name: str) -> str:
    """Return a drawing of how often values (N,) come."""
    counts, edges = np.histogram(values, min(N_BINS, max(1, len(values))))
    x, y = _scale(edges, MARGIN, WIDTH - 8), counts / max(1, counts.max())
    bars = "".join(
        f'<rect x="{left:.1f}" y="{HEIGHT - MARGIN - h:.1f}" width="{max(right - left - 1, 1):.1f}"'
        f' height="{h:.1f}"/>'
        for left, right, h in zip(x[:-1], x[1:], y * (HEIGHT - MARGIN - 12), strict=True)
    )
    return _figure(bars, f"Histogram of the {name}", edges[[0, -1]], (0.0, float(counts.max())))


def scatter(x: np.ndarray, y: np.ndarray, x_name: str, y_name: str) -> str:
    """Return a drawing of values y (N,) against x (N,)."""
    rows = np.unique(np.linspace(0, len(x) - 1, min(MAX_POINTS, len(x))).astype(int))
    x, y = x[rows], y[rows]
    places = zip(_scale(x, MARGIN, WIDTH - 8), _scale(y, HEIGHT - MARGIN, 12), strict=True)
    dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2"/>' for a, b in places)
    return _figure(
        dots, f"{y_name} against {x_name}", (x.min(), x.max()), (float(y.min()), float(y.max()))
    )


def _most_related(observations: np.ndarray, action: np.ndarray, n: int = 3) -> list[int]:
    """Return the columns that an action goes with most, by correlation."""
    spread = observations.std(axis=0) * action.std()
    products = (observations - observations.mean(axis=0)).T @ (action - action.mean())
    related = np.abs(products) / len(action) / np.where(spread > 0, spread, np.inf)
    return np.argsort(-related, kind="stable")[:n].tolist()


def _scale(values: np.ndarray, first: float, last: float) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    return first + share * (last - first)


def _figure(
    inside: str, caption: str, x: Sequence[float] | np.ndarray, y: tuple[float, float]
) -> str:
    bottom = HEIGHT - MARGIN
    axes = (
        f'<line x1="{MARGIN}" y1="{bottom}" x2="{WIDTH - 8}" y2="{bottom}"/>'
        f'<line x1="{MARGIN}" y1="12" x2="{MARGIN}" y2="{bottom}"/>'
        f'<text x="{MARGIN}" y="{bottom + 14}">{x[0]:.4g}</text>'
        f'<text x="{WIDTH - 8}" y="{bottom + 14}" text-anchor="end">{x[1]:.4g}</text>'
        f'<text x="{MARGIN - 4}" y="{bottom}" text-anchor="end">{y[0]:.3g}</text>'
        f'<text x="{MARGIN - 4}" y="20" text-anchor="end">{y[1]:.3g}</text>'
    )
    label = html.escape(caption)
    return (
        f'<figure><svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{label}">'
        f"{axes}{inside}</svg><figcaption>{label}</figcaption></figure>"
    )
