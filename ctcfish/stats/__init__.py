"""Closed statistics as pure functions on arrays: no image, no file, no global state."""
