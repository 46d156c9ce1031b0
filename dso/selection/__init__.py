"""The choice of one program of a front: what the data say of each, and rules that decide."""

from dso.selection.evidence import TOKEN, Evidence, RowLosses, gather
from dso.selection.rules import DEFAULT, SELECTIONS, check_rule, criteria, scores

__all__ = [
    "DEFAULT",
    "SELECTIONS",
    "TOKEN",
    "Evidence",
    "RowLosses",
    "check_rule",
    "criteria",
    "gather",
    "scores",
]
