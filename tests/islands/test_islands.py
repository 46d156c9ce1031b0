"""Islands: the same result whoever does the rounds, however often; guests arrive; one budget."""

import os
import pickle
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dso.config import load_config
from dso.errors import UserError
from dso.islands import Archipelago, island_engine, make_search, one_by_one
from dso.islands.engine import Call, Results
from dso.islands.round import Limits, Travellers, do_round
from dso.library import Library, create_tokens
from dso.program import ProgramBatch
from dso.task.regression import Dataset
from dso.task.regression.dataset import from_arrays
from dso.training.stopping import INTERRUPT
from tests.support.islands import engine_that_is_up
from tests.support.runs import config, files, stop_after


def archipelago(tmp_path: Path | None = None, *, engine=one_by_one, **sections: Any) -> Archipelago:
    """Return three islands of a few rounds of two iterations."""
    given = {
        "training": {"n_samples": 900, "batch_size": 50, "early_stopping": False},
        "islands": {"n": 3, "interval": 2},
        "experiment": {"seed": 5},
    }
    for name, section in sections.items():
        given[name] = {**given.get(name, {}), **section}
    return Archipelago(config(tmp_path, **given), engine=engine)


def elsewhere(calls: Sequence[Call]) -> Results:
    """Do rounds as if each was done by another process, in another order."""
    results = [one_by_one([pickle.loads(pickle.dumps(call))]) for call in reversed(calls)]
    yield from reversed([pickle.loads(pickle.dumps(next(result))) for result in results])


def twice(calls: Sequence[Call]) -> Results:
    """Do each round again, as where the process that did it was lost."""
    for call in calls:
        next(one_by_one([call]))
        yield from one_by_one([call])


def all_files(folder: Path) -> dict[str, Any]:
    return {name: files(folder / name) for name in (".", "island0", "island1", "island2")}


@pytest.mark.parametrize("engine", [elsewhere, twice])
def test_who_does_a_round_does_not_matter(tmp_path: Path, engine: Any) -> None:
    gp = {"run_gp_meld": True, "generations": 2, "population_size": 60}
    results = []
    for name, other in (("plain", one_by_one), ("other", engine)):
        model = archipelago(tmp_path / name, engine=other, gp_meld=gp)
        results.append(model.train())
        del results[-1]["program"]
    assert results[0] == results[1]
    plain, other = (all_files(tmp_path / name / "run") for name in ("plain", "other"))
    assert plain == other
    # The log, hall of fame and front of all; the log of each.
    assert [len(found) for found in plain.values()] == [3, 1, 1, 1]


