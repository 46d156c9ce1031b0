"""The command line."""

import contextlib
import csv
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from dso.run import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    """Return a function that runs the command line on a small config in an empty folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.json").write_text(json.dumps(SMALL))

    def run(*arguments):
        return CliRunner().invoke(main, arguments)

    return run


SMALL = {
    "task": {"task_type": "regression", "dataset": "Nguyen-5"},
    "training": {"n_samples": 200, "batch_size": 100},
    "postprocess": {"save_plots": False},
}


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_runs_share_a_folder_and_count_seeds_upwards(invoke, tmp_path):
    outcome = invoke("small.json", "--runs", "2", "--seed", "3", "--exp_name", "e")
    assert outcome.exit_code == 0, outcome.output
    assert "Completed run 2 of 2" in outcome.output
    summary = read(tmp_path / "logs" / "e" / "summary.csv")
    assert [row["seed"] for row in summary] == ["3", "4"]
    first = ["seed", "r", "nmse_test", "nmse_test_noiseless", "success", "expression", "traversal"]
    assert list(summary[0])[:7] == first
    assert list(summary[0])[-3:] == ["n_samples", "n_cached", "t"]
    assert (tmp_path / "logs" / "e" / "dso_Nguyen-5_4.csv").exists()
    written = json.loads((tmp_path / "logs" / "e" / "config.json").read_text())
    assert written["experiment"]["seed"] == 3


def test_it_ends_with_a_report(invoke, tmp_path):
    section = {"postprocess": {"show_count": 2, "save_plots": True}}
    (tmp_path / "two.json").write_text(json.dumps(SMALL | section))
    outcome = invoke("two.json", "--runs", "2", "--exp_name", "e")
    assert outcome.exit_code == 0, outcome.output
    lines = outcome.output.splitlines()
    assert "Success rate         : 0.000 (0 of 2)" in lines
    (start,) = (i for i, line in enumerate(lines) if line == "== HALL OF FAME (best 2) ==")
    assert lines[start + 1].startswith("  0: S=")
    assert lines[start + 3] == ""
    plots = list((tmp_path / "logs" / "e").glob("*_plot_*.png"))
    has_matplotlib = importlib.util.find_spec("matplotlib") is not None
    assert bool(plots) == has_matplotlib
    assert ("matplotlib is not installed" in outcome.output) != has_matplotlib


def test_a_report_may_be_left_out(invoke, tmp_path):
    section = {"postprocess": {"show_count": 0, "save_plots": False}}
    (tmp_path / "none.json").write_text(json.dumps(SMALL | section))
    outcome = invoke("none.json", "--exp_name", "e")
    assert "HALL OF FAME" not in outcome.output
    assert "Plot" not in outcome.output
    assert not list((tmp_path / "logs" / "e").glob("*.png"))


def test_the_folder_is_named_for_task_and_time(invoke, tmp_path):
    assert invoke("small.json").exit_code == 0
    (folder,) = (tmp_path / "logs").iterdir()
    assert folder.name.startswith(f"Nguyen-5_{time.strftime('%Y')}")


def test_aliases_and_benchmark(invoke, tmp_path):
    outcome = invoke("small.json", "--b", "Nguyen-9", "--s", "1", "--r", "1", "--exp_name", "e")
    assert outcome.exit_code == 0, outcome.output
    assert (tmp_path / "logs" / "e" / "dso_Nguyen-9_1.csv").exists()


@pytest.mark.slow
def test_processes_do_what_runs_in_a_row_do(invoke, tmp_path):
    invoke("small.json", "--runs", "2", "--exp_name", "row")
    # Workers that an earlier test left waiting in this process stand in another folder.
    options = ("--runs", "2", "--n", "2", "--exp_name", "pool")
    subprocess.run(
        [sys.executable, "-m", "dso.run", "small.json", *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    columns = ("seed", "r", "traversal", "n_samples")
    tables = [
        sorted(
            tuple(line[name] for name in columns)
            for line in read(tmp_path / "logs" / kind / "summary.csv")
        )
        for kind in ("row", "pool")
    ]
    assert tables[0] == tables[1]


def test_more_processes_than_runs_are_said_to_be_too_many(invoke):
    outcome = invoke("small.json", "--n_cores_task", "7")
    assert outcome.exit_code == 0
    assert "--n_cores_task 7 is more than the 1 run(s)" in outcome.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"n_sample": 1}}, "n_sample"),
        ({"task": {"task_type": "regression", "dataset": "Nguyen-55"}}, "Nguyen-55"),
        ({"task": {"task_type": "regression", "dataset": "no.csv"}}, "no.csv"),
        ({"task": {"task_type": "regression", "metric": "nmse"}}, "nmse"),
        ({"task": {"task_type": "regression", "function_set": ["add", "sinn"]}}, "sinn"),
        ({"experiment": 5}, "experiment"),
        (
            {
                "task": {"task_type": "regression", "function_set": ["sin"]},
                "prior": {"trig": {"on": True}, "length": {"on": True, "min_": 4, "max_": 9}},
            },
            "priors left no way",
        ),
        ({"prior": {"lenght": {"on": True}}}, "lenght"),
        ({"semantic": {"on": True, "max_share": 2}}, "semantic.max_share"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(invoke, tmp_path, change, message):
    (tmp_path / "bad.json").write_text(json.dumps({**SMALL, **change}))
    outcome = invoke("bad.json")
    assert outcome.exit_code == 1
    assert isinstance(outcome.exception, SystemExit)
    errors = [line for line in outcome.stderr.splitlines() if line]
    assert len(errors) == 1
    assert errors[0].startswith("Error: ")
    assert message in errors[0]
    assert not (tmp_path / "logs").exists()


def test_a_missing_config_is_an_error(invoke):
    outcome = invoke("nothing.json")
    assert outcome.exit_code == 1
    assert "nothing.json" in outcome.stderr


def test_benchmarks_belong_to_tasks_that_have_them(invoke, tmp_path):
    (tmp_path / "own.json").write_text(json.dumps({"task": {"task_type": "some.module:Task"}}))
    outcome = invoke("own.json", "--b", "Nguyen-1")
    assert outcome.exit_code == 1
    assert "--benchmark" in outcome.stderr


def command(*arguments, **options):
    """Start the command line as a process of its own, in a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "dso.run", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


