"""What machines and people do to a fit and to its files: nothing is lost, and nothing is silent."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dso import DeepSymbolicRegressor
from dso.errors import UserError

X = np.random.default_rng(0).random((20, 2))
Y = X[:, 0] + np.sin(X[:, 1])
CONFIG = {
    "task": {"task_type": "regression", "function_set": ["add", "mul", "sin", "const"]},
    "training": {"batch_size": 50, "complexity": "length"},
    "finishing": {"on": False},  # which would end these searches sooner
}


def small(**parameters: Any) -> DeepSymbolicRegressor:
    usual = {"n_samples": 200, "random_state": 0, "n_jobs": 1, "verbosity": 0, "config": CONFIG}
    return DeepSymbolicRegressor(**(usual | parameters))


def fill_disk(folder: Path, patch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    patch.setattr("os.pwrite", full)
    patch.setattr("os.replace", full)


def put_file(folder: Path, patch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize("trouble", [fill_disk, put_file])
def test_a_fit_whose_files_cannot_be_written_is_a_fit(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    trouble: Callable[[Path, pytest.MonkeyPatch], None],
) -> None:
    whole = small().fit(X, Y)
    folder = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:

        def callback(standing: Any) -> None:
            if standing.iteration == 2:
                trouble(folder, patch)

        model = small(callback=callback, output_directory=tmp_path, run_id="run").fit(X, Y)
    assert model.equations_["equation"].tolist() == whole.equations_["equation"].tolist()
    assert whole.unwritten_ == []
    why = "No space left on device" if trouble is fill_disk else "Not a directory|File exists"
    assert all(what.startswith(str(folder)) for what in model.unwritten_)
    assert all(any(word in what for word in why.split("|")) for what in model.unwritten_)
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert errors == [f"Not written: {what}" for what in model.unwritten_]
    assert errors


def test_a_place_for_files_that_cannot_be_made_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    def never(standing: Any) -> None:
        raise AssertionError

    with pytest.raises(UserError, match="cannot be made"):
        small(output_directory=tmp_path / "file" / "x", callback=never).fit(X, Y)


def test_masked_values_are_refused() -> None:
    mask = np.zeros(len(X), dtype=bool)
    mask[3] = True
    masked = np.ma.array(X, mask=np.column_stack([mask, mask]))
    with pytest.raises(UserError, match="y: 1 of 20 values are masked"):
        small().fit(X, np.ma.array(Y, mask=mask))
    with pytest.raises(UserError, match="X: 2 of 40 values"):
        small().fit(masked, Y)
    with pytest.raises(UserError, match="sample_weight: 1 of 20"):
        small().fit(X, Y, np.ma.array(np.ones(20), mask=mask))
    model = small().fit(np.ma.array(X), np.ma.array(Y))
    with pytest.raises(UserError, match="X: 2 of 40"):
        model.predict(masked)


@pytest.mark.parametrize("name", ["n_samples", "max_evals", "niterations", "maxsize", "n_jobs"])
def test_whole_numbers_of_numpy_are_whole_numbers(name: str) -> None:
    model, plain = (small(**{name: kind(4)}).fit(X, Y) for kind in (np.int64, int))
    assert model.equations_["equation"].tolist() == plain.equations_["equation"].tolist()
    for wrong in (True, np.bool_(True), 4.0, 0):
        with pytest.raises(UserError, match=f"{name}: .*whole number"):
            small(**{name: wrong}).fit(X, Y)


def test_quiet_fits_in_threads_leave_the_logger_as_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("dso")
    before = logger.level, list(logger.filters)
    begun = [threading.Event() for _ in range(2)]

    def fit(i: int) -> None:
        def callback(standing: Any) -> None:
            begun[i].set()
            begun[1 - i].wait(10)
            logger.warning("said in a quiet fit")

        small(callback=callback, n_samples=50 * (i + 1)).fit(X, Y)

    threads = [threading.Thread(target=fit, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    begun[0].wait(10)
    logger.warning("said elsewhere")
    for thread in threads:
        thread.join()
    assert (logger.level, logger.filters) == before
    assert "said elsewhere" in caplog.text
    assert "said in a quiet fit" not in caplog.text


def test_a_factor_of_the_weights_changes_nothing() -> None:
    y = Y + 0.1 * np.random.default_rng(1).standard_normal(20)
    weights = np.random.default_rng(2).random(20)
    one, other = (small().fit(X, y, k * weights) for k in (1.0, 2.5))
    for column in ("equation", "loss"):
        assert one.equations_[column].tolist() == other.equations_[column].tolist()


def test_warm_start_with_another_seed_says_that_it_starts_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = small(warm_start=True, verbosity=1, progress=False).fit(X, Y)
    searches = model._searches
    model.fit(X, Y)
    assert model._searches[0] is searches[0]
    model.set_params(random_state=1).fit(X, Y)
    assert "warm_start: other than in the last fit: random_state" in caplog.text
    fresh = small(random_state=1).fit(X, Y)
    assert model.equations_["equation"].tolist() == fresh.equations_["equation"].tolist()


@pytest.mark.parametrize("is_between", [False, True])
def test_ctrl_c_leaves_the_other_targets_one_iteration(
    monkeypatch: pytest.MonkeyPatch, is_between: bool
) -> None:
    from dso.regressor.search import Search

    iterations: list[int] = []
    offer = Search._offer_shorter_ones

    def callback(standing: Any) -> None:
        iterations.append(standing.iteration)
        if len(iterations) == 1 and not is_between:
            os.kill(os.getpid(), signal.SIGINT)

    def offered(search: Search) -> None:
        if len(iterations) == 4 and is_between:
            os.kill(os.getpid(), signal.SIGINT)
        offer(search)

    monkeypatch.setattr(Search, "_offer_shorter_ones", offered)
    model = small(callback=callback).fit(X, np.column_stack([Y, Y**2]))
    assert iterations == ([1, 2, 3, 4, 1] if is_between else [1, 1])
    assert model.interrupted_
    assert len(model.equations_) == 2


def test_a_scheduler_gets_its_way_when_the_files_are_written(tmp_path: Path) -> None:
    came: list[bool] = []
    file = tmp_path / "run" / "estimator.json"

    def callback(standing: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(file.exists()))
    try:
        model = small(callback=callback, output_directory=tmp_path, run_id="run").fit(X, Y)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert came == [True]
    assert "SIGTERM" in model.stop_reason_


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what stands in the file of a model with a polynomial and constants."""
    folder = tmp_path_factory.mktemp("saved")
    task = {**CONFIG["task"], "function_set": ["add", "sin", "const", "poly"]}
    model = small(config={**CONFIG, "task": task}, output_directory=folder, run_id="run")
    model.fit(X, np.sin(3 * Y) + X[:, 1])
    return json.loads((folder / "run" / "estimator.json").read_text())


WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 40),
    st.sampled_from([10**6, 2**31, 2**63, 10**30, 0.5, -1.0, 1e308, np.nan, np.inf]),
    st.sampled_from(["", "x1", "os:system", "../x", "\0", "sin", "\ud800"]),
    st.sampled_from([[], [[1]], {}, {"a": 1}]),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


def use(model: DeepSymbolicRegressor) -> None:
    """Ask a model for all that it can be asked for."""
    model.predict(X)
    assert repr(model)
    assert len(model.equations_)
    assert len(model.hall_of_fame_)
    for form in (model.get_best, model.sympy, model.latex_table, model.numpy_code, model.constants):
        form()


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_an_edited_file_is_a_model_or_refused(
    tmp_path_factory: pytest.TempPathFactory, saved: dict[str, Any], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(list(places(saved))))
    folder = tmp_path_factory.mktemp("edited")
    (folder / "estimator.json").write_text(json.dumps(changed(saved, path, data.draw(WRONG))))
    with contextlib.suppress(UserError):
        use(DeepSymbolicRegressor.from_file(folder))


@pytest.mark.parametrize("digits", [-1, 0, 18, True, 2.5, None])
def test_tables_refuse_digits_that_numbers_cannot_have(
    digits: object, tmp_path: Path, saved: dict[str, Any]
) -> None:
    path = next(path for path in places(saved) if path and path[-1] == "print_precision")
    (tmp_path / "estimator.json").write_text(json.dumps(changed(saved, path, digits)))
    model = DeepSymbolicRegressor.from_file(tmp_path)
    for show in (repr, DeepSymbolicRegressor._html_repr):
        with pytest.raises(
            UserError, match=f"print_precision: {digits}; expected a whole number from 1"
        ):
            show(model)


@pytest.mark.slow
def test_the_memory_of_many_fits_is_flat() -> None:
    counts = []
    for i in range(60):
        small(random_state=i).fit(X, Y + 0.1 * np.random.default_rng(i).standard_normal(20))
        gc.collect()
        counts.append(len(gc.get_objects()))
    assert counts[-1] - counts[20] < 40
