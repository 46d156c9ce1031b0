"""LogEval: the runs of a folder in words."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dso.errors import UserError
from dso.logeval import LogEval, main
from dso.report.text import report_lines
from tests.support.sweeps import write_run, write_sweep


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"experiment": {"task_name": "toy"}}')
    (tmp_path / "summary.csv").write_text(
        "seed,r,success,n_samples,error\n3,0.9,True,200,\n5,0.5,False,300,no memory\n"
    )
    write_run(tmp_path, 3, [(0.9, "a", True), (0.4, "b", False)], [(1, 0.2, "p"), (5, 0.9, "q")])
    write_run(tmp_path, 5, [(0.9, "c", False)], [(2, 0.1, "worse"), (3, 0.5, "s")])
    return tmp_path


def said(*arguments: str) -> str:
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def test_what_the_data_say_of_the_form(folder):
    story = '{"why": "y/a depends on b only", "steps": ["y is proportional to a"]}'
    (folder / "dso_toy_3_reductions.json").write_text(story)
    text = said(str(folder))
    assert "WHAT THE DATA SAY (seed 3)" in text
    assert "y/a depends on b only\n- y is proportional to a\n" in text


def test_the_overview(folder):
    text = said(str(folder))
    assert "Task                 : toy" in text
    assert "Runs                 : 2\n" in text
    assert "Most samples of a run: 300" in text
    assert "Failed runs          : 1" in text
    assert "Success rate         : 0.500 (1 of 2)" in text
    assert "HALL OF FAME" not in text
    assert "ISSUES" not in text


def test_halls_of_fame_are_sorted_by_reward_success_and_seed(folder):
    lines = said(str(folder), "--show_hof", "--show_count", "2").splitlines()
    start = lines.index("== HALL OF FAME (best 2) ==")
    assert lines[start + 1 : start + 4] == [
        "  0: S=3 R=0.900000 <-- a",
        "  1: S=5 R=0.900000 <-- c",
        "",
    ]


def test_the_front_is_that_of_all_runs(folder):
    text = said(str(folder), "--show_pf")
    assert "  0: S=3 R=0.200000 C=1 <-- p" in text
    assert "  1: S=5 R=0.500000 C=3 <-- s" in text
    assert "  2: S=3 R=0.900000 C=5 <-- q" in text
    assert "worse" not in text


def test_runs_that_go_on_and_files_that_are_broken(folder):
    (folder / "dso_toy_9.csv").write_text("r_best\n0.5\n0.")
    (folder / "dso_toy_5_hof.csv").write_bytes(b"")
    (folder / "config.json").unlink()
    text = said(str(folder), "--show_hof")
    assert "Task                 : toy" in text
    assert "2, 1 without a result" in text
    assert "S=5" not in text
    assert "config.json is missing" in text


def test_a_run_with_nothing_yet(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    text = said(str(tmp_path), "--show_hof", "--show_pf", "--save_plots")
    assert text.count("(nothing yet)") == 2
    assert "Plot" not in text


def test_runs_that_ended_without_a_hall_of_fame_do_not_promise_one(folder):
    shown = "\n".join(report_lines(folder, show_count=5, save_plots=False))
    assert "HALL OF FAME" in shown
    assert "PARETO FRONT" in shown
    for path in folder.glob("*_hof.csv"):
        path.unlink()
    shown = "\n".join(report_lines(folder, show_count=5, save_plots=False))
    assert "HALL OF FAME" not in shown
    assert "PARETO FRONT" in shown


def test_a_folder_without_runs_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    outcome = CliRunner().invoke(main, [str(tmp_path)])
    assert outcome.output == f"Error: {tmp_path}: holds no run and no fit of dso.\n"
    assert outcome.exit_code == 1
    (tmp_path / "mine" / "config.json").write_text("{}")
    said_of = CliRunner().invoke(main, [str(tmp_path)]).output
    assert "Did you mean one of the folders in it: mine?" in said_of


def test_no_folder():
    with pytest.raises(UserError, match="'gone' is not a folder"):
        LogEval("gone")
    assert CliRunner().invoke(main, ["gone"]).exit_code == 1


def test_plots_are_saved_under_their_names(folder):
    pytest.importorskip("matplotlib", reason="needs the extra 'plots'")
    text = said(str(folder), "--save_plots")
    for kind in ("hof", "pf", "curves"):
        path = folder / f"dso_toy_plot_{kind}.png"
        assert f"Plot saved as {path}" in text
        assert path.read_bytes().startswith(b"\x89PNG")


def test_plots_without_matplotlib(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    outcome = CliRunner().invoke(main, [str(folder), "--save_plots"])
    assert outcome.exit_code == 1
    assert "[plots]" in outcome.output


def test_a_sweep_counts_by_setting_and_seed(tmp_path):
    write_sweep(tmp_path, [("0.05", (0.2, 0.4)), ("0.5", (0.9,))])
    lines = said(str(tmp_path), "--show_hof").splitlines()
    assert "Runs                 : 3, 1 without a result" in lines
    assert "== FOUND ISSUES ==" not in lines
    start = lines.index("== SETTINGS (best mean first) ==")
    first, second = (" ".join(lines[start + i].split()) for i in (1, 2))
    assert first == "epsilon=0.5 runs 1 r mean 0.9 sd 0 best 0.9 solved 0"
    assert second == "epsilon=0.05 runs 2 r mean 0.3 sd 0.141 best 0.4 solved 0"
    assert "  0: S=1 R=0.900000 [epsilon=0.05] <-- e0s1" in lines


def test_the_original_name_of_the_analysis_prints_it(folder, capsys):
    LogEval(folder).analyze_log(2)
    printed = capsys.readouterr().out
    assert "Success rate         : 0.500 (1 of 2)" in printed
    assert "HALL OF FAME (best 2)" in printed
