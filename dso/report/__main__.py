"""The command line: ``python -m dso.report RUN_DIR [RUN_DIR ...]``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from dso.errors import UserError
from dso.report import Collector, build_page
from dso.report.serve import LiveReport, make_server
from dso.runs.folder import write_text
from dso.runs.results import refuse_without_runs


@click.command()
@click.argument("run_dirs", metavar="RUN_DIR...", nargs=-1, required=True)
@click.option(
    "--out",
    default=None,
    help="The file to write. Default: report.html, in RUN_DIR or, of several, here.",
)
@click.option("--title", default=None, help="Heading. Default: the folders' names.")
@click.option("--serve", is_flag=True, help="Show the page live, on this machine only.")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port of --serve; 0: any that is free."
)
def main(
    run_dirs: tuple[str, ...], out: str | None, title: str | None, serve: bool, port: int
) -> None:
    """Make one page of the runs in one or more run folders, finished or not."""
    # What rebuilding the data warns of was said by the run itself.
    logging.getLogger("dso").addHandler(quiet := logging.NullHandler())
    try:
        folders = _folders(run_dirs)
        shown = title or ", ".join(folder.resolve().name for folder in folders[:3])
        if title is None and len(folders) > 3:
            shown += f" and {len(folders) - 3} more"
        if serve:
            _serve(folders, shown, port)
        else:
            _write(folders, shown, out)
    except (UserError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    finally:
        logging.getLogger("dso").removeHandler(quiet)


def _folders(run_dirs: tuple[str, ...]) -> list[Path]:
    folders = list(dict.fromkeys(Path(name) for name in run_dirs))
    for folder in folders:
        if not folder.is_dir():
            raise UserError(
                f"RUN_DIR: {str(folder)!r} is not a folder; expected one that a run made."
            )
    return folders


def _write(folders: list[Path], title: str, out: str | None) -> None:
    for folder in folders:
        refuse_without_runs(folder)
    path = Path(out) if out else (folders[0] if len(folders) == 1 else Path()) / "report.html"
    content = Collector(folders).collect()
    page = build_page(content, title)
    try:
        write_text(path, page)
    except OSError as error:
        raise UserError(
            f"--out: {str(path)!r} cannot be written ({error.strerror}); name another file."
        ) from None
    for folder in content["folders"]:
        for issue in folder["issues"]:
            click.echo(f"{folder['name']}: {issue}")
    n_runs = len(content["runs"])
    click.echo(f"Report of {n_runs} run{'s' * (n_runs != 1)} in {path}")


def _serve(folders: list[Path], title: str, port: int) -> None:
    try:
        server = make_server(LiveReport(Collector(folders), title), port)
    except OSError as error:
        raise UserError(f"--port: {port} cannot be used ({error.strerror}).") from None
    click.echo(f"Live report at http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
