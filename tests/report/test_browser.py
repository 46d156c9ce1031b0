"""The page in a browser: opened, clicked through, followed while a run goes on.

Needs the extra `browser` and a Chromium: that of ``playwright install chromium``, or the system's.
"""

import json
import os
import shlex
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from dso import DeepSymbolicOptimizer
from dso.command.main import main
from dso.report import Collector, build_page
from dso.report.serve import LiveReport, make_server
from dso.task.regression.dataset import from_arrays
from tests.support.sweeps import write_sweep

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra 'browser'")

SYSTEM = ("chromium", "chromium-browser", "google-chrome")


def launched(chromium):
    """Return a headless Chromium, or skip: playwright's own, else one of the system."""
    # Chromium has no sandbox for root, as whom containers run tests.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    problem = ""
    for path in (None, *filter(None, map(shutil.which, SYSTEM))):
        try:
            return chromium.launch(executable_path=path, args=arguments)
        except playwright.Error as error:
            problem = str(error).splitlines()[0]
    return pytest.skip(f"no Chromium can be started: {problem}")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as tool:
        browser = launched(tool.chromium)
        yield browser
        browser.close()


class Visit:
    """A page, with what it asked for and what went wrong in it."""

    def __init__(self, browser, address: str, **options):
        self.page = browser.new_page(**options)
        self.page.set_default_timeout(10_000)
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda line: self.problems.append(line.text))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.text_content()

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def wait_until_drawn(self) -> None:
        """Charts are drawn when the browser has laid them out, before its next frame but one."""
        frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        self.page.evaluate(frame)

    def close(self) -> None:
        self.page.close()
        assert self.problems == []


@pytest.fixture
def visit(browser, finished: Path, tmp_path: Path) -> Iterator[Visit]:
    yield from visited(browser, tmp_path, finished)


def visited(
    browser, place: Path, *folders: Path, title: str = "Two runs", **options
) -> Iterator[Visit]:
    path = place / "page.html"
    path.write_text(build_page(Collector(folders).collect(), title), encoding="utf-8")
    visit = Visit(browser, path.as_uri(), **options)
    yield visit
    visit.close()


def test_everything_is_there_and_nothing_is_loaded(visit):
    assert visit.page.title() == "Two runs · dso"
    assert visit.count("#overview .hero .sum") == 1
    assert visit.count("#residuals circle") > 10
    assert visit.count("#charts svg path.line") >= 12  # six charts, two runs
    assert visit.count("#heat rect.heat") > 20
    assert visit.count("#front circle") > 2
    assert visit.count("#run-list tbody tr") == 2
    assert visit.count("#detail .tree rect") >= 1
    assert visit.count("#prediction circle") > 10
    assert len(visit.requests) == 1


def test_choosing_a_program_shows_its_tree(visit, finished):
    visit.page.click("#kind-hof")
    rows = visit.page.locator("#programs-list tbody tr")
    rows.nth(3).locator("td").nth(2).click()
    assert rows.nth(3).get_attribute("aria-selected") == "true"
    tokens = visit.page.locator("#detail .tree svg").get_attribute("aria-label").split(": ")[1]
    hof = Collector([finished]).collect()["runs"]
    known = [row["traversal"] for run in hof for row in run["hof"]]
    assert tokens in known
    assert visit.count("#detail .tree rect") == tokens.count(",") + 1
    visit.page.select_option("#prediction-axis", "y")
    assert "measured" in visit.text("#prediction svg")


def test_tables_sort_both_ways(visit):
    visit.page.click("#kind-hof")

    def lengths() -> list[int]:
        cells = visit.page.locator("#programs-list tbody td:nth-child(4)")
        return [int(text) for text in cells.all_inner_texts()]

    visit.page.click("#programs-list-length")
    assert lengths() == sorted(lengths(), reverse=True)
    head = visit.page.locator("#programs-list th").nth(3)
    assert head.get_attribute("aria-sort") == "descending"
    visit.page.click("#programs-list-length")
    assert lengths() == sorted(lengths())
    assert len(set(lengths())) > 1


def test_the_keyboard_is_enough(visit):
    page = visit.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("#kind-hof")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "kind-hof"
    page.locator("#programs-list button.row").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    chosen = page.locator("#programs-list tr[aria-selected=true]")
    assert chosen.count() == 1
    assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 2
    page.focus("#reward .chart")
    page.keyboard.press("Home")
    assert visit.text("#reward .readout").startswith("iteration 1")


