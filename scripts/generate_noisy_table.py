"""Write config/examples/regression/Energy.csv: 300 noisy rows of a formula in three inputs.

    energy = 0.66 mass_kg speed_m_s^2 - 0.15 temp + 47, with normal noise of deviation 1

The column id says nothing. `scripts/quickstart.sh` finds the formula again.
"""

from pathlib import Path

import numpy as np

PATH = Path(__file__).resolve().parent.parent / "config/examples/regression/Energy.csv"
N_ROWS = 300


def main() -> None:
    """Write the file."""
    random = np.random.default_rng(1)
    mass, speed, temp = random.uniform([1, 1, 0], [5, 6, 40], (N_ROWS, 3)).T
    energy = 0.66 * mass * speed**2 - 0.15 * temp + 47 + random.normal(0, 1, N_ROWS)
    table = np.column_stack([np.arange(N_ROWS), mass, speed, temp, energy])
    names = "id,mass_kg,speed_m_s,temp,energy"
    np.savetxt(PATH, table, delimiter=",", header=names, comments="", fmt="%.6g")


if __name__ == "__main__":
    main()
