"""Many runs: in processes and on a cluster they are what they are one by one; failures are told."""

import contextlib
import csv
import io
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from dso.config import load_config, with_values
from dso.errors import UserError
from dso.launch.jobs import Job, jobs_of, label, read_sweep, unfinished
from dso.launch.runner import FAILED, Outcome, StatusFile, do_jobs, in_processes, status_path
from dso.launch.table import BatchTable
from dso.run import main

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "task": {"task_type": "regression", "dataset": "Nguyen-5"},
    "training": {"n_samples": 300, "batch_size": 100, "verbose": False},
    "checkpoint": {"save_freq": 1, "units": "iterations"},
    "postprocess": {"save_plots": False},
}


def task(**section):
    """Return a task that fails, or kills its process, for some seeds."""
    from dso.task.regression import RegressionTask

    how = json.loads(section.pop("how"))
    made = RegressionTask(**section)
    rewards = made.rewards
    calls = []

    def counted(programs):
        calls.append(1)
        for kind, path in how.items():
            marker = Path(path)
            if marker.exists() and len(calls) == 2:
                if kind == "raise":
                    raise ZeroDivisionError("on purpose")
                if kind == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                if kind == "die once":
                    marker.unlink()
                    os.kill(os.getpid(), signal.SIGKILL)
        return rewards(programs)

    made.rewards = counted
    return made


def config(tmp_path, name, **sections):
    given = {**SMALL, **sections, "experiment": {"logdir": str(tmp_path), "exp_name": name}}
    made = load_config(given)
    made["experiment"]["timestamp"] = "now"
    return made


def jobs(tmp_path, name, runs=3, **sections):
    return jobs_of([(config(tmp_path, name, **sections), {})], runs)


def rows(folder, drop=("t",)):
    with open(folder / "summary.csv", newline="") as file:
        found = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in drop} for row in found]


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.json").write_text(json.dumps(SMALL))
    return lambda *arguments: CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def in_a_row(tmp_path_factory):
    """Return the folder of three runs, one after the other."""
    folder = tmp_path_factory.mktemp("row")
    for _ in do_jobs(jobs(folder, "row")):
        pass
    return folder / "row"


def test_processes_do_what_runs_in_a_row_do(tmp_path, in_a_row):
    outcomes = list(do_jobs(jobs(tmp_path, "pool"), n_processes=2))
    assert sorted(outcome.seed for outcome in outcomes) == [0, 1, 2]
    assert rows(tmp_path / "pool") == rows(in_a_row)
    header = [
        (f / "summary.csv").read_text().splitlines()[0] for f in (in_a_row, tmp_path / "pool")
    ]
    assert header[0] == header[1]
    assert [path.name for path in tmp_path.iterdir()] == ["pool"]


def plug_in(dataset="Nguyen-5", **how):
    section = {
        "task_type": "tests.launch.test_runner:task",
        "how": json.dumps({kind: str(path) for kind, path in how.items()}),
        "dataset": dataset,
        "metric": "inv_nrmse",
        "metric_params": [1.0],
        "function_set": ["add", "mul", "sin"],
    }
    return {"task": section}


def test_a_run_that_fails_is_told_and_the_others_go_on(tmp_path):
    marker = tmp_path / "marker"
    planned = jobs(tmp_path, "e", **plug_in(**{"raise": marker}))
    outcomes = []
    for outcome in do_jobs(planned):
        outcomes.append(outcome)
        marker.touch() if outcome.seed == 0 else marker.unlink(missing_ok=True)
    assert [outcome.stop_reason == FAILED for outcome in outcomes] == [False, True, False]
    assert "ZeroDivisionError('on purpose')" in outcomes[1].error
    found = rows(tmp_path / "e")
    assert [row["seed"] for row in found] == ["0", "1", "2"]
    assert [bool(row["error"]) for row in found] == [False, True, False]


def test_the_exit_status_tells(invoke, tmp_path):
    outcome = invoke("small.json", "--runs", "2", "--b", "Nguyen-5", "--b", "Nguyen-55")
    assert outcome.exit_code == 1
    assert "2 of 4 run(s) failed." in outcome.output
    (folder,) = (tmp_path / "logs").iterdir()
    found = rows(folder)
    assert [row["task.dataset"] for row in found] == ["Nguyen-5"] * 2 + ["Nguyen-55"] * 2
    assert [row["seed"] for row in found] == ["0", "1"] * 2
    assert "Did you mean 'Nguyen-5'?" in found[3]["error"]
    assert found[0]["error"] == ""
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [
        "Nguyen-5",
        "Nguyen-55",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["die once", "die"])
