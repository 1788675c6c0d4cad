"""Kernels for a CPU, compiled at their first use: loops over a region's own pixels, which no tensor operation gives."""
