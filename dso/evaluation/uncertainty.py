"""The import path that estimators pickled by version 0.1.0 name; see `dso.fitting.uncertainty`."""

from dso.fitting.uncertainty import ConstantErrors

__all__ = ["ConstantErrors"]
