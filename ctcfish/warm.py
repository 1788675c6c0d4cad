"""What a worker needs before its first slide: the process that workers are forked from imports this module.

Nothing here may start a thread, for none lives on in a fork.
"""

import distributed
import torch

from ctcfish import batch, pipeline
from ctcfish.engine.identity import program_sha256
from ctcfish.ops.fit import fit_spots
from ctcfish.ops.fit_model import FitModel
from ctcfish.report import slide, windows

__all__ = ["batch", "distributed", "pipeline", "windows"]

# A fit of nothing loads the machine code of the fits, and all that the compiler loads with the first of any kernel.
fit_spots(torch.zeros(0, 3, 3), torch.zeros(0, 2), 0.0, FitModel(1.0))
slide.template()
program_sha256()