def signed(function: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    return os.getpid(), function(*arguments)


@pytest.mark.slow
@pytest.mark.parametrize("n_processes", [2, 3])
def test_processes_do_what_one_does(tmp_path: Path, n_processes: int) -> None:
    archipelago(tmp_path / "one").train()
    pids: set[int] = set()
    with engine_that_is_up(n_processes) as engine:

        def counting(calls: Sequence[Call]) -> Results:
            with closing(engine([(signed, *call) for call in calls])) as results:
                for pid, result in results:
                    pids.add(pid)
                    yield result

        archipelago(tmp_path / "many", engine=counting).train()
    assert len(pids) == n_processes
    assert all_files(tmp_path / "one" / "run") == all_files(tmp_path / "many" / "run")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_does_what_one_process_does(tmp_path: Path, cluster: Any) -> None:
    address, workers = cluster
    archipelago(tmp_path / "one").train()

    with island_engine(scheduler=address) as engine:

        def kill_one_then(calls: Sequence[Call]) -> Results:
            if model.trainer.standing.iteration == 1:
                workers[0].kill()
            return engine(calls)

        model = archipelago(tmp_path / "many", engine=kill_one_then)
        model.train()
    assert all_files(tmp_path / "one" / "run") == all_files(tmp_path / "many" / "run")


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    checkpoint = {"save_freq": 1, "units": "iterations"}
    whole = archipelago(tmp_path / "whole", checkpoint=checkpoint)
    whole.train()
    stopped = archipelago(tmp_path / "part", checkpoint=checkpoint)
    stopped.setup()
    stopped.train_one_step()
    stopped.journal.close()
    resumed = archipelago(tmp_path / "part", checkpoint=checkpoint)
    assert resumed.resume()
    assert resumed.trainer.standing.iteration == 1
    resumed.train()
    assert all_files(tmp_path / "part" / "run") == all_files(tmp_path / "whole" / "run")


def test_one_budget_counts_all(tmp_path: Path) -> None:
    model = archipelago()
    result = model.train()
    spent = [island.standing.n_samples for island in model.islands]
    assert result["n_samples"] == sum(spent)
    assert all(300 <= n < 400 for n in spent)
    assert len({island.config["experiment"]["seed"] for island in model.islands}) == 3
    model.extend(600)
    assert model.train_one_step() is None
    assert [island.standing.iteration for island in model.islands] == [8, 8, 8]


def test_the_best_of_all_is_the_result() -> None:
    model = archipelago()
    result = model.train()
    best = max(island.standing.r_best for island in model.islands)
    assert result["r"] == pytest.approx(best, rel=1e-12)
    assert model.hall_of_fame.rewards[0] == result["r"]


@pytest.mark.parametrize("engine", [one_by_one, elsewhere])
def test_what_the_data_say_is_known_of_all(engine: Any) -> None:
    model = archipelago(engine=engine, reduce={"on": True, "after": 1})
    model.setup()
    assert model.reduced is None
    model.train_one_step()
    assert model.reduced is not None
    assert "the budget is too small" in model.reduced.why


def test_guests_take_part() -> None:
    """Each island gets what the one before it has found, and all of it on all islands."""
    for topology, n_expected in (("ring", 1), ("all", 2)):
        model = archipelago(islands={"topology": topology, "n_migrants": 3})
        model.setup()
        model.train_one_step()
        guests = model._guests(0)
        assert len(guests) == n_expected
        found = {model._found[k].programs.keys().tobytes() for k in (1, 2)}
        assert {one.programs.keys().tobytes() for one in guests} <= found
        model.train_one_step()
        # Whatever an island had found, the next has seen.
        best = model.islands[2].standing.r_best
        assert model.islands[0].standing.r_best >= best - 1e-12 or topology == "ring"
    alone = archipelago(islands={"n_migrants": 0})
    alone.setup()
    alone.train_one_step()
    assert alone._guests(0) == []


NAMES = ["add", "mul", "sin", "cos", "const"]


@given(st.data())
def test_travellers_arrive_as_what_they_were(data: st.DataObject) -> None:
    pick = st.lists(st.sampled_from(NAMES), min_size=1, unique=True)
    home, away = (Library(create_tokens(2, data.draw(pick))) for _ in range(2))
    drawn = st.lists(st.integers(0, home.L - 1), min_size=1, max_size=5)
    rows = data.draw(st.lists(drawn, min_size=1, max_size=6))
    programs = ProgramBatch.from_rows(rows)
    arrived = Travellers(home.names, programs).in_library(away)
    texts = [[home.names[token] for token in row] for row in rows]
    expected = [text for text in texts if set(text) <= set(away.names)]
    found = [[away.names[t] for t in arrived.row(i)] for i in range(len(arrived))]
    assert found == expected


def test_islands_may_differ() -> None:
    portfolio = [{}, {"task.function_set": ["add", "mul"]}, {"training.batch_size": 30}]
    model = archipelago(islands={"portfolio": portfolio})
    model.train()
    names = [model._found[k].names for k in range(3)]
    assert "sin" in names[0]
    assert set(names[1]) == {"add", "mul", "x1"}
    assert model.islands[2].config["training"]["batch_size"] == 30


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"n": 0}, "islands.n"),
        ({"n": 10_000}, r"islands\.n: 10000; allowed: at most training\.n_samples = \d+"),
        ({"topology": "line"}, "islands.topology"),
        ({"portfolio": [{"training.batch_siz": 3}]}, "batch_siz"),
        ({"portfolio": [{"task.function_set": ["add", "tanh"]}]}, "tanh"),
    ],
)
def test_what_cannot_be_is_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        archipelago(islands=section).setup()


def test_a_request_ends_the_round_under_way() -> None:
    def interrupting(calls: Sequence[Call]) -> Results:
        model.stopping.request(INTERRUPT)
        return one_by_one(calls)

    model = archipelago(islands={"interval": 1000}, engine=interrupting)
    model.setup()
    assert model.train_one_step() is not None
    assert model.stop_reason == INTERRUPT
    assert [island.standing.iteration for island in model.islands] == [1, 1, 1]


def test_a_limit_of_time_reaches_all() -> None:
    model = archipelago(
        islands={"interval": 10**6}, training={"n_samples": 10**9, "max_seconds": 0.3}
    )
    start = time.monotonic()
    model.train()
    assert "max_seconds" in model.stop_reason
    assert time.monotonic() - start < 60  # it ends


def test_an_island_whose_turn_comes_late_does_one_iteration() -> None:
    model = archipelago()
    model.setup()
    now = time.time()
    stay = do_round(model.islands[2], None, [], 5, 1, Limits(until=now - 1))
    assert stay.island.standing.iteration == 1
    assert "max_seconds" in stay.island.stop_reason
    assert len(stay.found.programs)


def test_a_callback_and_the_number_of_islands() -> None:
    model = archipelago()
    model.train(stop_after(1))
    assert model.trainer.standing.iteration == 1
    plain = make_search(load_config(config()))
    assert not isinstance(plain, Archipelago)