def test_a_process_that_dies_takes_no_other_run_with_it(tmp_path, in_a_row, kind):
    """Its run goes on from its checkpoint; one that dies again has failed."""
    marker = tmp_path / "marker"
    marker.touch()
    quiet, deadly = jobs(tmp_path, "e", 2), jobs(tmp_path, "f", 1, **plug_in(**{kind: marker}))
    planned = [Job(i, job.config) for i, job in enumerate([*deadly, *quiet])]
    statuses = tmp_path / "statuses"
    statuses.mkdir()
    outcomes = {o.number: o for o in in_processes(planned, 2, statuses)}
    assert len(outcomes) == 3
    assert rows(tmp_path / "e") == rows(in_a_row)[:2]
    if kind == "die":
        assert "its process died twice" in outcomes[0].error
        assert "died twice" in rows(tmp_path / "f")[0]["error"]
    else:
        expected = jobs(tmp_path, "g", 1, **plug_in())
        (whole,) = do_jobs(expected)
        assert rows(tmp_path / "f") == rows(tmp_path / "g")
        assert outcomes[0].result["traversal"] == whole.result["traversal"]


def test_resume_does_what_is_not_done(invoke, tmp_path):
    assert invoke("small.json", "--runs", "3", "--exp_name", "whole").exit_code == 0
    assert invoke("small.json", "--runs", "3", "--exp_name", "cut").exit_code == 0
    folder = tmp_path / "logs" / "cut"
    lines = (folder / "summary.csv").read_text().splitlines(keepends=True)
    (folder / "summary.csv").write_text("".join(lines[:2]))
    (folder / "dso_Nguyen-5_2.csv").unlink()
    outcome = invoke("--resume", str(folder))
    assert outcome.exit_code == 0, outcome.output
    assert "1 run(s) are done, 2 to do." in outcome.output
    assert rows(folder) == rows(tmp_path / "logs" / "whole")
    again = invoke("--resume", str(folder))
    assert "3 run(s) are done, 0 to do." in again.output
    assert again.exit_code == 0


def test_resume_of_a_sweep(invoke, tmp_path):
    sweep = {"grid": {"training.epsilon": [0.05, 0.5]}, "list": [{"policy.cell": "gru"}]}
    (tmp_path / "sweep.json").write_text(json.dumps(sweep))
    assert invoke("small.json", "--sweep", "sweep.json", "--exp_name", "s").exit_code == 0
    folder = tmp_path / "logs" / "s"
    before = rows(folder)
    assert [row["folder"] for row in before] == [
        "000_cell=gru,epsilon=0.05",
        "001_cell=gru,epsilon=0.5",
    ]
    assert [row["training.epsilon"] for row in before] == ["0.05", "0.5"]
    assert [row["policy.cell"] for row in before] == ["gru", "gru"]
    written = json.loads((folder / "001_cell=gru,epsilon=0.5" / "config.json").read_text())
    assert written["training"]["epsilon"] == 0.5
    assert written["policy"]["cell"] == "gru"
    (folder / "001_cell=gru,epsilon=0.5" / "summary.csv").unlink()
    os.rename(folder, tmp_path / "moved")  # a folder may be resumed elsewhere
    outcome = invoke("--resume", "moved")
    assert "1 run(s) are done, 1 to do." in outcome.output
    assert outcome.exit_code == 0, outcome.output
    assert rows(tmp_path / "moved") == before


def test_resume_without_a_config_takes_that_of_a_checkpoint(invoke, tmp_path):
    from dso import DeepSymbolicOptimizer

    model = DeepSymbolicOptimizer(config(tmp_path, "e"))
    model.train_one_step()
    model.journal.close()
    (tmp_path / "e" / "config.json").unlink()
    assert invoke("--resume", "e").exit_code == 0
    assert len(rows(tmp_path / "e")) == 1


NAMED = {
    "a task": {"task": {"task_type": "evil:Task"}},
    "a token": {"task": {"task_type": "regression", "function_set": ["add", "evil:f"]}},
    "a metric": {"task": {"task_type": "regression", "metric": "evil.py:f"}},
    "a prior": {"prior": {"evil:Prior": {"on": True}}},
    "a policy": {"policy": {"policy_type": "evil:Policy"}},
    "an environment": {"task": {"task_type": "control", "env": "evil:Env-v0"}},
    "a pickle": {"task": {"task_type": "control", "anchor": "evil.zip"}},
}


@pytest.mark.parametrize("kind", NAMED)
def test_a_folder_runs_no_code_that_was_not_allowed(invoke, tmp_path, kind):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')")
    sections = {**SMALL, **NAMED[kind], "experiment": {"seed": 0}}
    for place in ("config.json", "batch.json"):
        folder = tmp_path / place.partition(".")[0]
        folder.mkdir()
        entry = {**sections, "experiment": {"seed": 0, "exp_name": "x"}}
        batch = {"format": "dso batch", "version": 1, "runs": 1}
        whole = {**batch, "entries": [{"config": entry, "varied": {}}]}
        (folder / place).write_text(json.dumps(whole if place == "batch.json" else sections))
        outcome = invoke("--resume", str(folder), "--allow-code", "other")
        assert outcome.exit_code == 1
        assert "names code that would be run: 'evil" in outcome.stderr
        assert "--allow-code" in outcome.stderr
    assert not (tmp_path / "marker").exists()


