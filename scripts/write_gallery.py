"""Fits the tables of docs/gallery and writes the page about them, docs/gallery/index.md.

What is asked of each table is in gallery.toml. What comes out is kept in results.json with its
picture, so that some tables can be fitted again without the others. All of them take a few minutes.

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
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "gallery"
RESULTS = FOLDER / "results.json"
HEAD = """\
# Gallery

Real tables, and the formula that one command found for each, with seed 0 and the default budget. Where
a command allows fewer operators than the default, the field suggests them. The seconds are CPU time
of the whole command, start and picture included.

`scripts/write_gallery.py` fits the tables and writes this page.
"""


def command(name: str, options: str) -> str:
    """Return the command that fits a table."""
    return f"dso fit {name}.csv {options} --exp-name {name}"


def fit(name: str, options: str) -> dict[str, object]:
    """Fit a table in a folder of its own, keep the picture, and return what came out."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"{name}.csv").write_bytes((FOLDER / f"{name}.csv").read_bytes())
        before = cpu_seconds()
        done = subprocess.run(
            [sys.executable, "-m", *shlex.split(command(name, options))],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        seconds = cpu_seconds() - before
        picture(Path(folder) / "logs" / name / "formula.png", FOLDER / f"{name}.png")
    return {"output": front_and_formula(done.stdout), "seconds": round(seconds, 1)}


def cpu_seconds() -> float:
    """Return what finished children have used so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def picture(source: Path, target: Path) -> None:
    """Keep a picture in few bytes: half the size, and few colours."""
    from PIL import Image

    image = Image.open(source).convert("RGB")
    small = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    small.quantize(32).save(target, optimize=True)


def front_and_formula(text: str) -> str:
    """Return the part of what `dso fit` prints from the front to the constants."""
    match = re.search(r"^ +size .*?(?=^(?:Picture|Files) in )", text, re.MULTILINE | re.DOTALL)
    assert match is not None, text
    return match[0].rstrip()


def page(asked: dict[str, dict[str, str]], found: dict[str, dict[str, object]]) -> str:
    """Return the page."""
    parts = [HEAD, "| Table | Formula | CPU seconds |\n| --- | --- | --- |"]
    known = {name: what for name, what in asked.items() if name in found}
    for name, what in known.items():
        result = found[name]
        parts.append(f"| [{what['title']}](#{name}) | `{formula(result)}` | {result['seconds']} |")
    text = "\n".join(parts) + "\n"
    for name, what in known.items():
        text += (
            f'\n<a id="{name}"></a>\n\n## {what["title"]}\n\n{what["question"]}\n\n'
            f"```sh\n{command(name, what['options'])}\n```\n\n"
            f"```text\n{found[name]['output']}\n```\n\n"
            f"![Front, predictions and residuals]({name}.png)\n\n"
            f"{what['law']}\n\n"
            f"Data: [{name}.csv]({name}.csv). Source: {what['source']}. "
            f"Licence: {what['licence']}.\n"
        )
    return text


def formula(result: dict[str, object]) -> str:
    """Return the formula in what was printed."""
    match = re.search(r"^\w+ = .*$", str(result["output"]), re.MULTILINE)
    assert match is not None
    return match[0]


def main() -> None:
    """Fit what is asked for, and write the page."""
    asked = tomllib.loads((FOLDER / "gallery.toml").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(asked)}; all")
    parser.add_argument("--page-only", action="store_true", help="fit nothing")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(asked):
        parser.error(f"no table {', '.join(sorted(unknown))}; there are {', '.join(asked)}")
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in [] if arguments.page_only else arguments.names or asked:
        found[name] = fit(name, asked[name]["options"])
        print(f"{name}: {formula(found[name])}, {found[name]['seconds']} s", flush=True)
        text = json.dumps({one: found[one] for one in asked if one in found}, indent=1)
        RESULTS.write_text(text + "\n", encoding="utf-8")
    (FOLDER / "index.md").write_text(page(asked, found), encoding="utf-8")


if __name__ == "__main__":
    main()
