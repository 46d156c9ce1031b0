"""A state of another form is refused, with its place."""

import numpy as np
import pytest

from dso.training.states import check_form

USUAL = {
    "a": np.zeros((0, 3)),
    "n": 1,
    "f": -np.inf,
    "on": True,
    "text": "adam",
    "none": None,
    "rows": [],
    "inner": {"k": np.zeros(2, np.int32)},
}


def test_what_a_run_has_met_may_differ():
    met = {"a": np.ones((5, 3)), "none": 3, "rows": [[1, 2]], "inner": {"k": np.ones(7, np.int64)}}
    check_form({**USUAL, **met, "f": 0.5}, USUAL, "part")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", np.zeros(3)),
        ("a", np.zeros((1, 3), dtype=bool)),
        ("a", [[1.0]]),
        ("n", "1"),
        ("n", None),
        ("n", True),
        ("n", 2**70),
        ("f", []),
        ("on", 1),
        ("text", 3),
        ("rows", {}),
        ("inner", [1]),
    ],
)
def test_another_form_is_refused_by_its_place(name, value):
    with pytest.raises(ValueError, match=rf"^part\.{name}: .*expected"):
        check_form({**USUAL, name: value}, USUAL, "part")


def test_places_inside_are_named():
    with pytest.raises(ValueError, match=r"^part\.inner\.k"):
        check_form({**USUAL, "inner": {"k": 1}}, USUAL, "part")
