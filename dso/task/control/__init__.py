"""Symbolic policies for the environments of Gymnasium."""

from dso.task.control.control import ControlTask

__all__ = ["ControlTask"]
