"""Pre-training: a network that has seen many equations proposes those that a table may come from."""