@pytest.fixture
def endless(tmp_path):
    """Return a function that starts runs that never end by themselves, and waits for their logs."""
    section = {**SMALL, "training": {"n_samples": 10**9, "batch_size": 100}}
    section["task"] = {**SMALL["task"], "dataset": "Nguyen-12"}
    (tmp_path / "endless.json").write_text(json.dumps(section))
    started = []

    def start(*options, n_runs=1):
        process = command(
            "endless.json", "--exp_name", "e", *options, cwd=tmp_path, stdout=subprocess.PIPE
        )
        started.append(process)
        logs = [tmp_path / "logs" / "e" / f"dso_Nguyen-12_{seed}.csv" for seed in range(n_runs)]
        deadline = time.monotonic() + 120
        while not all(log.exists() and log.stat().st_size > 0 for log in logs):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


BATCH = ("--runs", "3", "--n", "2")
SIGNALS = {
    "a scheduler": ((), os.kill, signal.SIGTERM),
    "Ctrl-C": ((), os.killpg, signal.SIGINT),
    "a terminal that closes": ((), os.killpg, signal.SIGHUP),
    "Ctrl-C of a batch": (BATCH, os.killpg, signal.SIGINT),
    "Ctrl-C of the parent alone": (BATCH, os.kill, signal.SIGINT),
    "a scheduler of a batch": (BATCH, os.killpg, signal.SIGTERM),
    "a scheduler of the parent alone": (BATCH, os.kill, signal.SIGTERM),
}


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow if i else ()) for i, kind in enumerate(SIGNALS)],
)
def test_a_signal_ends_real_processes_cleanly(tmp_path, endless, kind):
    options, send, number = SIGNALS[kind]
    n_runs = 2 if options else 1
    process = endless(*options, n_runs=n_runs)
    send(process.pid, number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    reason = {signal.SIGINT: "interrupted"}.get(number, number.name)
    assert len(re.findall(f"ended: .*{reason}", output)) == n_runs
    assert "Traceback" not in errors
    folder = tmp_path / "logs" / "e"
    assert len(read(folder / "summary.csv")) == n_runs
    assert read(folder / "dso_Nguyen-12_0_hof.csv")
    assert len(list(folder.glob("checkpoint/*.zip"))) == n_runs
    assert not list(folder.glob(".*"))


def members(group):
    """Return the processes of a process group that are alive."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of = path.read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state != "Z":
                found.append(path.parent.name)
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="counts processes in /proc")
@pytest.mark.parametrize("how", ["killed", "interrupted twice"])
def test_a_batch_leaves_no_process_behind(endless, how):
    process = endless(*BATCH, n_runs=2)
    assert len(members(process.pid)) >= 3
    if how == "killed":
        os.kill(process.pid, signal.SIGKILL)
    else:
        for _ in range(2):
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.01)
    deadline = time.monotonic() + 5
    while left := members(process.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_ctrl_c_while_starting_is_not_an_error_of_the_input(invoke, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("dso.launch.runner.run_one", interrupted)
    outcome = invoke("small.json")
    assert outcome.exit_code == 130
    assert outcome.output.splitlines()[-1] == "Interrupted."


def test_a_folder_that_vanishes_is_written_again(invoke, tmp_path, monkeypatch):
    def vanish(files, trainer):
        shutil.rmtree(tmp_path / "logs", ignore_errors=True)

    monkeypatch.setattr("dso.runs.tables.ResultFiles.update", vanish)
    outcome = invoke("small.json", "--exp_name", "e")
    assert outcome.exit_code == 0
    names = {path.name for path in (tmp_path / "logs" / "e").iterdir()}
    prefix = "dso_Nguyen-5_0"
    tables = {f"{prefix}.csv", f"{prefix}_hof.csv", f"{prefix}_pf.csv"}
    assert names == tables | {"config.json", "summary.csv"}
    assert len(read(tmp_path / "logs" / "e" / f"{prefix}.csv")) == 2


def test_a_folder_in_the_place_of_the_summary_is_set_aside(invoke, tmp_path):
    (tmp_path / "logs" / "e" / "summary.csv").mkdir(parents=True)
    outcome = invoke("small.json", "--exp_name", "e")
    assert outcome.exit_code == 0
    assert "WARNING: logs/e/summary.csv is not a table (it is not a regular file)" in outcome.output
    assert len(read(tmp_path / "logs" / "e" / "summary.csv")) == 1


SUMMARIES = {
    "Latin-1": lambda path: path.write_bytes("seed,r,expression\n7,0.5,\u00e9\n".encode("latin-1")),
    "a long field": lambda path: path.write_text(f"seed,r,expression\n7,0.5,{'x' * 200_000}\n"),
    "NUL": lambda path: path.write_bytes(b"seed,r\n7,0.5\0\n"),
    "a FIFO": os.mkfifo,
    "a loop of links": lambda path: path.symlink_to(path.name),
    "a link to what never ends": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", SUMMARIES)
def test_anything_in_the_place_of_the_summary_loses_no_run(invoke, tmp_path, kind):
    folder = tmp_path / "logs" / "e"
    folder.mkdir(parents=True)
    SUMMARIES[kind](folder / "summary.csv")
    outcome = invoke("small.json", "--runs", "2", "--exp_name", "e")
    assert outcome.exit_code == 0, outcome.output
    with open(folder / "summary.csv", errors="replace") as file:
        seeds = [line.split(",")[0] for line in file][1:]
    assert seeds == (["0", "1", "7"] if kind in ("Latin-1", "a long field", "NUL") else ["0", "1"])


def test_a_folder_that_cannot_be_made_is_said_at_the_end(invoke, tmp_path):
    (tmp_path / "logs").write_text("")
    outcome = invoke("small.json", "--exp_name", "e")
    assert outcome.exit_code == 1
    assert "  expression: " in outcome.output
    assert "results in" not in outcome.output
    assert "Not written: logs/e/dso_Nguyen-5_0.csv (Not a directory)" in outcome.stderr


@pytest.mark.slow
def test_a_reader_that_has_gone_ends_no_run(tmp_path):
    """As in ``| head -1``, ``> /dev/full`` and ``>&-``."""
    (tmp_path / "small.json").write_text(json.dumps(SMALL))
    reading, writing = os.pipe()
    os.close(reading)
    with open("/dev/full", "w") as full:
        gone = command("small.json", "--exp_name", "gone", cwd=tmp_path, stdout=writing)
        os.close(writing)
        on_full = command("small.json", "--exp_name", "full", cwd=tmp_path, stdout=full)
    for process, why in ((gone, "Broken pipe"), (on_full, "No space left on device")):
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert errors.splitlines()[-1] == f"Not written: standard output ({why})"
    for name in ("gone", "full"):
        assert len(read(tmp_path / "logs" / name / "summary.csv")) == 1
