"""A run's iterations: the trainer, what it counts, and what ends it.

An *iteration* samples, scores, remembers and learns. Its *standing* is how far the run is and how
good its best program; a rule of `Stopping` may end the run by it.
"""
