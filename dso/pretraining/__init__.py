"""Pre-training: a network that has seen many equations proposes some for a table."""
