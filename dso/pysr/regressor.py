"""PySRRegressor: PySR's class, translated to `DeepSymbolicRegressor`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from dso.errors import UserError
from dso.messages import muted
from dso.pysr.arguments import tell_idle, translated, with_present_names
from dso.pysr.parameters import PARAMETERS
from dso.regressor import DeepSymbolicRegressor
from dso.regressor.options import checked_spec


def _with_pysr_signature(init: Callable[..., None]) -> Callable[..., None]:
    """Give a constructor the signature that PySR's has: scikit-learn reads its parameters there."""
    kinds = inspect.Parameter
    first, *others = PARAMETERS.values()
    init.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            kinds("self", kinds.POSITIONAL_OR_KEYWORD),
            kinds(first.name, kinds.POSITIONAL_OR_KEYWORD, default=first.default),
            *(kinds(row.name, kinds.KEYWORD_ONLY, default=row.default) for row in others),
        ]
    )
    return init


class PySRRegressor(DeepSymbolicRegressor):
    """Find equations as PySR is asked to.

    All parameters, attributes and methods are PySR's (2.7); `dso.pysr.parameters` says what each
    parameter is here. What it answers with is that of `DeepSymbolicRegressor`.

    Parameters
    ----------
    model_selection : {"best", "score", "accuracy"}, or a rule of `DeepSymbolicRegressor`
    **kwargs
        PySR's parameters, by present names or by those of earlier versions.

    Examples
    --------
    >>> import numpy as np
    >>> from dso.pysr import PySRRegressor
    >>> X = np.random.default_rng(0).random((50, 2))
    >>> model = PySRRegressor(
    ...     unary_operators=["sin"], random_state=0, verbosity=0, temp_equation_file=True
    ... )
    >>> model.fit(X, np.sin(X[:, 0]) + X[:, 1] ** 2).sympy()
    x1**2 + sin(x0)
    """

    @_with_pysr_signature
    def __init__(self, model_selection: str = "best", **kwargs: Any) -> None:
        values = {name: row.default for name, row in PARAMETERS.items()}
        values["model_selection"] = model_selection
        values.update({name: value for name, value in kwargs.items() if name in values})
        others = {name: value for name, value in kwargs.items() if name not in values}
        values.update(with_present_names(others))
        for name, value in values.items():
            setattr(self, name, value)

    def fit(  # type: ignore[override]
        self,
        X: Any,
        y: Any,
        *,
        variable_names: Any = None,
        complexity_of_variables: Any = None,
        **given: Any,
    ) -> PySRRegressor:
        """Search for equations.

        Parameters
        ----------
        X : (N, D) array, data frame or lists
        y : (N,) or (N, targets)
        variable_names : sequence of str, optional
            Default: the columns of a data frame, or x0, x1, ..., counted from 0 as PySR does.
        complexity_of_variables : float or sequence of float, optional
            In place of the parameter of that name.
        **given
            Xresampled, weights, X_units, y_units, and what else `DeepSymbolicRegressor.fit` takes.
        """
        parameters = self.get_params(deep=False)
        if complexity_of_variables is not None:
            parameters["complexity_of_variables"] = complexity_of_variables
        with nullcontext() if self.verbosity else muted():  # type: ignore[attr-defined]
            tell_idle(parameters)
        asked = DeepSymbolicRegressor(
            **translated(parameters, DeepSymbolicRegressor._get_param_names())
        )
        if self.warm_start:
            asked.__dict__.update(self._learned)
        spec = self.expression_spec  # type: ignore[attr-defined]
        if variable_names is None and spec is not None:
            variable_names = checked_spec(spec).variable_names
        if variable_names is None and not hasattr(X, "columns"):
            variable_names = _numbered_from_0(X)
        asked.fit(X, y, variable_names=variable_names, **_accepted(given))
        self._take_over(asked)
        return self

    @property
    def _learned(self) -> dict[str, Any]:
        """What a fit has set."""
        parameters = self._get_param_names()
        return {name: value for name, value in vars(self).items() if name not in parameters}

    def reset(self) -> None:
        """Forget the last fit, so that `warm_start` starts from the beginning."""
        for name in self._learned:
            delattr(self, name)

    def _take_over(self, fitted: DeepSymbolicRegressor) -> None:
        for name in self._learned:
            if name.endswith("_"):
                delattr(self, name)
        others = fitted._get_param_names()
        self.__dict__.update({k: v for k, v in vars(fitted).items() if k not in others})

    @classmethod
    def from_file(  # type: ignore[override]
        cls,
        equation_file: str | os.PathLike[str] | None = None,
        *,
        run_directory: str | os.PathLike[str] | None = None,
        allow_code: tuple[str, ...] = (),
        **parameters: Any,
    ) -> PySRRegressor:
        """Return the model of the folder of a fit.

        Parameters
        ----------
        run_directory : path
            ``outputs/<run_id>``. What the folder says of operators and names need not be given.
        allow_code : tuple of str
            See `DeepSymbolicRegressor.from_file`.
        **parameters
            Replace those of PySR's defaults, e.g. `model_selection`.

        Raises
        ------
        UserError
            For a pickle of PySR, which nothing but PySR can read.
        """
        folder = run_directory if run_directory is not None else equation_file
        if folder is None:
            raise UserError("from_file: give run_directory, the folder of a fit: outputs/<run_id>.")
        if str(folder).endswith((".pkl", ".csv", ".bkup", ".bak")):
            raise UserError(
                f"from_file: {str(folder)!r} is a file of PySR, which needs Julia's objects; give "
                "run_directory='outputs/<run_id>', the folder of a fit of dso. Equations of PySR "
                "can be given to a new fit: guesses=['...', ...]."
            )
        for name in ("n_features_in", "feature_names_in", "selection_mask", "nout"):
            parameters.pop(name, None)  # the folder says so itself
        model = cls(**parameters)
        model._take_over(DeepSymbolicRegressor.from_file(folder, allow_code=allow_code))
        return model

    @property
    def equations(self) -> Any:
        """`equations_`, as it was called in earlier versions."""
        return self.equations_

    @property
    def equations_(self) -> Any:
        """The front, with the columns that `output_jax_format` and its like ask for."""
        frames = super().equations_
        several = frames if isinstance(frames, list) else [frames]
        for k, frame in enumerate(several):
            for name, make in (("jax", self.jax), ("torch", self.pytorch)):
                if not getattr(self, f"output_{name}_format"):
                    continue
                rows = [make([i] * self.nout_ if self.nout_ > 1 else i) for i in range(len(frame))]
                frame[f"{name}_format"] = [row[k] for row in rows] if self.nout_ > 1 else rows
        return frames


def _numbered_from_0(X: Any) -> list[str] | None:
    """Return names for the columns of X; None if it is not a table."""
    try:
        shape = np.asarray(X).shape
    except ValueError:
        return None
    return [f"x{i}" for i in range(shape[1])] if len(shape) == 2 else None


def _accepted(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `fit` that are not None.

    Raises
    ------
    UserError
        For one that `DeepSymbolicRegressor.fit` does not have.
    """
    from dso.errors import unknown

    known = list(inspect.signature(DeepSymbolicRegressor.fit).parameters)[1:]
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in known:
            raise unknown("argument", name, known, "fit")
    return given
