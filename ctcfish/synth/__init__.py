"""Simulated slides with known truth: the physics of the microscope and the biology of the nucleus."""

from ctcfish.synth.fish import Field, field
from ctcfish.synth.immuno import IfField, if_field
from ctcfish.synth.memory import Truth, slide_in_memory
from ctcfish.synth.slide import simulate_slide
from ctcfish.synth.spec import SlideSpec, read_spec

__all__ = [
    "Field",
    "IfField",
    "SlideSpec",
    "Truth",
    "field",
    "if_field",
    "read_spec",
    "simulate_slide",
    "slide_in_memory",
]
