"""Write the tables in docs/ from the code: keys, defaults, tokens, priors and benchmarks.

Usage: python scripts/write_docs.py [--check]

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; what is around it is written
by hand. With --check nothing is written; the exit status is 1 where a table is out of date.
"""

import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from dso.config.config import TASK_DEFAULTS, Config
from dso.config.prior_sections import Priors
from dso.errors import UserError
from dso.library.functions import OPERATORS, Interval, Operator
from dso.pysr.parameters import PARAMETERS
from dso.task.control.anchor import shipped_anchors
from dso.task.control.network import NetworkAnchor
from dso.task.regression.benchmarks import benchmark_names, function_sets

DOCS = Path(__file__).resolve().parent.parent / "docs"
REGION = re.compile(r"(<!-- table: (?P<name>[\w. ]+) -->\n).*?(<!-- end -->)", re.DOTALL)

SCHEMA = Config.model_json_schema()
MODELS = {
    "experiment": "Experiment",
    "task.regression": "RegressionTask",
    "task.control": "ControlTask",
    "task.dataset": "BenchmarkDataset",
    "task.poly_optimizer_params": "PolyOptimizer",
    "task.template": "TemplateSection",
    "task.stages": "Stages",
    "task.stages.actions": "ActionStage",
    "training": "Training",
    "logging": "Logging",
    "state_manager": "StateManager",
    "policy": "Policy",
    "policy_optimizer": "PolicyOptimizer",
    "gp_meld": "GPMeld",
    "semantic": "Semantic",
    "pretrained": "Pretrained",
    "islands": "Islands",
    "reduce": "Reduce",
    "finishing": "Finishing",
    "postprocess": "Postprocess",
    "checkpoint": "Checkpoint",
}
"""Table name to the model whose keys it lists."""


def section_table(name: str) -> str:
    """Return the table of a section: key, default, what it may be, meaning."""
    section = name.split(".")[0]
    rows = []
    for key, spec in SCHEMA["$defs"][MODELS[name]]["properties"].items():
        if spec["description"] == "Written at run time.":
            continue
        default = _default(section, key, spec) if name == section else _literal(spec)
        rows.append((f"`{key}`", default, _allowed(spec), spec["description"]))
    return _table(("Key", "Default", "May be", "Meaning"), rows)


def _default(section: str, key: str, spec: dict) -> str:
    """Return the default, and what the built-in tasks have in its place."""
    text = _literal(spec)
    for task, changes in TASK_DEFAULTS.items():
        if changes.get(section, {}).get(key, spec["default"]) != spec["default"]:
            text += f"; {task} `{json.dumps(changes[section][key])}`"
    return text


def _literal(spec: dict) -> str:
    return f"`{json.dumps(spec['default'])}`" if "default" in spec else "required"


def _allowed(spec: dict) -> str:
    """Say in words what a JSON schema allows."""
    for several in ("anyOf", "oneOf"):
        if several in spec:
            return " or ".join(dict.fromkeys(_allowed(one) for one in spec[several]))
    if "enum" in spec:
        return ", ".join(f"`{value}`" for value in spec["enum"])
    if "const" in spec:
        return f"`{spec['const']}`"
    if spec.get("pattern") == ":":
        return "`module:Name`"
    kind = spec.get("type", "object")
    if kind == "array":
        item = _allowed(spec["items"]) if "items" in spec else ""
        return f"list of ({item})" if " or " in item else f"list of {item or 'two arrays'}"
    words = {"string": "text", "boolean": "`true`, `false`", "object": "dict", "null": "`null`"}
    return words.get(kind) or kind + _bounds(spec)


def _bounds(spec: dict) -> str:
    limits = (
        (" >= ", "minimum"),
        (" > ", "exclusiveMinimum"),
        (" <= ", "maximum"),
        (" < ", "exclusiveMaximum"),
    )
    # Greater ones only keep out what cannot be a count.
    given = [
        sign + f"{spec[name]:,}".replace(",", " ")
        for sign, name in limits
        if abs(spec.get(name, math.inf)) <= 1e9
    ]
    return ",".join(given)


def operator_table() -> str:
    """Return the operators that a function set may name."""
    rows = [
        (
            f"`{row.name}`",
            ", ".join(f"`{alias}`" for alias in row.aliases),
            str(row.arity),
            str(row.complexity),
            row.formula,
            ", ".join(f"`{text}`" for text in row.derivative),
            ", ".join(map(_interval, row.domain)) if row.domain else "",
            _interval(row.range) if row.range != Interval() else "",
        )
        for row in OPERATORS.values()
        if not row.display
    ]
    head = (
        "Token",
        "Other names",
        "Arity",
        "Complexity",
        "Value",
        "Derivatives",
        "Domain",
        "Range",
    )
    return _table(head, rows)


