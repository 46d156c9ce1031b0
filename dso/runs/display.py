"""What a run shows while it lasts: a panel in a terminal, a line in a notebook, else lines."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any, TextIO

from dso.runs.recorders.recorder import Recorder
from dso.training.stopping import Standing

if TYPE_CHECKING:
    from rich.table import Table

    from dso.training.trainer import Iteration


class Display:
    """Show nothing; what a quiet run has."""

    def update(self, standing: Standing, expression: Callable[[], str]) -> None:
        """Show the standing if it is time to.

        Parameters
        ----------
        standing : Standing
        expression : callable
            Returns the best program as text; asked only when it is shown and has changed.
        """

    def show(self, standing: Standing, expression: Callable[[], str]) -> None:
        """Show the standing now."""

    def close(self) -> None:
        """Leave the output in order; a second call does nothing."""


class PacedDisplay(Display, ABC):
    """Show the standing of a run now and then.

    Parameters
    ----------
    n_samples : int
        Budget of samples.
    max_seconds : float, optional
        Budget of wall time.
    """

    def __init__(self, n_samples: int, max_seconds: float | None = None) -> None:
        self.n_samples = n_samples
        self.max_seconds = max_seconds
        self._next_update = 0.0
        self._expression: tuple[tuple[int, float] | None, str] = (None, "")
        self._shown: Standing | None = None

    def update(self, standing: Standing, expression: Callable[[], str]) -> None:
        """See `Display.update`."""
        if time.monotonic() >= self._next_update:
            self.show(standing, expression)
            self._next_update = time.monotonic() + self._interval(standing)

    def show(self, standing: Standing, expression: Callable[[], str]) -> None:
        """See `Display.show`."""
        if standing == self._shown:
            return
        self._shown = standing
        best = standing.best_iteration, standing.r_best
        if best != self._expression[0]:
            self._expression = (best, expression())
        self._show(standing, self._expression[1])

    @abstractmethod
    def _interval(self, standing: Standing) -> float:
        """Seconds between two updates."""

    @abstractmethod
    def _show(self, standing: Standing, expression: str) -> None:
        """Show it now."""

    def _rate(self, standing: Standing) -> float:
        return standing.n_samples / max(standing.seconds, 1e-9)

    def _time_left(self, standing: Standing) -> str:
        """Time until the nearer budget is spent, at the average pace so far."""
        if standing.n_samples == 0:
            return "unknown time"
        left = (self.n_samples - standing.n_samples) / max(self._rate(standing), 1e-9)
        if self.max_seconds is not None:
            left = min(left, self.max_seconds - standing.seconds)
        return format_seconds(max(left, 0.0))


class PlainDisplay(PacedDisplay):
    """Print a line now and then; the lines thin out as the run gets longer."""

    def __init__(self, stream: TextIO, n_samples: int, max_seconds: float | None = None) -> None:
        super().__init__(n_samples, max_seconds)
        self.stream = stream

    def _interval(self, standing: Standing) -> float:
        return min(max(2.0, 0.05 * standing.seconds), 60.0)

    def _show(self, standing: Standing, expression: str) -> None:
        self.stream.write(
            f"iteration {standing.iteration}: {standing.n_samples} of {self.n_samples} samples, "
            f"{self._rate(standing):.0f}/s, {self._time_left(standing)} left; "
            f"best R {standing.r_best:.6f}: {expression}\n"
        )
        self.stream.flush()


class LiveDisplay(PacedDisplay):
    """Redraw a panel in a terminal four times a second."""

    def __init__(self, stream: TextIO, n_samples: int, max_seconds: float | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(n_samples, max_seconds)
        # No refresh thread: it would compete with the run for the interpreter.
        self._live = Live(console=Console(file=stream), auto_refresh=False)

    def _interval(self, standing: Standing) -> float:
        return 0.25

    def _show(self, standing: Standing, expression: str) -> None:
        self._live.start()  # does nothing once started
        self._live.update(self._panel(standing, expression), refresh=True)

    def _panel(self, standing: Standing, expression: str) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        panel = Table.grid(padding=(0, 2))
        panel.add_column(style="bold")
        panel.add_column()
        panel.add_row(
            "samples",
            f"{standing.n_samples:,} of {self.n_samples:,}  ({self._rate(standing):,.0f}/s)",
        )
        panel.add_row("", ProgressBar(total=self.n_samples, completed=standing.n_samples, width=40))
        panel.add_row("time left", self._time_left(standing))
        panel.add_row(
            "best reward", f"{standing.r_best:.6f}  (iteration {standing.best_iteration})"
        )
        # Text, since a token's name may look like markup.
        panel.add_row("expression", Text(expression))
        return panel

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()


class NotebookDisplay(PacedDisplay):
    """Redraw one line below the cell of a notebook four times a second."""

    def __init__(self, n_samples: int, max_seconds: float | None = None) -> None:
        super().__init__(n_samples, max_seconds)
        self._handle: Any = None

    def _interval(self, standing: Standing) -> float:
        return 0.25

    def _show(self, standing: Standing, expression: str) -> None:
        from IPython.display import HTML, display

        line = HTML(self._line(standing, expression))
        if self._handle is None:
            self._handle = display(line, display_id=True)
        else:
            self._handle.update(line)

    def _line(self, standing: Standing, expression: str) -> str:
        return (
            f'<progress value="{standing.n_samples}" max="{self.n_samples}"></progress> '
            f"{self._time_left(standing)} left, "
            f"best R {standing.r_best:.6f}: <code>{escape(expression)}</code>"
        )


def is_notebook() -> bool:
    """Tell whether this process is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    made = None if shell is None else shell.get_ipython()
    return made is not None and hasattr(made, "kernel")


class Progress(Recorder):
    """Shows how far a run is.

    Parameters
    ----------
    make : callable
        Returns the display. It is asked again where a run goes on after its end.
    expression : callable
        Returns the best program as text.
    """

    writes = "the progress of the run"

    def __init__(self, make: Callable[[], Display], expression: Callable[[], str]) -> None:
        self._make = make
        self._expression = expression
        self._display: Display | None = None

    @property
    def display(self) -> Display:
        """What is shown on."""
        if self._display is None:
            self._display = self._make()
        return self._display

    def update(self, iteration: Iteration) -> None:
        """See `Recorder.update`."""
        self.display.update(iteration.standing, self._expression)

    def show(self, standing: Standing) -> None:
        """Show the standing now, however short a time ago the last one was."""
        self.display.show(standing, self._expression)

    def finish(self, standing: Standing) -> None:
        """See `Recorder.finish`."""
        self.show(standing)

    def close(self) -> None:
        """See `Recorder.close`."""
        if self._display is not None:
            self._display.close()
            self._display = None


def format_seconds(seconds: float) -> str:
    """Return a duration as people say it, e.g. ``1 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def make_display(
    stream: TextIO | None,
    n_samples: int,
    max_seconds: float | None = None,
    *,
    verbose: bool = True,
) -> Display:
    """Choose the display that fits the stream; a closed one (None) shows nothing."""
    if not verbose or stream is None:
        return Display()
    if is_notebook():
        return NotebookDisplay(n_samples, max_seconds)
    if stream.isatty():
        return LiveDisplay(stream, n_samples, max_seconds)
    return PlainDisplay(stream, n_samples, max_seconds)
