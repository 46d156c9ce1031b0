"""The file that an estimator is rebuilt from: what it may contain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from dso.library import FittedPolynomial, Library
from dso.reduction import Reduced, Reduction, Separation, Step
from dso.reduction.formula import check_formula
from dso.units import Quantities

FORMAT = 2
MAX_INPUTS = 100_000

NInputs = Annotated[int, Field(ge=1, le=MAX_INPUTS)]
Token = Annotated[int, Field(ge=0, le=2**15 - 1)]
Exponent = Annotated[int, Field(ge=0, le=1000)]
Row = Annotated[list[Token], Field(min_length=1)]
Formula = Annotated[list[str | int | float], Field(min_length=1, max_length=10_000)]
Name = Annotated[str, Field(min_length=1, max_length=10_000)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class SavedPolynomial(_Part):
    """A `FittedPolynomial`."""

    n_inputs: NInputs
    exponents: list[list[Exponent]]
    coefficients: list[float]

    @model_validator(mode="after")
    def _fits(self) -> SavedPolynomial:
        _same_lengths(exponents=self.exponents, coefficients=self.coefficients)
        if any(len(row) != self.n_inputs for row in self.exponents):
            raise ValueError(f"each row of exponents has {self.n_inputs} numbers")
        return self

    def rebuilt(self) -> FittedPolynomial:
        """Return it."""
        exponents = np.array(self.exponents, dtype=np.int32).reshape(-1, self.n_inputs)
        return FittedPolynomial(exponents, np.array(self.coefficients))


class SavedFound(_Part):
    """`Found`: at least one program."""

    tokens: Annotated[list[Row], Field(min_length=1)]
    constants: list[list[float]]
    losses: list[float]
    complexities: list[float]
    polynomials: list[SavedPolynomial | None]

    @model_validator(mode="after")
    def _fits(self) -> SavedFound:
        columns = {name: getattr(self, name) for name in type(self).model_fields}
        _same_lengths(**columns)
        return self

    def check(self, library: Library, n_inputs: int) -> None:
        """Compare the programs with their library.

        Raises
        ------
        ValueError
            If they do not fit.
        """
        for row, constants, polynomial in zip(
            self.tokens, self.constants, self.polynomials, strict=True
        ):
            if max(row) >= library.L:
                raise ValueError(f"token {max(row)} where the library has {library.L}")
            if len(constants) != sum(token == library.const_token for token in row):
                raise ValueError("each const has one number")
            if polynomial is not None and polynomial.n_inputs != n_inputs:
                raise ValueError("a polynomial of another number of inputs")


class SavedErrors(_Part):
    """`ConstantErrors` of one program."""

    values: list[float]
    covariance: list[list[float]]
    is_determined: list[bool]
    degrees_of_freedom: int

    @model_validator(mode="after")
    def _fits(self) -> SavedErrors:
        _same_lengths(
            values=self.values, covariance=self.covariance, is_determined=self.is_determined
        )
        _same_lengths(values=self.values, **{f"row {i}": r for i, r in enumerate(self.covariance)})
        return self


class SavedLibrary(_Part):
    """From what a library is made."""

    n_inputs: NInputs
    function_set: list[str | float | int]
    protected: bool
    thresholds: list[float | list[float]] | None
    complexities: dict[str, float] = {}


class SavedUnits(_Part):
    """`Quantities`, as texts."""

    inputs: list[str | None]
    target: str | None
    pure_constants: bool

    def rebuilt(self, names: list[str]) -> Quantities | None:
        """Return them."""
        if len(self.inputs) != len(names):
            raise ValueError(f"{len(self.inputs)} units for {len(names)} inputs")
        return Quantities.of(self.inputs, self.target, names, pure_constants=self.pure_constants)


class SavedStep(_Part):
    """A `Step` of a reduction."""

    text: str
    error_before: float | None
    error_after: float | None


class SavedReduction(_Part):
    """A `Reduction`, its formulas in prefix order."""

    columns: list[Formula]
    forward: Formula
    back: Formula
    steps: list[SavedStep]

    def rebuilt(self, names: Sequence[str]) -> Reduction:
        """Return it.

        Raises
        ------
        ValueError
            If a formula is none of these inputs.
        """
        formulas = [tuple(formula) for formula in (*self.columns, self.forward, self.back)]
        for formula in formulas:
            check_formula(formula, len(names) + 1)
        *columns, forward, back = formulas
        steps = tuple(Step(**step.model_dump()) for step in self.steps)
        return Reduction(tuple(names), tuple(columns), forward, back, steps)


class SavedSeparation(_Part):
    """A `Separation`."""

    reduction: SavedReduction
    is_product: bool
    groups: Annotated[list[list[int]], Field(min_length=2)]
    factors: list[Formula] = []

    def rebuilt(self, names: Sequence[str]) -> Separation:
        """Return it.

        Raises
        ------
        ValueError
            If the groups are not made of the columns.
        """
        reduction = self.reduction.rebuilt(names)
        groups, factors = tuple(map(tuple, self.groups)), tuple(map(tuple, self.factors))
        columns = range(len(reduction.columns))
        if not factors and sorted(sum(groups, ())) != list(columns):
            raise ValueError(f"groups {self.groups} of {len(columns)} columns")
        if factors and (len(factors) != len(groups) or not set(sum(groups, ())) <= set(columns)):
            raise ValueError(f"groups {self.groups} with {len(factors)} factors")
        for factor in factors:
            check_formula(factor, len(columns))
        return Separation(reduction, self.is_product, groups, factors)


class SavedReduced(_Part):
    """What `dso.reduction.reduce` returned."""

    reductions: list[SavedReduction]
    why: str
    is_noisy: bool
    n_evaluations: Annotated[int, Field(ge=0)]
    separation: SavedSeparation | None = None

    def rebuilt(self, names: Sequence[str]) -> Reduced:
        """Return it; see `SavedReduction.rebuilt` and `SavedSeparation.rebuilt`."""
        reductions = tuple(one.rebuilt(names) for one in self.reductions)
        pieces = None if self.separation is None else self.separation.rebuilt(names)
        return Reduced(reductions, self.why, self.is_noisy, self.n_evaluations, pieces)


class SavedTarget(_Part):
    """`Equations` of one target."""

    library: SavedLibrary
    front: SavedFound
    hall_of_fame: SavedFound
    errors: list[SavedErrors] | None
    criteria: dict[str, list[float]] = {}
    units: SavedUnits | None = None
    reductions: SavedReduced | None = None
    obeyed: list[str] | None = None

    @model_validator(mode="after")
    def _fits(self) -> SavedTarget:
        if self.errors is not None:
            _same_lengths(errors=self.errors, front=self.front.tokens)
        _same_lengths(front=self.front.tokens, **self.criteria)
        if self.obeyed is not None:
            _same_lengths(front=self.front.tokens, obeyed=self.obeyed)
        return self


class SavedEstimator(_Part):
    """The whole file."""

    format: Literal[2]
    parameters: dict[str, Any]
    n_features_in: NInputs
    feature_names_in: list[Name] | None
    original_names: list[Name]
    display_feature_names_in: list[Name]
    nout: Annotated[int, Field(ge=1)]
    run_id: Name
    target_names: list[Name]
    targets: Annotated[list[SavedTarget], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits(self) -> SavedEstimator:
        names = {"original_names": self.original_names, "names": self.display_feature_names_in}
        if self.feature_names_in is not None:
            names["feature_names_in"] = self.feature_names_in
        for place, given in names.items():
            if len(given) != self.n_features_in:
                raise ValueError(f"{place}: {len(given)} names for {self.n_features_in} inputs")
        if len(set(self.display_feature_names_in)) < self.n_features_in:
            raise ValueError("two inputs have the same name")
        if not all(name.isidentifier() for name in self.display_feature_names_in):
            raise ValueError("names to be shown are identifiers")
        if any(target.library.n_inputs != self.n_features_in for target in self.targets):
            raise ValueError("a library of another number of inputs")
        if len(self.target_names) != self.nout:
            raise ValueError(f"{len(self.target_names)} names for {self.nout} targets")
        if len(self.targets) > self.nout:
            raise ValueError(f"{len(self.targets)} targets of {self.nout}")
        return self


def _same_lengths(**columns: list[Any]) -> None:
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
        raise ValueError(f"lengths differ: {lengths}")
