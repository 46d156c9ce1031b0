"""scikit-learn's own checks, all of them."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from dso import DeepSymbolicRegressor


@parametrize_with_checks([DeepSymbolicRegressor(n_samples=500, n_jobs=1, verbosity=0)])
def test_scikit_learn(estimator, check) -> None:
    check(estimator)
