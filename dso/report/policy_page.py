"""The page of a policy: its formulas, its returns, its actions by state, and its film.

One file without scripts, of what `policy_data` says; drawings are SVG.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

WIDTH, HEIGHT, MARGIN = 340, 220, 36
RIGHT, TOP, BOTTOM = WIDTH - 8, 12, HEIGHT - MARGIN
N_BINS = 24
STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
       color: #222; background: #fff; }
figure { display: inline-block; margin: 0 1rem 1rem 0; }
figcaption { font-size: 13px; }
code { font-size: 14px; }
rect, circle { fill: #2563a8; }
polyline { stroke: #2563a8; stroke-width: 2; fill: none; }
circle { fill-opacity: 0.45; }
line { stroke: #888; }
text { font-size: 11px; fill: #555; }
video, img { max-width: 100%; }
pre { overflow-x: auto; }
table { border-collapse: collapse; }
td, th { padding: 0.2rem 0.8rem 0.2rem 0; text-align: right; }
"""


def policy_page(described: Mapping[str, Any], film: str | None = None) -> str:
    """Return the page as text.

    Parameters
    ----------
    described : mapping
        What `describe_policy` returns of a policy and its episodes.
    film : str, optional
        Where it is, seen from the page.
    """
    returns = described["returns"]
    figures = [histogram(returns, "return")]
    figures += [
        scatter(one["x"], one["y"], one["observation"], one["action"])
        for one in described["points"]
    ]
    figures += [_response(one) for one in described["responses"]]
    inside = (
        f"<p>{_returns('Mean return', returns)}</p>{_of_anchor(described)}{_film(film)}"
        f"<h2>Returns, and actions against observations</h2>{''.join(figures)}{_code(described)}"
    )
    return _page(described["env"], described["equations"], inside)


def robustness_page(described: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a page about what a policy gets while parameters of its environment change.

    Parameters
    ----------
    described : mapping
        What `describe_policy` returns.
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
    return _page(f"{described['env']}: changed environments", described["equations"], inside)


def _returns(what: str, returns: np.ndarray) -> str:
    return (
        f"{what} of {len(returns)} episodes: {returns.mean():.2f}, deviation "
        f"{returns.std():.2f}, from {returns.min():.2f} to {returns.max():.2f}."
    )


def _of_anchor(described: Mapping[str, Any]) -> str:
    returns = described["anchor_returns"]
    return "" if returns is None else f"<p>{_returns('Anchor: mean return', returns)}</p>"


def _film(film: str | None) -> str:
    if film is None:
        return ""
    place = html.escape(film)
    is_image = film.endswith(".gif")
    shown = (
        f'<img src="{place}" alt="Film">' if is_image else f'<video controls src="{place}"></video>'
    )
    return f"<h2>Film</h2>{shown}"


def _code(described: Mapping[str, Any]) -> str:
    """Return the source code, folded."""
    return "".join(
        f"<details><summary>As {language}</summary><pre><code>{html.escape(text)}</code></pre>"
        "</details>"
        for language, text in (
            (name.capitalize(), text) for name, text in described["sources"].items()
        )
    )


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return html.escape(value)
    return "" if np.isnan(value) else f"{value:.5g}"


def _page(title: str, equations: Sequence[str], inside: str) -> str:
    """Return a whole page with the formulas above what is inside."""
    formulas = "".join(f"<p><code>{html.escape(text)}</code></p>" for text in equations)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1>{formulas}{inside}</body></html>\n"
    )


def histogram(values: np.ndarray, name: str) -> str:
    """Return a drawing of how often values (N,) come."""
    counts, edges = np.histogram(values, min(N_BINS, max(1, len(values))))
    x, y = _scale(edges, MARGIN, RIGHT), counts / max(1, counts.max())
    bars = "".join(
        f'<rect x="{left:.1f}" y="{BOTTOM - h:.1f}" width="{max(right - left - 1, 1):.1f}"'
        f' height="{h:.1f}"/>'
        for left, right, h in zip(x[:-1], x[1:], y * (BOTTOM - TOP), strict=True)
    )
    return _figure(bars, f"Histogram of the {name}", edges[[0, -1]], (0.0, float(counts.max())))


def scatter(x: np.ndarray, y: np.ndarray, x_name: str, y_name: str) -> str:
    """Return a drawing of values y (N,) against x (N,)."""
    places = zip(_scale(x, MARGIN, RIGHT), _scale(y, BOTTOM, TOP), strict=True)
    dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2"/>' for a, b in places)
    return _figure(dots, f"{y_name} against {x_name}", (x.min(), x.max()), (y.min(), y.max()))


def _response(response: Mapping[str, Any]) -> str:
    """Return a drawing of an action over its one or two inputs: a line, or shades of a square."""
    name, inputs, ranges = response["name"], response["inputs"], response["ranges"]
    values = np.asarray(response["values"])
    caption = f"{name} over {' and '.join(inputs)}"
    if len(inputs) == 1:
        places = zip(
            np.linspace(MARGIN, RIGHT, len(values)), _scale(values, BOTTOM, TOP), strict=True
        )
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        drawn = f'<polyline points="{line}"/>'
        return _figure(drawn, caption, ranges[0], (values.min(), values.max()))
    shades = _scale(values, 0.05, 1.0)
    width, height = (RIGHT - MARGIN) / len(values), (BOTTOM - TOP) / values.shape[1]
    cells = "".join(
        f'<rect x="{MARGIN + i * width:.1f}" y="{BOTTOM - (k + 1) * height:.1f}" '
        f'width="{width + 0.4:.1f}" height="{height + 0.4:.1f}" fill-opacity="{shade:.2f}"/>'
        for i, row in enumerate(shades)
        for k, shade in enumerate(row)
    )
    caption += f", from {values.min():.3g} (pale) to {values.max():.3g}"
    return _figure(cells, caption, *ranges)


def _scale(values: np.ndarray, first: float, last: float) -> np.ndarray:
    """Map values to the range from first to last; those that do not differ to its middle."""
    low, high = float(values.min()), float(values.max())
    share = (values - low) / (high - low) if high > low else np.full(values.shape, 0.5)
    return first + share * (last - first)


def _figure(
    inside: str, caption: str, x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray
) -> str:
    axes = (
        f'<line x1="{MARGIN}" y1="{BOTTOM}" x2="{RIGHT}" y2="{BOTTOM}"/>'
        f'<line x1="{MARGIN}" y1="{TOP}" x2="{MARGIN}" y2="{BOTTOM}"/>'
        f'<text x="{MARGIN}" y="{BOTTOM + 14}">{x[0]:.4g}</text>'
        f'<text x="{RIGHT}" y="{BOTTOM + 14}" text-anchor="end">{x[1]:.4g}</text>'
        f'<text x="{MARGIN - 4}" y="{BOTTOM}" text-anchor="end">{y[0]:.3g}</text>'
        f'<text x="{MARGIN - 4}" y="20" text-anchor="end">{y[1]:.3g}</text>'
    )
    label = html.escape(caption)
    return (
        f'<figure><svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{label}">'
        f"{axes}{inside}</svg><figcaption>{label}</figcaption></figure>"
    )
