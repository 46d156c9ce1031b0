# From an environment to a policy, in an empty folder.
set -euo pipefail
dso init cart.json --task control
dso run cart.json --dry-run
dso run cart.json --n-samples 2000 --set task.n_episodes_test=20 --exp-name cart
dso eval logs/cart
dso report logs/cart
dso export logs/cart --python --out policy.py
python - <<'END'
import numpy as np

import dso
from policy import act

policy = dso.load("logs/cart")
observation = np.array([0.1, -0.2, 0.05, 0.3])
np.testing.assert_allclose(act(observation), policy.predict(observation)[0], rtol=1e-5)
END
