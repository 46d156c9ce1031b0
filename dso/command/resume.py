"""``dso resume RUN_DIR``."""

from __future__ import annotations

import click

from dso.launch.command import main as run
from dso.launch.options import CONTEXT


@click.command(context_settings=CONTEXT)
@click.argument("run_dir", metavar="RUN_DIR")
@click.option(
    "--n-cores-task", "--n", default=1, type=click.IntRange(min=-1), help="Processes across runs."
)
@click.option("--backend", default="loky", type=click.Choice(["loky", "dask"]), help="See dso run.")
@click.option("--scheduler", default=None, metavar="ADDRESS", help="Address of the Dask scheduler.")
@click.pass_context
def resume(
    context: click.Context, run_dir: str, n_cores_task: int, backend: str, scheduler: str | None
) -> None:
    """Complete the runs in RUN_DIR: the folder of a run, of many seeds, or of a sweep."""
    context.invoke(
        run, resume=run_dir, n_cores_task=n_cores_task, backend=backend, scheduler=scheduler
    )
