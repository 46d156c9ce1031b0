"""The command `dso` and its subcommands, each loaded when it is needed."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from dso.errors import UserError, unknown
from dso.version import version_of_dso

COMMANDS = {
    "fit": ("dso.command.fit:fit", "Find a formula for a column of a table."),
    "run": ("dso.launch.command:main", "Search as a config says: any task, many seeds, sweeps."),
    "resume": ("dso.command.resume:resume", "Complete the runs of a run folder."),
    "eval": ("dso.report.text:main", "Describe in words what the runs in a folder found."),
    "report": ("dso.report.__main__:main", "Make one page of the runs in one or more folders."),
    "predict": ("dso.command.predict:predict", "Compute the predictions of a formula or policy."),
    "play": ("dso.command.play:play", "Play the policy of a control run, or make a film of it."),
    "export": (
        "dso.command.export:export",
        "Write a formula or policy as code, LaTeX or sympy.",
    ),
    "list": ("dso.command.listing:list_names", "List operators, benchmarks, priors and others."),
    "init": ("dso.command.init:init", "Write a config with comments, to be edited."),
    "completion": ("dso.command.completion:completion", "Print the completion script of a shell."),
}
"""Where each subcommand is, and what it does."""
CONTEXT = {
    "token_normalize_func": lambda name: name.replace("_", "-"),
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, context: click.Context) -> list[str]:
        """See `click.Group`."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """See `click.Group`."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        return getattr(import_module(module), attribute)

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        """Name the nearest command where there is none of this name."""
        if args[0].replace("_", "-") not in COMMANDS and not args[0].startswith("-"):
            context.fail(str(unknown("command", args[0], COMMANDS)))
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, meaning) for name, (_, meaning) in COMMANDS.items()])

    def invoke(self, context: click.Context) -> Any:
        """Turn what a user can correct into one sentence."""
        try:
            return super().invoke(context)
        except BrokenPipeError:  # whoever read the output has seen enough
            raise
        except (UserError, OSError) as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(1)


def _print_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"dso {version_of_dso()}")
        context.exit()


@click.group(cls=LazyGroup, context_settings=CONTEXT)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
def main() -> None:
    """Search for formulas and policies: deep symbolic optimisation.

    \b
    dso fit data.csv --target y     a formula for the column y
    dso run config.json             any task, as a config says
    dso COMMAND --help              what a command takes
    """