def test_runs_can_be_hidden_and_axes_changed(visit):
    visit.page.click("#chip-1")
    visit.wait_until_drawn()
    assert "best so far" in visit.text("#reward .readout")  # one run: all its rewards
    assert visit.count("#reward path.line") == 5
    visit.page.select_option("#x-axis", "nevals")
    visit.wait_until_drawn()
    assert "samples" in visit.text("#reward svg")
    visit.page.select_option("#scale", "log")
    visit.wait_until_drawn()
    assert visit.text("#reward h3") == "1 − reward"
    visit.page.click("#chip-all")
    visit.wait_until_drawn()
    assert visit.count("#reward path.line") == 2


def test_the_formula_of_the_run_is_marked_and_chosen(visit, finished):
    page = Collector([finished]).collect()
    run = max(page["runs"], key=lambda run: run["result"]["r"])
    assert run["pf"][run["picked"]]["traversal"] == run["result"]["traversal"]
    assert visit.count("#detail .badge.picked") == 1
    chosen = visit.text("#programs-list tr[aria-selected=true] button.row")
    assert chosen == f"{run['picked'] + 1} ★"
    assert visit.count("#front circle.picked") == 2  # one for each run


def test_formulas_are_copied_in_other_languages(visit):
    visit.page.evaluate(
        """() => {
            const keep = (text) => { window.copied = text; return true; };
            Object.defineProperty(navigator, "clipboard", { value: { writeText: keep } });
        }"""
    )
    for language, part in (
        ("latex", "x_{1}"),
        ("python", "def predict("),
        ("c", "double predict("),
    ):
        visit.page.click(f"#copy-{language}")
        assert part in visit.page.evaluate("window.copied")


def test_charts_are_saved_as_pictures_and_numbers(visit):
    for label, start in (("SVG", "<svg"), ("CSV", "series,iteration,value")):
        with visit.page.expect_download() as waiting:
            visit.page.click(f"#reward button.tool:text-is('{label}')")
        saved = Path(waiting.value.path()).read_text(encoding="utf-8")
        assert saved.startswith(start)
        assert waiting.value.suggested_filename.startswith("reward")


def test_dark_and_light(visit):
    background = "getComputedStyle(document.body).backgroundColor"
    before = visit.page.evaluate(background)
    visit.page.click("#theme")
    assert visit.page.evaluate(background) != before


@pytest.mark.parametrize("width", [360, 768])
def test_narrow_pages_do_not_scroll_sideways(browser, finished, tmp_path, width):
    size = {"width": width, "height": 740}
    for visit in visited(browser, tmp_path, finished, viewport=size):
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


def test_folders_in_any_state(browser, folder, finished, tmp_path):
    (empty := tmp_path / "empty").mkdir()
    for path in folder.glob("*_hof.csv"):
        path.write_text('r,expression,traversal\n1,<b>x1</b>,"no,such"\n')
    (folder / "summary.csv").unlink()
    (folder / "config.json").unlink()
    for visit in visited(browser, tmp_path, empty):
        assert "No run has written" in visit.text("#overview")
    for visit in visited(browser, tmp_path, empty, folder, finished):
        assert visit.count("#run-list tbody tr") == 4
        visit.page.click("#run-0")
        visit.page.click("#kind-hof")
        visit.page.click("#programs-list button.row")
        assert visit.count("#programs-list b") == 0
        assert "No tree" in visit.text("#detail")
        assert "config.json is missing" in visit.text("#issues")


def test_the_live_page_follows(browser, folder):
    report = LiveReport(Collector([folder]), "live", min_seconds=0.1, max_share=1e9)
    server = make_server(report)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        visit = Visit(browser, f"http://127.0.0.1:{server.server_port}/")
        visit.page.locator("#live", has_text="up to date").wait_for()
        log = folder / "dso_Nguyen-5_0.csv"
        with log.open("a") as file:
            file.write(log.read_text().splitlines()[-1] + "\n")
        visit.page.locator("#run-list td", has_text="7").first.wait_for()
        assert visit.problems == []
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    visit.page.locator("#live", has_text="server gone").wait_for()
    visit.page.close()


def write_one_iteration(folder: Path) -> None:
    """Leave of each log what one iteration writes."""
    for path in folder.glob("dso_Nguyen-5_?.csv"):
        head, first, *_ = path.read_text().splitlines()
        path.write_text(f"{head}\n{first}\n")


def test_one_iteration_is_a_sentence(browser, folder, tmp_path):
    write_one_iteration(folder)
    for visit in visited(browser, tmp_path, folder):
        assert "ended after one iteration: best reward" in visit.text("#charts")
        assert visit.count("#charts svg") == 0


