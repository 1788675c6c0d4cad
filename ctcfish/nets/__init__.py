"""Learned models: architectures, weights, training data and training, on top of plain arrays."""
