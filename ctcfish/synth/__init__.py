"""Simulated slides with known truth: the physics of the microscope and the biology of the nucleus.

``spec`` says what a slide is, ``population`` draws its cells (``nucleus``, ``loci``, ``placing``), ``fish`` and
``immuno`` photograph them (``optics``, ``blur``, ``body``, ``points``, ``residue``, ``stains``, ``camera``), ``truth``
and ``countable`` say what is right, ``slide``, ``cohort``, ``replicates`` and ``memory`` hand it out. Sizes, brightness
and nuisance are assumptions, stated in ``spec``; whatever is measured on simulated slides is carried by simulation and
no more.
"""

from ctcfish.synth.cohort import CohortSpec, read_cohort, simulate_cohort
from ctcfish.synth.fish import Field, field
from ctcfish.synth.immuno import IfField, if_field
from ctcfish.synth.memory import Truth, slide_in_memory
from ctcfish.synth.replicates import ReplicateSpec, read_replicates, simulate_replicates
from ctcfish.synth.slide import simulate_slide
from ctcfish.synth.spec import SlideSpec, read_spec

__all__ = [
    "CohortSpec",
    "Field",
    "IfField",
    "ReplicateSpec",
    "SlideSpec",
    "Truth",
    "field",
    "if_field",
    "read_cohort",
    "read_replicates",
    "read_spec",
    "simulate_cohort",
    "simulate_replicates",
    "simulate_slide",
    "slide_in_memory",
]
