"""Tasks: they reward programs."""

from typing import Any

from dso.errors import UserError
from dso.plugins import construct, look_up
from dso.task.control import ControlTask
from dso.task.regression import RegressionTask
from dso.task.task import Fitter, HierarchicalTask, Rewards, SequentialTask, Task

__all__ = [
    "TASKS",
    "ControlTask",
    "Fitter",
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
    made = look_up(task_type, TASKS, "task type", "task.task_type")
    if not callable(made):
        raise UserError(f"task.task_type: {task_type!r} is neither a class nor a function.")
    task = construct(made, f"task ({task_type})", own=section)
    if not isinstance(task, Task):
        raise UserError(
            f"task.task_type: {task_type!r} gave a {type(task).__name__}; expected a class derived "
            "from dso.task.Task, or a function that returns an instance of one."
        )
    return task
