"""What cannot be printed ends nothing, and is noted once."""

import io
import sys

import click
import pytest

from dso.launch.output import SafeStream, safe_output
from dso.runs.disk import Guard


class Broken(io.StringIO):
    """A stream that takes some writes and then none."""

    def __init__(self, room):
        super().__init__()
        self.room = room
        self.tries = 0

    def write(self, text):
        self.tries += 1
        if self.tries > self.room:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


@pytest.fixture
def guard():
    return Guard()


@pytest.mark.parametrize("room", [0, 1])
def test_what_is_refused_is_noted_once_and_nothing_more_is_tried(guard, room, caplog):
    stream = Broken(room)
    safe = SafeStream(stream, "standard output", guard)
    for _ in range(5):
        assert safe.write("text") == 4
    safe.flush()
    assert stream.tries == room + 1
    assert guard.missing == ["standard output (Broken pipe)"]
    assert caplog.text.count("cannot be written") == 1


def test_a_closed_stream_takes_everything(guard):
    stream = io.StringIO()
    safe = SafeStream(stream, "standard output", guard)
    stream.close()
    safe.write("text")
    assert "closed file" in guard.missing[0]
    none = SafeStream(None, "standard error", guard)
    none.write("text")
    none.flush()
    assert not none.isatty()


def test_characters_that_the_encoding_lacks_are_escaped(guard):
    inner = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    safe = SafeStream(inner, "standard output", guard)
    safe.write("caf\u00e9 \ud800")
    safe.flush()
    assert inner.buffer.getvalue() == rb"caf\xe9 \ud800"
    assert guard.missing == []


def test_whoever_prints_does_so_safely(guard, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Broken(2))
    with safe_output(guard):
        for _ in range(3):
            print("text")
            click.echo("text")
    assert guard.missing == ["standard output (Broken pipe)"]


def test_output_that_was_closed_before_is_noted(guard, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with safe_output(guard):
        print("text")
        click.echo("text")
    assert guard.missing == ["standard output (Bad file descriptor)"]
