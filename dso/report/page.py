"""The page: one file with its style, its script and its data, which needs no network."""

from __future__ import annotations

import base64
import html
import json
import re
from hashlib import sha256
from importlib.resources import files
from typing import Any

SCRIPTS = (
    "dom.js",
    "formulas.js",
    "downloads.js",
    "charts.js",
    "programs.js",
    "settings.js",
    "control.js",
    "report.js",
)
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def build_page(content: dict[str, Any], title: str, *, is_live: bool = False) -> str:
    """Return the page as text.

    Parameters
    ----------
    content : dict
        Of `Collector.collect`.
    title : str
    is_live : bool
        Whether the page asks the server it came from for newer data.
    """
    style, script = _asset("report.css"), "".join(map(_asset, SCRIPTS))
    places = {
        "title": html.escape(title),
        "policy": _policy(style, script, is_live=is_live),
        "style": style,
        "script": script,
        "data": to_script_json({**content, "title": title, "live": is_live}),
        "plain": _plain_table(content),
    }
    # One pass: what is filled in is not searched for places again.
    return _PLACE.sub(lambda match: places[match[1]], _asset("report.html"))


def to_script_json(content: Any) -> str:
    """Return JSON that can stand in a script element: nothing in it can end that element."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _asset(name: str) -> str:
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _policy(style: str, script: str, *, is_live: bool) -> str:
    """Return the content security policy: our style and our script, and nothing else."""
    rules = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "connect-src": "'self'" if is_live else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def _plain_table(content: dict[str, Any]) -> str:
    """Return the result of each run as rows of a table, for readers without scripts."""
    rows = []
    for run in content["runs"]:
        result = run["result"]
        cells = [run["name"], run["status"], result.get("r"), result.get("expression")]
        shown = "".join(f"<td>{html.escape(str(cell or ''))}</td>" for cell in cells)
        rows.append(f"<tr>{shown}</tr>")
    return "".join(rows)