def test_programs_that_are_suggested_join_the_next_iteration() -> None:
    model = make_search(load_config(config()))
    model.setup()
    wanted = [model.library.actionize("mul,x1,mul,x1,sin,x1").tolist()]
    model.trainer.suggest(ProgramBatch.from_rows(wanted))
    model.train_one_step()
    assert model.last is not None
    assert model.last.standing.n_samples == 101
    assert np.flatnonzero(~model.last.batch.on_policy).tolist() == [100]
    model.train_one_step()
    assert model.last.batch.on_policy.all()


def test_islands_that_found_nothing_are_not_an_error() -> None:
    model = make_search(load_config(config()))
    model.setup()
    iteration = model.trainer.gather(ProgramBatch.from_rows([]), model.trainer.standing)
    assert np.isnan(iteration.row["r_max"])
    assert iteration.row["nevals"] == 0


# ------------------------------------------------------- what would be the same on every island


def parts(*portfolio: dict[str, Any], n: int = 4) -> list[tuple[bool, int, int]]:
    """Return which part of the search by values each island does."""
    model = archipelago(
        islands={"n": n, "portfolio": list(portfolio)},
        semantic={"on": True},
        task={"task_type": "regression", "dataset": "Nguyen-5"},
    )
    model.setup()
    sections = [island.config["semantic"] for island in model.islands]
    return [(section["on"], section["part"], section["n_parts"]) for section in sections]


def test_the_search_by_values_is_dealt_out() -> None:
    fewer = {"task.function_set": ["add", "mul"]}
    others = {"training.batch_size": 30}
    assert parts() == [(True, k, 4) for k in range(4)]
    assert parts({}, others) == [(True, k, 4) for k in range(4)]
    # Those with fewer functions would find what the others find.
    assert parts({}, fewer) == [(True, 0, 2), (False, 0, 2), (True, 1, 2), (False, 1, 2)]
    assert parts(fewer, n=2) == [(True, 0, 2), (True, 1, 2)]
    assert parts({}, {"semantic.max_lookups": 10}, n=2) == [(True, 0, 1), (True, 0, 1)]


def test_candidates_of_a_network_are_dealt_out() -> None:
    def asked(*portfolio: dict[str, Any], **pretrained: Any) -> list[tuple[int, int, int]]:
        model = archipelago(
            islands={"n": 3, "portfolio": list(portfolio)},
            pretrained={"on": True, **pretrained},
            task={"task_type": "regression", "dataset": "Nguyen-5"},
        )
        model.setup()
        sections = [island.config["pretrained"] for island in model.islands]
        return [(one["n_candidates"], one["part"], one["n_parts"]) for one in sections]

    assert asked(n_candidates=32) == [(32, 0, 3), (32, 1, 3), (32, 2, 3)]
    own = {"pretrained.n_candidates": 7}
    assert asked({}, {}, own, n_candidates=10) == [(10, 0, 2), (10, 1, 2), (7, 0, 1)]


def rows(n: int = 150) -> Dataset:
    X = np.random.default_rng(0).uniform(1.0, 3.0, (n, 4))
    return from_arrays(X, X[:, 0] * np.sin(X[:, 1] - X[:, 2]) / X[:, 3] ** 2)


def reducing(tmp_path: Path | None = None, *, engine=one_by_one, **sections: Any) -> Archipelago:
    """Return islands that find a product only by what the data say of its form."""
    given = config(
        tmp_path,
        task={"task_type": "regression", "function_set": ["add", "sub", "mul", "div", "sin"]},
        training={"n_samples": 5_000_000, "batch_size": 20},
        islands={"n": 3, "interval": 2},
        reduce={"on": True, "after": 2},
        experiment={"seed": 1},
        **sections,
    )
    return Archipelago(given, rows(), engine)


@pytest.mark.slow
@pytest.mark.parametrize("engine", [elsewhere, twice])
def test_a_smaller_problem_that_the_data_show_is_searched_for(tmp_path: Path, engine) -> None:
    done: list[str] = []

    def watching(calls: Sequence[Call]) -> Results:
        for call, result in zip(calls, one_by_one(calls), strict=False):
            done.append(call[0].__name__)
            yield result

    model = reducing(tmp_path / "plain", engine=watching)
    result = model.train()
    assert model.reduced is not None
    assert model.reduced.reductions
    assert model.trainer.standing.success
    # The data are asked once. The one hypothesis comes first in its round, and ends it.
    assert done.count("look") == 1
    assert done[-1] == "do_hypothesis"
    spent = [island.standing.n_samples for island in model.islands]
    assert model._hypotheses is not None
    assert result["n_samples"] == sum(spent) + model._hypotheses.n_evaluations
    assert model._hypotheses.n_evaluations > model.reduced.n_evaluations > 0
    again = reducing(tmp_path / "again", engine=engine).train()
    assert again["expression"] == result["expression"]
    assert again["n_samples"] == result["n_samples"]
    plain, other = (all_files(tmp_path / name / "run") for name in ("plain", "again"))
    assert plain == other
    assert (tmp_path / "plain/run/dso_regression_1_reductions.json").exists()


