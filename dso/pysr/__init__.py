"""PySR's interface: scripts written for PySR run with ``from dso.pysr import PySRRegressor``.

`parameters` says what each of PySR's parameters is here, `arguments` translates them, and
`regressor` is the class.
"""

from dso.pysr.arguments import TensorBoardLoggerSpec
from dso.pysr.regressor import PySRRegressor
from dso.regressor.template_spec import TemplateExpressionSpec

__all__ = ["PySRRegressor", "TemplateExpressionSpec", "TensorBoardLoggerSpec"]
