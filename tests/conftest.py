"""Loaded before any test, and before what tests import."""

import os

# Matrices are small here. Threads of linear algebra wait for each other in a loop, which on busy
# cores takes more CPU time than everything else that some tests do.
os.environ.setdefault("OMP_NUM_THREADS", "1")
