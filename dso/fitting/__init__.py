"""Numbers that are fitted to data: `const`, `poly`, and how exactly they are known.

A *constant* is a number in a program: the value of a token `const`, in a *slot* of the batch. A
*fitter* takes programs and gives them back with constants. A *polynomial* is the fit of one `poly`
token in a *basis* of monomials; it is a function of tokens, constants and data, so no batch stores
it.
"""

from dso.fitting.constants import ConstantFitter, FitOptions, ScipyFitter, make_fitter

__all__ = ["ConstantFitter", "FitOptions", "ScipyFitter", "make_fitter"]
