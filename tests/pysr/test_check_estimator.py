"""scikit-learn's own checks, all of them."""

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from dso.pysr import PySRRegressor

SMALL = PySRRegressor(
    max_evals=500, temp_equation_file=True, verbosity=0, random_state=0, parallelism="serial"
)


@pytest.mark.slow
@parametrize_with_checks([SMALL])
def test_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)
