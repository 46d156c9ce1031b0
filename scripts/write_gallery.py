"""Runs the examples of docs/gallery and writes the page about them, docs/gallery/index.md.

What is asked is in gallery.toml: a formula for a table, or a policy for an environment. What comes
out is kept in results.json with its picture or film, so that some examples can be run again without
the others. All of them take about ten minutes. Films need the extra `control`.

    python scripts/write_gallery.py [NAME ...] [--page-only]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import tomllib
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "gallery"
RESULTS = FOLDER / "results.json"
MAX_FRAMES, FILM_WIDTH = 200, 300
HEAD = """\
# Gallery

Real tables and environments, and what one or two commands found for each, with seed 0. The
budgets of tables are the default. If a command allows fewer operators than the default, the field
suggests them. The seconds are CPU time of the search, start and picture included. The machine was
shared, which makes some of them longer. Two examples were changed after a first try gave a longer
formula: the planets, first with ten rows of six digits, and the microwave background, first without
the operator n3.

`scripts/write_gallery.py` runs the examples and writes this page.
"""

Asked = dict[str, str]
Found = dict[str, object]


def commands(name: str, what: Asked) -> list[str]:
    """Return the commands of an example; the first one searches."""
    if "config" not in what:
        return [f"dso fit {name}.csv {what['options']} --exp-name {name}"]
    play = f"dso play logs/{name} --episodes 1 --video {name}.gif"
    return [f"dso run {what['config']} --seed 0 --exp-name {name}", play]


def source(name: str, what: Asked) -> str:
    """Return the file that the search reads."""
    return what.get("config", f"{name}.csv")


def run(name: str, what: Asked) -> Found:
    """Run an example in a folder of its own, keep the picture, and return what came out."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / source(name, what)).write_bytes((FOLDER / source(name, what)).read_bytes())
        before = cpu_seconds()
        search, *others = [shlex.split(command) for command in commands(name, what)]
        printed = call(search, folder)
        seconds = cpu_seconds() - before
        for words in others:
            call(words, folder)
        if others:
            film(folder / f"{name}.gif", FOLDER / f"{name}.gif")
        else:
            picture(folder / "logs" / name / "formula.png", FOLDER / f"{name}.png")
    shown = result_of_run(printed) if others else front_and_formula(printed)
    return {"output": shown, "seconds": round(seconds, 1)}


def call(words: list[str], folder: Path) -> str:
    """Return what a command of dso prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def cpu_seconds() -> float:
    """Return what finished children have used so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def picture(taken: Path, kept: Path) -> None:
    """Keep a picture in few bytes: half the size, and few colours."""
    from PIL import Image

    image = Image.open(taken).convert("RGB")
    small = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    small.quantize(32).save(kept, optimize=True)


def film(taken: Path, kept: Path) -> None:
    """Keep a film in few bytes: its first frames, at half the rate and size."""
    from PIL import Image, ImageSequence

    frames = []
    for frame in islice(ImageSequence.Iterator(Image.open(taken)), 0, 2 * MAX_FRAMES, 2):
        image = frame.convert("RGB")
        size = (FILM_WIDTH, image.height * FILM_WIDTH // image.width)
        frames.append(image.resize(size, Image.Resampling.LANCZOS).quantize(16))
    frames[0].save(kept, save_all=True, append_images=frames[1:], duration=66, loop=0)


def front_and_formula(text: str) -> str:
    """Return the part of what `dso fit` prints from the front to the constants."""
    match = re.search(r"^ +size .*?(?=^(?:Picture|Files) in )", text, re.MULTILINE | re.DOTALL)
    assert match is not None, text
    return match[0].rstrip()


def result_of_run(text: str) -> str:
    """Return the part of what `dso run` prints about the result."""
    match = re.search(r"^Seed 0 ended.*?n_samples: \d+", text, re.MULTILINE | re.DOTALL)
    assert match is not None, text
    return match[0]


def page(asked: dict[str, Asked], found: dict[str, Found]) -> str:
    """Return the page."""
    known = {name: what for name, what in asked.items() if name in found}
    rows = [row(what["title"], found[name]) for name, what in known.items()]
    table = "\n".join(["| Example | Result | CPU seconds |", "| --- | --- | --- |", *rows])
    parts = [section(name, what, found[name]) for name, what in known.items()]
    return f"{HEAD}\n{table}\n\n" + "\n".join(parts)


def row(title: str, result: Found) -> str:
    """Return the row of the table about one example."""
    return f"| [{title}](#{anchor(title)}) | `{formula(result)}` | {result['seconds']} |"


def section(name: str, what: Asked, result: Found) -> str:
    """Return the part of the page about one example."""
    shown = "\n".join(commands(name, what))
    file = source(name, what)
    image = f"![One episode]({name}.gif)"
    if "config" not in what:
        image = f"![Front, predictions and residuals]({name}.png)"
    return (
        f"## {what['title']}\n\n{what['question']}\n\n"
        f"```sh\n{shown}\n```\n\n```text\n{result['output']}\n```\n\n{image}\n\n"
        f"{what['law']}\n\n"
        f"File: [{file}]({file}). Source: {what['source']}. Licence: {what['licence']}.\n"
    )


def anchor(heading: str) -> str:
    """Return the anchor of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def formula(result: Found) -> str:
    """Return the formula in what was printed."""
    match = re.search(r"^(?:\w+ = .*|  expression: .*)$", str(result["output"]), re.MULTILINE)
    assert match is not None
    return match[0].removeprefix("  expression: ")


def main() -> None:
    """Run what is asked for, and write the page."""
    asked = tomllib.loads((FOLDER / "gallery.toml").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(asked)}; all")
    parser.add_argument("--page-only", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(asked):
        parser.error(f"no example {', '.join(sorted(unknown))}; there are {', '.join(asked)}")
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in [] if arguments.page_only else arguments.names or asked:
        found[name] = run(name, asked[name])
        print(f"{name}: {formula(found[name])}, {found[name]['seconds']} s", flush=True)
        text = json.dumps({one: found[one] for one in asked if one in found}, indent=1)
        RESULTS.write_text(text + "\n", encoding="utf-8")
    (FOLDER / "index.md").write_text(page(asked, found), encoding="utf-8")


if __name__ == "__main__":
    main()
