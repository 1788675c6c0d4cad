"""Torch kernels: tensor in, tensor out, on the device of their input; no configuration, files or tables."""
