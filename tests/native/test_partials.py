"""Each operator's derivatives against differences in high precision."""

import mpmath
import numpy as np
import pytest

from dso.library import OPERATORS
from dso.library.expression import evaluate, parse
from dso.library.library import OPCODES
from dso.native import _core
from tests.reference import TRUTH

POINTS = np.array(
    [-7.3, -2.5, -1.25, -0.9, -0.5, -0.02, 0.02, 0.3, 0.5, 0.97, 1.5, 2.2, 3.3, 11.0, 35.0]
)


def truth(name: str, point: tuple[float, ...], argument: int) -> float | None:
    """Return the derivative at a point, or None if it is not real."""
    exact = [mpmath.mpf(value) for value in point]

    def along(value: mpmath.mpf) -> mpmath.mpf:
        return TRUTH[name](*[*exact[:argument], value, *exact[argument + 1 :]])

    try:
        with mpmath.workdps(150):
            step = mpmath.mpf(10) ** -40
            slope = (along(exact[argument] + step) - along(exact[argument] - step)) / (2 * step)
    except (ZeroDivisionError, ValueError, TypeError):
        return None
    if isinstance(slope, mpmath.mpc) or not mpmath.isfinite(slope) or abs(slope) > 1e15:
        return None
    return float(slope)


def grid(arity: int) -> np.ndarray:
    """Return points (arity, n), and special ones where operators change their form."""
    first = np.concatenate([POINTS, [0.0011, 0.0009, -0.0009, 99.9, 100.1, -99.9, -100.1, 2e6]])
    if arity == 1:
        return first[None]
    return np.stack([grid.ravel() for grid in np.meshgrid(first, POINTS)])


def is_at_jump(name: str, a: float, b: float) -> bool:
    """Tell whether the derivative does not exist."""
    if name == "mod":
        return (a / b) % 1 == 0
    return a == b and name in ("max", "min")


@pytest.mark.parametrize("name", OPERATORS)
def test_partials_are_the_derivatives(name: str) -> None:
    arity = OPERATORS[name].arity
    points = grid(arity)
    with np.errstate(all="ignore"):
        y = np.asarray(OPERATORS[name].numpy(*points), dtype=float)
    columns = _core.partials(OPCODES[name], points[0], points[-1], y)
    n_checked = 0
    for i in np.flatnonzero(np.isfinite(y)):
        point = tuple(points[:, i])
        if arity == 2 and is_at_jump(name, *point):
            continue
        for argument in range(arity):
            expected = truth(name, point, argument)
            if expected is None:
                continue
            n_checked += 1
            assert columns[argument][i] == pytest.approx(expected, rel=1e-11, abs=1e-300), (
                f"d {name}{point} / d argument {argument}"
            )
    assert n_checked >= 5


SHORT = {
    "trigamma(a + 1)",
    "y*digamma(a)",
}  # what formulas cannot say; the test above has its values


@pytest.mark.parametrize("name", [n for n, row in OPERATORS.items() if set(row.derivative) - SHORT])
def test_the_table_says_what_the_machine_computes(name: str) -> None:
    row = OPERATORS[name]
    assert len(row.derivative) == row.arity
    a, b = grid(row.arity)[0], grid(row.arity)[-1]
    with np.errstate(all="ignore"):
        y = np.asarray(row.numpy(a, b) if row.arity == 2 else row.numpy(a), dtype=float)
        guarded = y != OPERATORS[row.display].numpy(*grid(row.arity)) if row.display else False
    columns = _core.partials(OPCODES[name], a, b, y)
    for text, column in zip(row.derivative, columns, strict=False):
        with np.errstate(all="ignore"):
            expected = evaluate(
                parse(text, input_names=["a", "b", "y"]), np.stack([a, b, y], axis=1)
            )
        is_checked = np.isfinite(y) & np.isfinite(expected) & (np.abs(expected) < 1e15)
        is_checked &= ~((name in ("max", "min")) & (a == b))
        if row.display and name != "protected_sqrt":
            is_checked &= ~(guarded & (column == 0))
        assert is_checked.sum() >= 5
        np.testing.assert_allclose(
            column[is_checked],
            np.broadcast_to(expected, a.shape)[is_checked],
            rtol=1e-9,
            atol=1e-14,
        )


def test_a_power_of_a_negative_number_has_no_slope_in_its_exponent() -> None:
    a, b = np.array([-2.0, 0.0]), np.array([3.0, 2.0])
    in_a, in_b = _core.partials(OPCODES["pow"], a, b, a**b)
    np.testing.assert_allclose(in_a, [12.0, 0.0])
    np.testing.assert_array_equal(in_b, [0.0, 0.0])
