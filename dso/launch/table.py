"""The table of the runs of a batch, shown in a terminal while they last."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from dso.launch.jobs import Job
from dso.launch.outcome import FAILED, Outcome
from dso.launch.runner import StatusFile, status_path
from dso.runs.display import format_seconds

if TYPE_CHECKING:
    from rich.table import Table


class BatchTable:
    """Redraw a table with a row per run; those under way come first, then those that failed.

    What does not fit is left out; the counts above the table are of all runs.

    Parameters
    ----------
    jobs : list of Job
    stream : TextIO
        Where it is not a terminal, nothing is shown.
    """

    N_ROWS = 30

    def __init__(self, jobs: list[Job], stream: TextIO) -> None:
        self.jobs = jobs
        self.outcomes: dict[int, Outcome] = {}
        self.statuses: Path | None = None
        self._live: Any = None
        if stream.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                console=Console(file=stream), get_renderable=self.table, refresh_per_second=2
            )

    def watch(self, statuses: Path) -> None:
        """Show the table, with what is written in the folder of status files."""
        self.statuses = statuses
        if self._live is not None:
            self._live.start()

    def add(self, outcome: Outcome) -> None:
        """Take in a run that has ended."""
        self.outcomes[outcome.number] = outcome

    def close(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()

    def table(self) -> Table:
        """Return the table as it stands."""
        from rich.table import Table
        from rich.text import Text

        rows = sorted(map(self._row, self.jobs), key=lambda row: row[0])
        counts = [sum(row[0] == rank for row in rows) for rank in range(4)]
        title = "{0} under way, {1} failed, {3} done, {2} waiting".format(*counts)
        table = Table(title=title, title_justify="left")
        for name in ("run", "state", "samples", "time", "best reward", "expression"):
            table.add_column(name, overflow="ellipsis", no_wrap=True)
        for _, cells in rows[: self.N_ROWS]:
            table.add_row(*map(Text, cells))  # text, since a token's name may look like markup
        return table

    def _row(self, job: Job) -> tuple[int, tuple[str, ...]]:
        """Return the rank of a run among the rows, and its cells."""
        name = ", ".join([*(str(value) for value in job.varied.values()), f"seed {job.seed}"])
        outcome = self.outcomes.get(job.number)
        if outcome is not None and outcome.stop_reason == FAILED:
            return 1, (name, FAILED, "", "", "", str(outcome.error))
        if outcome is not None:
            result = outcome.result
            cells = (str(result["n_samples"]), format_seconds(result["t"]), f"{result['r']:.6f}")
            return 3, (name, "done", *cells, str(result["expression"]))
        status = None
        if self.statuses is not None:
            status = StatusFile.read(status_path(self.statuses, job.number))
        if status is None:
            return 2, (name, "waiting", "", "", "", "")
        cells = ("", "", "")
        if "n_samples" in status:
            seconds = format_seconds(status["seconds"])
            cells = (str(status["n_samples"]), seconds, f"{status['r_best']:.6f}")
        return 0, (name, "under way", *cells, "")