def solved_by(k: int) -> list[dict[str, Any]]:
    """Return a portfolio of which one island searches by values, and so finds y."""
    return [{"semantic.on": j == k} for j in range(3)]


@pytest.mark.parametrize("k", [0, 1, 2])
def test_the_first_that_succeeds_ends_the_round(tmp_path: Path, k: int) -> None:
    training = {"n_samples": 50_000, "batch_size": 50, "early_stopping": True}
    found = []
    for engine in (one_by_one, elsewhere):
        folder = tmp_path / engine.__name__
        islands = {"n": 3, "portfolio": solved_by(k)}
        model = archipelago(folder, engine=engine, training=training, islands=islands)
        result = model.train()
        assert model.stop_reason == "the best program is a success"
        done = [island.standing.iteration for island in model.islands]
        assert done == [1] * (k + 1) + [0] * (2 - k)
        found.append((result["expression"], result["n_samples"], all_files(folder / "run")))
        assert sum(len(one) for name, one in found[-1][2].items() if name != ".") == k + 1
    assert found[0] == found[1]


def test_a_goal_ends_what_comes_after_it_and_nothing_else(tmp_path: Path) -> None:
    calls = [Limits(stop=tmp_path / "stop", number=k, cuts=False) for k in range(4)]
    endings = [call.stopping() for call in calls]
    assert not any(call.are_reached for call in calls)
    calls[2].note_goal()
    assert [call.are_reached for call in calls] == [False, False, False, True]
    calls[1].note_goal()
    assert [ending.is_over for ending in endings] == [False, False, True, True]
    (tmp_path / "stop").touch()
    assert all(call.are_reached for call in calls)
    assert not endings[0].is_over  # a run that is to go on comes to the end of its iterations
    assert Limits(stop=tmp_path / "stop").stopping().is_over
    Limits(stop=tmp_path / "elsewhere" / "stop").note_goal()  # as on another machine


@given(st.integers(1, 12), st.integers(0, 60), st.integers(0, 6))
def test_rounds_grow_to_the_interval(interval: int, n_iterations: int, n_before: int) -> None:
    model = archipelago(islands={"interval": interval})
    lengths = [model.length_of_round(k) for k in range(100)]
    assert lengths[0] == 1
    assert all(b in (2 * a, interval) for a, b in pairwise(lengths))
    assert max(lengths) == interval
    n = model.n_rounds(n_iterations, n_before)
    assert sum(lengths[n_before : n_before + n]) >= n_iterations
    assert n == 0 or sum(lengths[n_before : n_before + n - 1]) < n_iterations


@pytest.mark.slow
@pytest.mark.parametrize("n_rounds", [1, 2])
def test_a_race_goes_on_where_it_was_stopped(tmp_path: Path, n_rounds: int) -> None:
    """The data are asked again, and the hypotheses come as far as they were."""

    def short(name: str) -> Archipelago:
        given = reducing(tmp_path / name).config
        given["training"]["early_stopping"] = False
        given["checkpoint"].update(save_freq=1, units="iterations")
        return Archipelago(given, rows())

    whole = short("whole")
    whole.train(stop_after(4))
    part = short("part")
    part.setup()
    for _ in range(n_rounds):
        part.train_one_step()
    part.journal.close()
    again = short("part")
    assert again.resume()
    again.train(stop_after(4))
    assert all_files(tmp_path / "part" / "run") == all_files(tmp_path / "whole" / "run")
    assert again.trainer.standing.n_samples == whole.trainer.standing.n_samples


def test_a_round_that_a_signal_breaks_off_is_done_again(tmp_path: Path) -> None:
    checkpoint = {"save_freq": None, "units": "iterations"}

    def interrupting(calls: Sequence[Call]) -> Results:
        if model.trainer.standing.iteration == 1:
            model.stopping.heed(signal.SIGINT)
        return one_by_one(calls)

    model = archipelago(tmp_path / "part", engine=interrupting, checkpoint=checkpoint)
    result = model.train()
    assert model.stop_reason == INTERRUPT
    assert result["program"] is not None
    resumed = archipelago(tmp_path / "part", checkpoint=checkpoint)
    assert resumed.resume()
    assert resumed.trainer.standing.iteration == 1
    resumed.train()
    archipelago(tmp_path / "whole", checkpoint=checkpoint).train()
    assert all_files(tmp_path / "part" / "run") == all_files(tmp_path / "whole" / "run")
