"""A program in other languages: source code, differentiable callables, LaTeX, figures.

Every form is built from tokens, never read from text. What an operator is in a target language
stands in its row of the operator table; `source` and the two array forms read it there.
"""

from dso.export.policy_source import PolicyForm, c_policy, python_policy
from dso.export.source import c_source, numpy_source
from dso.export.tables import LatexRow, latex, latex_table
from dso.library.identifiers import identifiers

__all__ = [
    "LatexRow",
    "PolicyForm",
    "c_policy",
    "c_source",
    "identifiers",
    "latex",
    "latex_table",
    "numpy_source",
    "python_policy",
]
