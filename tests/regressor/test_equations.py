"""The front: scores, selection, tables."""

from dataclasses import replace

import numpy as np
import pytest

from dso.errors import UserError
from dso.fitting.uncertainty import ConstantErrors
from dso.library import Library, create_tokens
from dso.program import ProgramBatch
from dso.regressor.display import as_html, as_text
from dso.regressor.equations import Equations, Found, falling

LIBRARY = Library(create_tokens(2, ["add", "mul", "sin", "const"]))
TEXTS = ["const", "mul,const,x1", "add,const,mul,const,x1", "add,sin,x2,add,const,mul,const,x1"]


def equations(losses: list[float], names: tuple[str, str] = ("x1", "x2")) -> Equations:
    n = len(losses)
    programs = ProgramBatch.from_rows([LIBRARY.actionize(text) for text in TEXTS[:n]])
    constants = np.array([[0.5, np.nan], [2, np.nan], [0.25, 3], [1, 0.123456789]])[:n]
    programs = replace(programs, constants=constants)
    found = Found(programs, np.array(losses), np.array([1.0, 3, 5, 8])[:n], np.full(n, None))
    return Equations(LIBRARY, names, names, False, found, found)


def test_scores_are_those_of_pysr() -> None:
    scores = equations([4.0, 2.0, 1.0, 0.9]).scores
    expected = [0, np.log(2) / 2, np.log(2) / 2, np.log(1 / 0.9) / 3]
    np.testing.assert_allclose(scores, expected, rtol=1e-14)
    assert equations([4.0, 0.0]).scores[1] == np.inf


@pytest.mark.parametrize(
    ("losses", "accuracy", "best", "score"),
    [
        ([4.0, 2.0, 1.0, 0.9], 3, 2, 1),
        ([9.0, 0.1, 0.09, 0.05], 3, 3, 1),
        ([9.0, 0.1, 0.0], 2, 2, 2),
        ([1.0], 0, 0, 0),
    ],
)
def test_selection(losses: list[float], accuracy: int, best: int, score: int) -> None:
    table = equations(losses)
    chosen = [table.select(name) for name in ("accuracy", "best", "score")]
    assert chosen == [accuracy, best, score]


def test_rows_are_given_by_number() -> None:
    table = equations([4.0, 2.0])
    assert table.row(-1, "best") == 1
    for index in (2, True, "1"):
        with pytest.raises(UserError, match="index"):
            table.row(index, "best")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"accurcy.*Did you mean 'accuracy'"):
        table.row(None, "accurcy")


def test_the_front_falls_and_ends_where_it_is_exact() -> None:
    found = equations([4.0, 5.0, 1e-30, 1e-32]).front
    assert falling(found, 1e-20).complexities.tolist() == [1, 5]
    assert falling(found, 0.0).complexities.tolist() == [1, 5, 8]


def test_the_table_has_pysrs_columns() -> None:
    frame = equations([4.0, 2.0, 1.0]).frame("accuracy")
    columns = ["complexity", "loss", "equation", "score", "sympy_format", "lambda_format"]
    assert list(frame.columns) == [*columns, "criterion", "reductions"]
    assert frame["criterion"].tolist() == [4.0, 2.0, 1.0]
    assert frame["complexity"].tolist() == [1, 3, 5]
    assert frame["equation"].tolist() == ["0.5", "2*x1", "3*x1 + 0.25"]
    X = np.array([[1.0, 0], [2.0, 0]])
    np.testing.assert_array_equal(frame["lambda_format"][2](X), [3.25, 6.25])
    np.testing.assert_array_equal(frame["lambda_format"][0](X), [0.5, 0.5])


def test_formulas_take_the_columns_of_a_data_frame() -> None:
    import pandas as pd

    formula = equations([4.0, 2.0], ("mass", "speed")).formula(1)
    assert repr(formula) == "Formula(X => 2*mass)"
    frame = pd.DataFrame({"other": [7.0], "speed": [5.0], "mass": [3.0]})
    np.testing.assert_array_equal(formula(frame), [6.0])


def test_the_selected_row_is_marked() -> None:
    text = as_text("Model", [equations([4.0, 2.0, 1.0, 0.9])], "best", 5)
    lines = text.splitlines()
    assert lines[0] == "Model.equations_ = ["
    assert lines[1].split() == ["pick", "score", "loss", "complexity", "equation"]
    assert [">>>>" in line for line in lines[2:6]] == [False, False, True, False]
    assert lines[5].split()[2:] == ["0.9", "8", "0.12346*x1", "+", "sin(x2)", "+", "1"]
    short = as_text("Model", [equations([4.0, 2.0, 1.0, 0.987654])], "best", 2)
    assert short.splitlines()[5].split()[2:] == ["0.99", "8", "0.12*x1", "+", "sin(x2)", "+", "1"]


def test_long_equations_go_on_in_the_next_line() -> None:
    names = ("mass_of_the_whole_vehicle_in_kilograms", "speed_over_ground_in_metres_per_second")
    text = as_text("Model", [equations([4.0, 2.0, 1.0, 0.9], names)], "best", 5)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) == 8  # one more than without the last row's second line
    assert " ".join(text.split()).count(f"0.12346*{names[0]} + sin({names[1]}) + 1") == 1


def test_html_is_mathematics_and_escaped() -> None:
    html = as_html([equations([4.0, 2.0], ("<b>", "&"))], "best", 5)
    assert "<b>" not in html
    assert html.count("&gt;&gt;&gt;&gt;") == 1
    plain = as_html([equations([4.0, 2.0, 1.0])], "best", 5)
    assert "<td>$3 x_{1} + 0.25$</td>" in plain


def test_constants_say_where_they_stand() -> None:
    table = equations([4.0, 2.0, 1.0])
    errors = ConstantErrors(np.array([0.25, 3.0]), np.eye(2), np.ones(2, dtype=bool), 9)
    table.errors = [errors] * 3
    frame = table.constants_frame(2, 0.95)
    assert str(frame).splitlines()[0].startswith("c1 + c2*x1")


def test_constants_have_the_signs_of_the_equation() -> None:
    table = equations([4.0, 2.0, 1.0])
    found = replace(
        table.front,
        programs=replace(
            table.front.programs, constants=np.array([[0.5, np.nan], [2, np.nan], [0.25, -3]])
        ),
    )
    table = Equations(LIBRARY, table.names, table.names, False, found, found)
    errors = ConstantErrors(np.array([0.25, -3.0]), np.diag([1.0, 4.0]), np.ones(2, bool), 9)
    table.errors = [errors] * 3
    frame = table.constants_frame(2, 0.95)
    assert frame.attrs["equation"] == "c1 - c2*x1"
    assert frame["value"].tolist() == [0.25, 3.0]
    assert frame["standard_error"].tolist() == [1.0, 2.0]
    assert (frame["lower"] < frame["value"]).all()
    assert (frame["value"] < frame["upper"]).all()
    assert frame["upper"]["c2"] - 3 == pytest.approx(2 * (frame["upper"]["c1"] - 0.25))
