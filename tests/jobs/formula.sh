# From a table to a formula, in an empty folder.
set -euo pipefail
python - <<'END'
import numpy as np

random = np.random.default_rng(0)
mass, speed = random.uniform(1, 5, (2, 200))
energy = 0.5 * mass * speed**2 + random.normal(0, 0.1, 200)
table = np.column_stack([mass, speed, energy])
np.savetxt("energy.tsv", table, delimiter="\t", header="mass\tspeed\tenergy", comments="")
END
dso fit energy.tsv --target energy --preset quick --exp-name energy
dso predict logs/energy energy.tsv --out predicted.csv
dso export logs/energy --python --out formula.py
dso eval logs/energy --show-pf
dso report logs/energy
python - <<'END'
import numpy as np

import dso
from formula import predict

table = np.loadtxt("energy.tsv", delimiter="\t", skiprows=1)
model = dso.load("logs/energy")
predictions = model.predict(table[:, :2])
assert np.abs(predictions - table[:, 2]).std() < 0.2
np.testing.assert_allclose(predict(table[:, :2]), predictions)
written = np.loadtxt("predicted.csv", delimiter=",", skiprows=1)
np.testing.assert_allclose(written[:, 3], predictions)
END