def test_a_sweep_is_compared(browser, tmp_path):
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    write_sweep(sweep, [("0.05", (0.2, 0.4)), ("0.5", (0.9, 0.7))])
    for visit in visited(browser, tmp_path, sweep):
        rows = visit.page.locator("#settings-list tbody tr").all_inner_texts()
        assert [row.split() for row in rows] == [
            ["0.5", "2", "0.8", "0.1414", "0.9", "0"],
            ["0.05", "2", "0.3", "0.1414", "0.4", "0"],
        ]
        assert visit.count("#parallel path.line") == 2
        assert visit.count("#run-list tbody tr") == 4
        assert visit.count("#issues") == 0


def test_names_of_columns_stand_in_trees(browser, tmp_path):
    run = tmp_path / "logs" / "one"
    X = np.random.default_rng(0).uniform(1, 2, (30, 2))
    config = {
        "experiment": {"logdir": str(tmp_path / "logs"), "exp_name": "one"},
        "task": {"task_type": "regression", "function_set": ["mul"]},
        "training": {"n_samples": 100, "batch_size": 50, "verbose": False},
        "prior": {"length": {"min_": 1, "max_": 3}},
    }
    data = from_arrays(X, X[:, 0] * X[:, 1], input_names=("mass_kg", "speed"))
    DeepSymbolicOptimizer(config, data).train()
    for visit in visited(browser, tmp_path, run):
        names = visit.page.locator("#detail .tree text").all_text_contents()
        assert sorted(names) == ["mass_kg", "speed", "×"]
        visit.page.select_option("#prediction-axis", "0")
        assert "mass_kg" in visit.text("#prediction svg")


ENERGY = Path(__file__).resolve().parents[2] / "config/examples/regression/Energy.csv"
DOCS = Path(__file__).resolve().parents[2] / "docs"
DESKTOP, NARROW = {"width": 1280, "height": 860}, {"width": 400, "height": 860}
PICTURES = {
    "report": ("finished", DESKTOP, "light", "#overview"),
    "report-programs": ("finished", DESKTOP, "light", "#programs"),
    "report-dark": ("finished", DESKTOP, "dark", "#curves"),
    "report-narrow": ("finished", NARROW, "light", "#overview"),
    "report-sweep": ("sweep", DESKTOP, "light", "#comparison"),
    "report-control": ("control", DESKTOP, "light", "#control"),
    "report-estimator": ("estimator", DESKTOP, "light", "#programs"),
}
"""Names of the pictures in docs: whose page, in which window and theme, and which part of it."""


def run_of(kind: str) -> Path:
    """Do the runs of a picture in the present folder, and return theirs."""
    task = {"task_type": "control", "env": "MountainCarContinuous-v0", "n_episodes_test": 200}
    Path("control.json").write_text(json.dumps({"task": task}))
    regression = {"task_type": "regression", "dataset": "Nguyen-5"}
    Path("sweep.json").write_text(json.dumps({"task": regression}))
    grid = {"training.epsilon": [0.02, 0.05, 0.2], "training.batch_size": [200, 500]}
    Path("grid.json").write_text(json.dumps({"grid": grid}))
    options = {
        "sweep": "run sweep.json --sweep grid.json --runs 3 --n-samples 4000",
        "control": "run control.json --n-samples 2000",
        "estimator": f"fit {ENERGY} --target energy --drop id --preset quick",
    }[kind]
    words = [*shlex.split(options), "--exp-name", kind, "--quiet"]
    outcome = CliRunner().invoke(main, words)
    assert outcome.exit_code == 0, outcome.output
    return Path("logs", kind)


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_the_documentation(browser, finished, tmp_path, monkeypatch, name):
    kind, size, theme, part = PICTURES[name]
    monkeypatch.chdir(tmp_path)  # pages name folders as they are given
    run = Path("logs/pair")
    if kind == "finished":
        shutil.copytree(finished, run)
    else:
        run = run_of(kind)
    window = {"viewport": size, "color_scheme": theme}
    for visit in visited(browser, tmp_path, run, title=run.name, **window):
        visit.page.wait_for_timeout(500)  # charts are drawn once their size is known
        visit.page.evaluate(f"document.querySelector('{part}').scrollIntoView()")
        visit.page.wait_for_timeout(700)
        assert visit.page.locator(part).is_visible()
        picture = visit.page.screenshot()
    assert picture.startswith(b"\x89PNG")
    if os.environ.get("DSO_WRITE_PICTURES"):
        (DOCS / f"{name}.png").write_bytes(picture)
