"""What is wanted: tasks reward programs."""

import inspect
from collections.abc import Callable
from typing import Any

from dso.errors import UserError, unknown
from dso.plugins import import_object, is_reference
from dso.task.control import ControlTask
from dso.task.regression import RegressionTask
from dso.task.task import HierarchicalTask, Rewards, SequentialTask, Task

__all__ = [
    "TASKS",
    "ControlTask",
    "HierarchicalTask",
    "Rewards",
    "SequentialTask",
    "Task",
    "make_task",
]

TASKS: dict[str, type[Task]] = {"regression": RegressionTask, "control": ControlTask}


def make_task(task_type: str, **section: Any) -> Task:
    """Build the task that a config's ``task`` section describes.

    Parameters
    ----------
    task_type : str
        A name in `TASKS`, or ``module:Name`` or ``file.py:Name`` of a class derived from `Task` or
        of a function that returns one.
    **section
        The other keys of the section, handed on as they are.

    Raises
    ------
    UserError
        If there is no such task, or it does not take these keys.
    """
    make = _maker(task_type)
    _check_keys(make, task_type, section)
    task = make(**section)
    if not isinstance(task, Task):
        raise UserError(
            f"task.task_type: {task_type!r} gave a {type(task).__name__}; expected a class derived "
            "from dso.task.Task, or a function that returns an instance of one."
        )
    return task


def _maker(task_type: str) -> Callable[..., Any]:
    if not is_reference(task_type):
        if task_type not in TASKS:
            raise unknown("task type", task_type, TASKS, "task.task_type")
        return TASKS[task_type]
    make = import_object(task_type, "task.task_type")
    if not callable(make):
        raise UserError(f"task.task_type: {task_type!r} is neither a class nor a function.")
    return make


def _check_keys(make: Callable[..., Any], task_type: str, section: dict[str, Any]) -> None:
    """Say which key is wrong before the constructor's TypeError would."""
    parameters = inspect.signature(make).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    allowed = [p.name for p in named]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for key in section:
            if key not in allowed:
                raise unknown("key", key, allowed, f"task ({task_type})")
    missing = [p.name for p in named if p.default is p.empty and p.name not in section]
    if missing:
        raise UserError(f"task: {task_type!r} needs the key(s) {', '.join(missing)}.")