def test_code_that_is_allowed_runs(invoke, tmp_path):
    sections = {**SMALL, **plug_in(), "experiment": {"seed": 0}}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(sections))
    outcome = invoke("--resume", "run", "--allow-code", "tests.launch.test_runner")
    assert outcome.exit_code == 0, outcome.output
    assert len(rows(tmp_path / "run")) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", ".", "--runs", "3"], "takes no config, and only"),
        (["--resume", "gone"], "no such folder"),
        (["--resume", "."], "neither a config.json nor a checkpoint"),
        (["small.json", "--resume", "."], "takes no config"),
        (["--backend", "dask"], "dask needs --scheduler"),
        (["--scheduler", "tcp://127.0.0.1:1"], "dask needs --scheduler"),
        (["small.json", "--sweep", "gone.json"], "cannot be read"),
    ],
)
def test_options_that_make_no_sense(invoke, arguments, message):
    outcome = invoke(*arguments)
    assert outcome.exit_code == 1
    assert message in outcome.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "at least one"),
        ("[]", "object of sections"),
        ('{"grit": {}}', "Did you mean 'grid'"),
        ('{"grid": {"training.epsilon": 1}}', "dict of lists"),
        ('{"grid": {"training.epsilon": []}}', "dict of lists"),
        ('{"grid": {"epsilon": [1]}}', "expected 'section.key'"),
        ('{"list": {}}', "list of dicts"),
        ('{"list": [{}]}', "at least one"),
        ('{"grid": {"a.b": [1', "is not JSON"),
    ],
)
def test_sweep_files_that_say_nothing(tmp_path, text, message):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(UserError, match=message):
        read_sweep(str(tmp_path / "s.json"))


def test_a_wrong_key_of_a_sweep_is_refused_before_anything_runs(invoke, tmp_path):
    (tmp_path / "s.json").write_text('{"grid": {"training.epsilom": [0.1]}}')
    outcome = invoke("small.json", "--sweep", "s.json")
    assert outcome.exit_code == 1
    assert "Did you mean 'epsilon'" in outcome.stderr
    assert not (tmp_path / "logs").exists()


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(
    given=st.dictionaries(st.sampled_from(["grid", "list", "x"]), json_values, max_size=2)
    | json_values
)
def test_any_sweep_file_is_read_or_refused_in_words(tmp_path_factory, given):
    path = tmp_path_factory.mktemp("s") / "s.json"
    path.write_text(json.dumps(given))
    try:
        combinations = read_sweep(str(path))
        for i, values in enumerate(combinations):
            assert "/" not in label(i, values)
            with_values({}, values)
    except UserError:
        pass


@settings(max_examples=60, deadline=None)
@given(batch=json_values | st.fixed_dictionaries({"format": st.just("dso batch"),
       "version": st.just(1), "runs": json_values, "entries": json_values}))  # fmt: skip
def test_any_batch_file_is_read_or_refused_in_words(tmp_path_factory, batch):
    folder = tmp_path_factory.mktemp("b")
    (folder / "batch.json").write_text(json.dumps(batch))
    with contextlib.suppress(UserError):
        unfinished(folder, load_config)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_table_shows_every_run(tmp_path):
    planned = [Job(i, {"experiment": {"seed": i}}) for i in range(4)]
    stream = Terminal()
    table = BatchTable(planned, stream)
    status = StatusFile(status_path(tmp_path, 2))
    status.write(iteration=3, n_samples=321, seconds=5.0, r_best=0.25)
    table.watch(tmp_path)
    result = {"n_samples": 7, "t": 61.0, "r": 0.5, "expression": "[x1]"}
    table.add(Outcome(0, 0, "done", result))
    table.add(Outcome(1, 1, FAILED, {"seed": 1, "error": "it broke"}))
    table.close()
    text = stream.getvalue()
    assert "1 under way, 1 failed, 1 done, 1 waiting" in text
    for cell in ("seed 2", "321", "0.250000", "it broke", "1 min 01 s", "[x1]", "waiting"):
        assert cell in text
    assert text.rindex("seed 2") < text.rindex("seed 1") < text.rindex("seed 0")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_does_what_runs_in_a_row_do_though_a_worker_is_killed(tmp_path, cluster):
    address, workers = cluster
    longer = {"training": {**SMALL["training"], "n_samples": 6000}}
    planned = jobs(tmp_path, "dask", 4, **longer)
    killed = []

    def kill_one():
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if list((tmp_path / "dask").glob("checkpoint/*.zip")):
                workers[0].kill()
                killed.append(1)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=kill_one)
    thread.start()
    outcomes = list(do_jobs(planned, scheduler=address))
    thread.join()
    assert killed
    assert [outcome.error for outcome in outcomes] == [None] * 4
    list(do_jobs(jobs(tmp_path, "row", 4, **longer)))
    assert rows(tmp_path / "dask") == rows(tmp_path / "row")
    for seed in range(4):
        name = f"dso_Nguyen-5_{seed}_hof.csv"
        assert (tmp_path / "dask" / name).read_text() == (tmp_path / "row" / name).read_text()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["dask", "row"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no scheduler answers there"):
        list(do_jobs(jobs(tmp_path, "e"), scheduler="tcp://127.0.0.1:9"))
