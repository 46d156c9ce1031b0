"""``dso export RUN_DIR --python|--c|--latex|--sympy``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dso.command.models import is_regressor, load_one
from dso.errors import UserError
from dso.launch.options import CONTEXT
from dso.runs.disk import write_text

FORMS = ("python", "c", "latex", "sympy")


@click.command(context_settings=CONTEXT)
@click.argument("run_dir", metavar="RUN_DIR")
@click.option("--python", "form", flag_value="python", help="A Python module with a function.")
@click.option("--c", "form", flag_value="c", help="A C99 file with a function.")
@click.option("--latex", "form", flag_value="latex", help="LaTeX.")
@click.option("--sympy", "form", flag_value="sympy", default=True, help="Text of sympy (default).")
@click.option("--seed", default=None, type=int, help="Which of several runs; default: the best.")
@click.option("--row", default=None, type=int, help="Row of the front; default: the picked one.")
@click.option("--out", "-o", default=None, help="File to write; default: the terminal.")
def export(run_dir: str, form: str, seed: int | None, row: int | None, out: str | None) -> None:
    """Write the formula or policy of RUN_DIR in another language."""
    model = load_one(run_dir, seed)
    if is_regressor(model):
        text = _formula(model, form, row)
    elif row is not None:
        raise UserError("--row: a policy has no front.")
    else:
        text = _policy(model, form)
    if out is None:
        click.echo(text)
        return
    write_text(Path(out), text.rstrip("\n") + "\n")
    click.echo(f"{form} in {out}")


def _formula(model: Any, form: str, row: int | None) -> str:
    makers = {
        "python": model.numpy_code,
        "c": model.c_code,
        "latex": model.latex,
        "sympy": lambda index: str(model.sympy(index)),
    }
    return makers[form](row)


def _policy(model: Any, form: str) -> str:
    makers = {
        "python": model.python_code,
        "c": model.c_code,
        "latex": model.latex,
        "sympy": lambda: "\n".join(model.expressions),
    }
    return makers[form]()
