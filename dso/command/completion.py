"""``dso completion SHELL``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from dso.launch.options import CONTEXT


@click.command(context_settings=CONTEXT)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes the words of dso in SHELL.

    \b
    bash:  eval "$(dso completion bash)"      in ~/.bashrc
    zsh:   eval "$(dso completion zsh)"       in ~/.zshrc
    fish:  dso completion fish | source       in ~/.config/fish/config.fish
    """
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(context.find_root().command, {}, "dso", "_DSO_COMPLETE").source())
