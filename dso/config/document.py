"""Configs as people read them: JSON in which each key has its meaning as a comment."""

import json
import textwrap

from dso.config.base import Section
from dso.config.config import Config
from dso.config.task_sections import ControlTask

WIDTH = 100
INDENT = "   "


def document(head: str, sections: dict, schema: str | None = None) -> str:
    """Return a config as JSON with the meaning of each key as a comment.

    Parameters
    ----------
    head : str
        A comment on the whole.
    sections : dict
        Their keys are those of `Config`.
    schema : str, optional
        Where editors find the schema.
    """
    lines = [f"// {line}" for line in textwrap.wrap(head, WIDTH - 3)] + ["{"]
    if schema is not None:
        lines.append(f'{INDENT}"$schema": {json.dumps(schema)},')
    for name, values in sections.items():
        lines += [""] * (lines[-1] != "{")
        lines += _entry(name, values, Config, depth=1)
    return "\n".join([*lines, "}"]) + "\n"


def _entry(name: str, value: object, model: type[Section], depth: int) -> list[str]:
    """Return the lines of one key: its meaning as a comment, and its value."""
    field = model.model_fields[name]
    inner = type(field.default)
    if isinstance(value, dict) and "task_type" in value:
        inner = ControlTask if value["task_type"] == "control" else inner
    indent = INDENT * depth
    lines = [
        f"{indent}// {line}"
        for line in textwrap.wrap(field.description or "", WIDTH - 3 - len(indent))
    ]
    if not (isinstance(value, dict) and issubclass(inner, Section)):
        return [*lines, f'{indent}"{name}": {json.dumps(value)},']
    if len(value) == 1:
        return [*lines, f'{indent}"{name}": {json.dumps(value)},']
    lines.append(f'{indent}"{name}": {{')
    for key, item in value.items():
        # Every prior has the same switch.
        entry = _entry(key, item, inner, depth + 1)
        lines += entry[-1:] if key == "on" and model is not Config else entry
    return [*lines, f"{indent}}},"]
