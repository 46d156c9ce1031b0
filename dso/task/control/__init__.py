"""Symbolic policies for the environments of Gymnasium."""

from dso.task.control.control import ControlTask
from dso.task.control.environment import Environment
from dso.task.control.rollout import Rollouts, rollout
from dso.task.control.symbolic_policy import SymbolicPolicy

__all__ = ["ControlTask", "Environment", "Rollouts", "SymbolicPolicy", "rollout"]
