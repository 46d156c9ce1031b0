"""Set the version everywhere: `python scripts/bump_version.py 0.2.0`.

The notes under `## Unreleased` in CHANGELOG.md become those of the new version.
"""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
PLACES = {
    "pyproject.toml": r'(?m)^(version = ")[^"]+(")',
    "CITATION.cff": r"(?m)^(version: )\S+()",
    "docs/citing.md": r"(?m)^(  version = \{)[^}]+(\})",
    "packaging/conda/meta.yaml": r'(set version = ")[^"]+(")',
}


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        bump(ROOT, Version(sys.argv[1]), date.today())
    except (InvalidVersion, ValueError) as error:
        sys.exit(f"bump_version: {error}")


def bump(root: Path, version: Version, today: date) -> None:
    """Write the new version into every file that names it.

    Parameters
    ----------
    root : Path
        Of a checkout.
    version : Version
    today : date
        Of the release.

    Raises
    ------
    ValueError
        If the version is not above the present one, or there is nothing to release. No file has
        changed then.
    """
    texts = {name: (root / name).read_text() for name in (*PLACES, "CHANGELOG.md")}
    found = re.search(PLACES["pyproject.toml"], texts["pyproject.toml"])
    assert found is not None
    present = found[0].split('"')[1]
    if version <= Version(present):
        raise ValueError(f"version {version}; expected one above {present}.")
    notes = re.search(r"(?s)^## Unreleased\n(.*?)(?=^## |\Z)", texts["CHANGELOG.md"], re.M)
    if notes is None or not notes[1].strip():
        raise ValueError("CHANGELOG.md has nothing under '## Unreleased'.")
    for name, place in PLACES.items():
        texts[name] = re.sub(place, rf"\g<1>{version}\g<2>", texts[name], count=1)
    heading = f"## Unreleased\n\n## {version} - {today}\n"
    texts["CHANGELOG.md"] = texts["CHANGELOG.md"].replace("## Unreleased\n", heading, 1)
    for name, text in texts.items():
        (root / name).write_text(text)


if __name__ == "__main__":
    main()
