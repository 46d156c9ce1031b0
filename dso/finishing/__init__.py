"""The last mile: the constants of programs are optimised, and their forms simplified.

*Neighbours* of a program differ from it at one node. The *bar* is what a front asks of a program of
some complexity. A program is *settled* once its constants are those that are shown.
"""

from dso.finishing.exactness import is_exact
from dso.finishing.finisher import Finisher
from dso.finishing.shorter import shorter_forms

__all__ = ["Finisher", "is_exact", "shorter_forms"]
