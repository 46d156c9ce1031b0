"""The equations that a search found for one target, and what can be done with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dso.errors import UserError
from dso.fitting.uncertainty import ConstantErrors
from dso.library import Library, PlaceholderConstant, Polynomial, Token, create_tokens
from dso.program import Columns, Program, ProgramBatch
from dso.program.shown_numbers import with_plain_numbers
from dso.program.symbolic import exchanged, to_short_sympy, to_sympy, to_text
from dso.program.units import constant_units, is_consistent, other_units
from dso.selection import check_rule, criteria, scores
from dso.units import Quantities

if TYPE_CHECKING:
    import pandas as pd

    from dso.reduction import Reduced
    from dso.task.regression.knowledge import Statement, Verdict

MIN_FALL = 1e-9
"""Share of a loss by which that of a longer equation has to be less; rounding makes up the rest."""


@dataclass(frozen=True)
class Found(Columns):
    """B programs with their figures.

    Attributes
    ----------
    programs : ProgramBatch
        With constants.
    losses, complexities : (B,) float64
    polynomials : (B,) array of FittedPolynomial or None
        What the token `poly` of each program stands for.
    """

    programs: ProgramBatch
    losses: np.ndarray
    complexities: np.ndarray
    polynomials: np.ndarray


class Formula:
    """An equation as a function of rows of data.

    Parameters
    ----------
    program : Program
    names : sequence of str
        Of the inputs, as their owner calls them: the columns taken from a data frame.
    text : str
    """

    def __init__(self, program: Program, names: Sequence[str], text: str) -> None:
        self.program = program
        self.names = list(names)
        self.text = text

    def __call__(self, X: Any) -> np.ndarray:
        """Return the predictions (N,) for an array (N, D) or a data frame."""
        columns = getattr(X, "columns", None)
        if columns is not None and set(self.names) <= set(columns):
            X = X[self.names]
        return self.program.execute(np.asarray(X, dtype=np.float64))

    def __repr__(self) -> str:
        return f"Formula(X => {self.text})"


class Equations:
    """The Pareto front and the hall of fame of one target.

    Parameters
    ----------
    library : Library
    names : sequence of str
        Identifiers of the inputs, to be shown.
    original_names : sequence of str
        The same as their owner calls them.
    protected : bool
        Whether programs are judged by their result only.
    front : Found
        In ascending order of complexity and descending order of loss.
    hall_of_fame : Found
        Best first.
    errors : list of ConstantErrors, optional
        One for each row of the front; None where they are not known.
    criteria : dict of (B,) float64, optional
        What each rule of selection compares. Default: what losses and complexities say.
    plan : dict, optional
        From what the library was made, where it is not that of the search.
    quantities : Quantities, optional
        The units of inputs and target.
    reductions : Reduced, optional
        What the data say of the form of y.
    obeyed : list of str, optional
        What of that each row of the front obeys.
    loss_scale : {"log", "linear"}
        Whether losses are positive, so that scores mean something.

    Attributes
    ----------
    test_losses : (B,) float64 or None
        Of the front on rows that the search has not seen; see `judge`.
    verdicts : list of list of str, or None
        Of each row of the front on each statement; see `compare_with`.
    rewards : list of float or None
        Of the rows of the front, once the search has ended.
    """

    def __init__(
        self,
        library: Library,
        names: Sequence[str],
        original_names: Sequence[str],
        protected: bool,
        front: Found,
        hall_of_fame: Found,
        errors: list[ConstantErrors] | None = None,
        criteria: dict[str, np.ndarray] | None = None,
        plan: dict[str, Any] | None = None,
        quantities: Quantities | None = None,
        reductions: Reduced | None = None,
        obeyed: list[str] | None = None,
        loss_scale: str = "log",
    ) -> None:
        self.library = library
        self.names = list(names)
        self.original_names = list(original_names)
        self.protected = protected
        self.front = front
        self.hall_of_fame = hall_of_fame
        self.errors = errors
        self.rewards: list[float] | None = None
        self.plan = plan
        self.quantities = quantities
        self.reductions = reductions
        self.obeyed = [""] * len(front) if obeyed is None else obeyed
        self.loss_scale = loss_scale
        self._criteria = criteria
        self.test_losses: np.ndarray | None = None
        self.verdicts: list[list[Verdict]] | None = None

    def compare_with(self, statements: Sequence[Statement], ranges: np.ndarray) -> None:
        """Ask of each equation of the front whether statements hold; see `Statement.verdict`."""
        self.verdicts = [
            [one.verdict(self.program(i), self.names, ranges) for one in statements]
            for i in range(len(self))
        ]

    @property
    def _is_broken(self) -> np.ndarray:
        """Which equations break a statement, (B,); none where all do."""
        is_broken = np.array(["broken" in verdicts for verdicts in self.verdicts or ()], dtype=bool)
        return is_broken if len(is_broken) and not is_broken.all() else np.zeros(len(self), bool)

    def judge(self, X: np.ndarray, y: np.ndarray) -> None:
        """Work out the squared errors of the front on test rows (M, D) and their targets (M,)."""
        rows = range(len(self))
        with np.errstate(all="ignore"):
            losses = [np.mean((self.program(i).execute(X) - y) ** 2) for i in rows]
        self.test_losses = np.array(losses)

    def __len__(self) -> int:
        return len(self.front)

    @cached_property
    def scores(self) -> np.ndarray:
        """Fall of the logarithm of the loss per step of complexity, (B,); 0 for the first row.

        And for all where losses may be negative.
        """
        if self.loss_scale == "linear":
            return np.zeros(len(self))
        return scores(self.front.losses, self.front.complexities)

    @cached_property
    def criteria(self) -> dict[str, np.ndarray]:
        """What each rule compares, (B,) by its name."""
        if self._criteria is not None:
            return self._criteria
        return criteria(self.front.losses, self.front.complexities, scale=self.loss_scale)

    def criterion(self, strategy: str) -> np.ndarray:
        """Return what a rule of `dso.selection.rules` compares, (B,); the least is chosen."""
        check_rule(strategy)
        return np.where(self._is_broken, np.inf, self.criteria[strategy])

    def select(self, strategy: str) -> int:
        """Return the row that a rule chooses."""
        return int(self.criterion(strategy).argmin())

    def row(self, index: int | None, strategy: str) -> int:
        """Return a row number: the one given, or that of the strategy."""
        if index is None:
            return self.select(strategy)
        if isinstance(index, bool) or not isinstance(index, int | np.integer):
            raise UserError(f"index: {index!r}; expected a row number of equations_.")
        if not -len(self) <= index < len(self):
            raise UserError(f"index: {index}; equations_ has the rows 0 to {len(self) - 1}.")
        return int(index) % len(self)

    def program(self, i: int) -> Program:
        """Return row `i` of the front."""
        program = self._program(self.front, i)
        if self.rewards is not None:
            program.r = self.rewards[i]
        return program

    def _program(self, found: Found, i: int) -> Program:
        constants = found.programs.constants[i]
        return Program(
            self.library,
            found.programs.row(i),
            constants[~np.isnan(constants)],
            protected=self.protected,
            polynomial=found.polynomials[i],
        )

    def written_out(self, i: int) -> list[Token]:
        """Return the tokens of row `i`, its polynomial as sums and products of fitted numbers."""
        known = {token.name: token for token in create_tokens(len(self.names), ["add", "mul"])}
        tokens: list[Token] = []
        for token in self.program(i).traversal:
            if isinstance(token, Polynomial):
                names = token.to_str_tokens()
                tokens += [known.get(name) or PlaceholderConstant(float(name)) for name in names]
            else:
                tokens.append(token)
        return tokens

    @cached_property
    def texts(self) -> list[str]:
        """The front as text."""
        return [self._text(self.program(i)) for i in range(len(self))]

    def _text(self, program: Program) -> str:
        try:
            return as_text(with_plain_numbers(to_short_sympy(program.traversal, self.names)))
        except Exception:  # what sympy cannot compare, it cannot always print
            return to_text(program.traversal, self.names)

    def sympy(self, i: int) -> Any:
        """Return row `i` as a sympy expression, its plain numbers as such: x1, not 1.0*x1."""
        return _plain_if_possible(to_sympy(self.program(i).traversal, self.names))

    def short_sympy(self, i: int) -> Any:
        """Return the same with protected operators as the functions that they guard."""
        return _plain_if_possible(to_short_sympy(self.program(i).traversal, self.names))

    def sympy_or_none(self, i: int) -> Any:
        """Return `sympy`, None where the equation is too much for it."""
        try:
            return self.sympy(i)
        except UserError:
            return None

    def template(self, i: int) -> str:
        """Return row `i` as text with c1, c2, ... for its constants.

        These stand for absolute values: the sign of a number belongs to the text.
        """
        import sympy

        front = self.front
        bare = Program(self.library, front.programs.row(i), polynomial=front.polynomials[i])
        form = to_short_sympy(bare.traversal, self.names)
        symbols = [sympy.Symbol(f"c{k + 1}") for k in range(front.programs.constants.shape[1])]
        numbers = zip(symbols, front.programs.constants[i].tolist(), strict=True)
        return as_text(exchanged(form, {c: -c for c, number in numbers if number < 0}))

    def formula(self, i: int) -> Formula:
        """Return row `i` as a function."""
        return Formula(self.program(i), self.original_names, self.texts[i])

    def frame(self, strategy: str) -> pd.DataFrame:
        """Return the front as a table in PySR's columns, and what the rule compares."""
        import pandas as pd

        rows = range(len(self))
        scores = {"score": self.scores} if self.loss_scale == "log" else {}
        frame = pd.DataFrame(
            {
                "complexity": _whole(self.front.complexities),
                "loss": self.front.losses,
                "equation": self.texts,
                **scores,
                "sympy_format": [self.sympy_or_none(i) for i in rows],
                "lambda_format": [self.formula(i) for i in rows],
                "criterion": self.criterion(strategy),
                "reductions": self.obeyed,
            }
        )
        if self.quantities is not None:
            frame["is_consistent"] = is_consistent(
                self.library, self.quantities, self.front.programs
            )
            frame.attrs["units"] = self.units_text()
        if self.test_losses is not None:
            frame["test_loss"] = self.test_losses
        if self.verdicts is not None:
            frame["knowledge"] = [", ".join(verdicts) for verdicts in self.verdicts]
        return frame

    def units_text(self) -> str:
        """Return the units as one line: y [N], m1 [kg], ...; what is not known has a "?"."""
        assert self.quantities is not None
        columns = zip(
            ["y", *self.names], [self.quantities.target, *self.quantities.inputs], strict=True
        )
        return ", ".join(f"{name} [{'?' if unit is None else unit.text}]" for name, unit in columns)

    def trouble_with_units(self, i: int) -> str | None:
        """Return in a sentence what is wrong with the units of row `i`, None where nothing is."""
        if self.quantities is None:
            return None
        programs = self.front.programs[i : i + 1]
        if is_consistent(self.library, self.quantities, programs).all():
            return None
        says = f"the units of {self.texts[i]}, which fits best, are not consistent"
        others = other_units(self.library, self.quantities, programs)
        if not others:
            return says
        return f"{says}; they would be if {' or '.join(others)} had another unit"

    def constant_units(self, i: int) -> list[str]:
        """Return the units of the constants of row `i`; see `dso.program.units`."""
        assert self.quantities is not None
        return constant_units(self.program(i).traversal, self.quantities)

    def hall_of_fame_frame(self) -> pd.DataFrame:
        """Return the best programs, simple or not, with their tokens in prefix order."""
        import pandas as pd

        found = self.hall_of_fame
        programs = [self._program(found, i) for i in range(len(found))]
        return pd.DataFrame(
            {
                "complexity": _whole(found.complexities),
                "loss": found.losses,
                "equation": list(map(self._text, programs)),
                "traversal": list(map(repr, programs)),
            }
        )

    def constants_frame(self, i: int, level: float) -> pd.DataFrame:
        """Return the constants of row `i` with errors and confidence intervals."""
        import pandas as pd

        if self.errors is None:
            raise UserError(
                "the errors of constants are not known before a search has ended, nor where "
                "another loss than the squared error is in force."
            )
        errors = self.errors[i]
        # As the template has the signs, bounds of what is negative change places.
        signs = np.where(errors.values < 0, -1.0, 1.0)
        intervals = np.sort(signs[:, None] * errors.intervals(level), axis=1)
        frame = pd.DataFrame(
            {
                "value": signs * errors.values,
                "standard_error": errors.standard_errors,
                "lower": intervals[:, 0],
                "upper": intervals[:, 1],
                "identifiable": errors.is_determined,
            },
            index=[f"c{k + 1}" for k in range(len(errors.values))],
        )
        if self.quantities is not None:
            units = self.constant_units(i)
            # The coefficients of a polynomial are none of the program's constants.
            frame.insert(1, "unit", units if len(units) == len(frame) else "")
        # Where the constants stand belongs to what is printed.
        frame.columns.name = self.template(i)
        frame.attrs.update(equation=self.template(i), note=errors.statement, level=level)
        return frame


def as_text(expression: Any) -> str:
    """Return a sympy expression as text, without trailing zeros."""
    import sympy

    return sympy.sstr(expression, full_prec=False)


def _plain_if_possible(expression: Any) -> Any:
    try:
        return with_plain_numbers(expression)
    except Exception:  # nested too deeply, or with what sympy cannot compare
        return expression


def falling(found: Found, least: float) -> Found:
    """Return the rows whose loss is less than that of all rows before them, by more than rounding.

    Rows behind one that is exact but for rounding are left out: what they gain is rounding too.

    Parameters
    ----------
    found : Found
        In ascending order of complexity.
    least : float
        Losses up to this are exact.
    """
    before = np.append(np.inf, np.minimum.accumulate(found.losses)[:-1])
    with np.errstate(invalid="ignore"):
        limit = np.where(np.isinf(before), before, before - MIN_FALL * np.abs(before))
    return found[np.flatnonzero((found.losses < limit) & (before > least))]


def _whole(values: np.ndarray) -> np.ndarray:
    return values.astype(int) if (values == np.round(values)).all() else values
