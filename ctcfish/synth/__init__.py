"""Simulated slides with known truth: the physics of the microscope and the biology of the nucleus."""

from ctcfish.synth.fish import Field, field
from ctcfish.synth.spec import SlideSpec, read_spec

__all__ = ["Field", "SlideSpec", "field", "read_spec"]