def protected_table() -> str:
    """Return the protected forms."""
    guarded = [row for row in OPERATORS.values() if row.protected]
    rows = [(f"`{row.name}`", f"`{row.protected}`", _protected(row).formula) for row in guarded]
    return _table(("Token", "Protected form", "Value"), rows)


def _protected(row: Operator) -> Operator:
    assert row.protected is not None
    return OPERATORS[row.protected]


def _interval(interval: Interval) -> str:
    if interval.excluded:
        return "not " + ", ".join(f"{point:g}" for point in interval.excluded)
    left = "(" if interval.open_low or math.isinf(interval.low) else "["
    right = ")" if interval.open_high or math.isinf(interval.high) else "]"
    return f"{left}{interval.low:.4g}, {interval.high:.4g}{right}"


def prior_table() -> str:
    """Return every prior with its parameters and where it is on."""
    rows = []
    for name, field in Priors.model_fields.items():
        if name == "count_constraints":
            continue
        parameters = type(field.default).model_fields
        rows.append(
            (
                f"`{name}`",
                ", ".join(
                    f"`{key}` {json.dumps(value.default)}"
                    for key, value in parameters.items()
                    if key != "on"
                ),
                ", ".join(_tasks_with(name)),
                field.description or "",
            )
        )
    return _table(("Prior", "Parameters and defaults", "On by default in", "Meaning"), rows)


def _tasks_with(prior: str) -> Iterable[str]:
    for task, changes in TASK_DEFAULTS.items():
        section = changes.get("prior", {}).get(prior, {})
        if section.get("on"):
            values = [f"{key} {json.dumps(v)}" for key, v in section.items() if key != "on"]
            yield task + (f" ({', '.join(values)})" if values else "")


def function_set_table() -> str:
    """Return the named function sets of the benchmarks."""
    rows = [(name, " ".join(map(str, tokens))) for name, tokens in function_sets().items()]
    return _table(("Set", "Tokens besides the inputs"), rows)


def benchmark_list() -> str:
    """Return the names of the benchmarks, one line per family."""
    families: dict[str, list[str]] = {}
    for name in benchmark_names():
        families.setdefault(re.split(r"[-\d]", name)[0], []).append(name)
    lines = [f"- {', '.join(names)}" for names in families.values()]
    return "\n".join([*lines, ""])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    # A bar would end the cell; markdown knows an escape for it.
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([*lines, ""])


def anchor_table() -> str:
    """Return the table of the networks that come with dso."""
    rows = []
    for path in shipped_anchors():
        anchor = NetworkAnchor.load(path)
        mean, deviation, _ = anchor.test
        layers = " x ".join(str(len(bias)) for bias in anchor.biases[:-1]) or "none"
        size = f"{path.stat().st_size / 1000:.0f} kB"
        rows.append((f"`{anchor.env}`", f"{mean:.1f}", f"{deviation:.1f}", layers, size))
    return _table(("Environment", "Mean return", "Deviation", "Hidden units", "File"), rows)


def pysr_table() -> str:
    """Return what each parameter of PySR is here."""
    rows = [
        (f"`{row.name}`", f"`{row.default!r}`", row.kind, row.note) for row in PARAMETERS.values()
    ]
    return _table(("Parameter", "Default", "Is", "Note"), rows)


TABLES: dict[str, Callable[[], str]] = {
    **{name: partial(section_table, name) for name in MODELS},
    "anchors": anchor_table,
    "operators": operator_table,
    "protected": protected_table,
    "priors": prior_table,
    "function sets": function_set_table,
    "benchmarks": benchmark_list,
    "pysr": pysr_table,
}


def written(text: str) -> str:
    """Return the text of a document with its tables as they should be.

    Raises
    ------
    UserError
        If it asks for a table that does not exist.
    """

    def fill(match: re.Match[str]) -> str:
        if match["name"] not in TABLES:
            raise UserError(f"no table {match['name']!r}; there are {', '.join(TABLES)}.")
        return match[1] + TABLES[match["name"]]() + match[3]

    return REGION.sub(fill, text)


def main() -> int:
    """Write, or with --check only compare."""
    n_stale = 0
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if written(text) == text:
            continue
        n_stale += 1
        if "--check" in sys.argv[1:]:
            print(f"docs/{path.name} is not what scripts/write_docs.py writes")
        else:
            path.write_text(written(text), encoding="utf-8")
            print(f"wrote docs/{path.name}")
    return 1 if n_stale and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
