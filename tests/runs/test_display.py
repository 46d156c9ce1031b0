"""What a run shows: plain lines for a pipe, a panel for a terminal, nothing when quiet."""

import io
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from dso.runs.display import (
    Display,
    LiveDisplay,
    NotebookDisplay,
    PlainDisplay,
    format_seconds,
    make_display,
)
from dso.training.stopping import Standing

STANDING = Standing(iteration=3, n_samples=3000, seconds=1.5, r_best=0.25, best_iteration=2)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_plain_line_says_where_the_run_stands():
    stream = io.StringIO()
    PlainDisplay(stream, n_samples=9000).update(STANDING, lambda: "x1 + 1")
    assert stream.getvalue() == (
        "iteration 3: 3000 of 9000 samples, 2000/s, 3 s left; best R 0.250000: x1 + 1\n"
    )


def test_before_the_first_iteration_nobody_knows_how_long_it_takes():
    stream = io.StringIO()
    start = Standing(iteration=0, n_samples=0, seconds=0.0, r_best=0.5, best_iteration=0)
    PlainDisplay(stream, n_samples=9000).show(start, lambda: "2*x1")
    assert stream.getvalue().endswith("unknown time left; best R 0.500000: 2*x1\n")


def test_the_nearer_budget_gives_the_time_left():
    stream = io.StringIO()
    PlainDisplay(stream, n_samples=9000, max_seconds=2.5).update(STANDING, lambda: "x1")
    assert ", 1 s left" in stream.getvalue()


def test_updates_in_quick_succession_are_one_line():
    stream = io.StringIO()
    display = PlainDisplay(stream, n_samples=9000)
    for iteration in range(5):
        display.update(replace(STANDING, iteration=iteration), lambda: "x1")
    assert stream.getvalue().count("\n") == 1


def test_the_expression_is_asked_for_only_when_it_changed(monkeypatch):
    display = PlainDisplay(io.StringIO(), n_samples=9000)
    monkeypatch.setattr(display, "_interval", lambda standing: 0.0)
    asked = []
    for iteration, best_iteration in ((3, 2), (4, 2), (5, 5)):
        standing = replace(STANDING, iteration=iteration, best_iteration=best_iteration)
        display.update(standing, lambda: asked.append(True) or "x1")
    assert len(asked) == 2


def test_the_same_standing_is_not_shown_twice():
    stream = io.StringIO()
    display = PlainDisplay(stream, n_samples=9000)
    display.update(STANDING, lambda: "x1")
    display.show(STANDING, lambda: "x1")
    assert stream.getvalue().count("\n") == 1


def test_a_standing_can_be_shown_out_of_turn():
    stream = io.StringIO()
    display = PlainDisplay(stream, n_samples=9000)
    display.update(STANDING, lambda: "x1")
    display.show(replace(STANDING, iteration=4, best_iteration=4), lambda: "x1**2")
    assert stream.getvalue().endswith("x1**2\n")


def test_a_panel_shows_samples_reward_and_the_expression_verbatim():
    stream = Terminal()
    display = LiveDisplay(stream, n_samples=9000)
    display.update(STANDING, lambda: "x1 + [bold]")
    display.close()
    display.close()
    for part in ("3,000 of 9,000", "2,000/s", "0.250000", "3 s", "x1 + [bold]"):
        assert part in stream.getvalue()


def test_the_display_fits_the_stream():
    assert type(make_display(io.StringIO(), 10)) is PlainDisplay
    terminal = make_display(Terminal(), 10)
    assert type(terminal) is LiveDisplay
    quiet = make_display(io.StringIO(), 10, verbose=False)
    assert type(quiet) is Display
    quiet.update(STANDING, lambda: pytest.fail("asked"))
    quiet.show(STANDING, lambda: pytest.fail("asked"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.7, "1 min 00 s"), (3599, "59 min 59 s"), (3900, "1 h 05 min")],
)
def test_durations_read_well(seconds, text):
    assert format_seconds(seconds) == text


class Kernel:
    """What of IPython a display uses, as in the kernel of a notebook."""

    def __init__(self):
        self.display = self  # the module IPython.display
        self.kernel = True
        self.lines = []
        self.HTML = str

    def get_ipython(self):
        return self

    def __call__(self, line, display_id):
        self.lines.append(line)
        return self

    def update(self, line):
        self.lines[-1] = line


def test_a_notebook_has_one_line_that_is_updated(monkeypatch):
    kernel = Kernel()
    module = SimpleNamespace(HTML=str, display=kernel)
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    display = make_display(io.StringIO(), 9000)
    assert type(display) is NotebookDisplay
    display.show(STANDING, lambda: "x1 < 2")
    display.show(replace(STANDING, iteration=4, n_samples=4000), lambda: "x1 < 2")
    (line,) = kernel.lines
    assert 'value="4000" max="9000"' in line
    assert "x1 &lt; 2" in line
