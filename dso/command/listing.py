"""``dso list``: the names that configs and commands take."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click

from dso.launch.options import CONTEXT

Row = tuple[str, str]


@click.command("list", context_settings=CONTEXT)
@click.argument(
    "kind", type=click.Choice(["operators", "benchmarks", "priors", "environments", "presets"])
)
@click.argument("part", default="")
def list_names(kind: str, part: str) -> None:
    """List names of one KIND; with PART only those that contain it."""
    rows = [row for row in LISTS[kind]() if part.lower() in " ".join(row).lower()]
    width = max((len(name) for name, _ in rows), default=0)
    for name, meaning in rows:
        click.echo(f"{name:<{width}}  {meaning}".rstrip())


def operators() -> Iterator[Row]:
    """Yield each operator with its arguments."""
    from dso.library import OPERATORS

    for row in OPERATORS.values():
        if not row.display:
            also = f"; also {', '.join(row.aliases)}" if row.aliases else ""
            yield row.name, row.formula + also
    yield "const", "a number that is fitted to the data"
    yield "poly", "a polynomial that is fitted to the data"


def benchmarks() -> Iterator[Row]:
    """Yield each benchmark with its formula."""
    from dso.task.regression.benchmarks import benchmark_formulas

    yield from benchmark_formulas().items()


def priors() -> Iterator[Row]:
    """Yield each prior with what it does."""
    from dso.config import Config

    for name, field in type(Config.model_fields["prior"].default).model_fields.items():
        if name != "count_constraints":
            yield name, field.description or ""


def environments() -> Iterator[Row]:
    """Yield the environments that come with dso, and those that Gymnasium knows here."""
    from dso.task.control.environment import OURS, import_gymnasium

    for name in OURS:
        yield name, "comes with dso"
    for name in sorted(import_gymnasium().registry):
        if not name.startswith("dso/"):
            yield name, "of Gymnasium"


def presets() -> Iterator[Row]:
    """Yield the presets of dso fit and the configs that come with dso."""
    from dso.config.files import shipped_configs
    from dso.regressor.options import PRESETS

    for name, preset in PRESETS.items():
        yield name, f"dso fit --preset {name}: {preset} expressions at most"
    for path in shipped_configs():
        yield path.name, f"dso run {path.name}"


LISTS: dict[str, Callable[[], Iterator[Row]]] = {
    "operators": operators,
    "benchmarks": benchmarks,
    "priors": priors,
    "environments": environments,
    "presets": presets,
}
