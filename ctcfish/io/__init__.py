"""Files to :class:`~ctcfish.types.Slide`."""

from ctcfish.io.describe import describe
from ctcfish.io.image import Overrides
from ctcfish.io.open import open_ref, open_slide, open_study
from ctcfish.io.study import SlideRef, study_slides

__all__ = ["Overrides", "SlideRef", "describe", "open_ref", "open_slide", "open_study", "study_slides"]
