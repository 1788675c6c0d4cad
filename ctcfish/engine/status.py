"""How far a batch is, and when it will be done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Status:
    """How far a batch is.

    Attributes
    ----------
    slide_id : str
        The slide that is done now.
    did : {"scored", "called", "kept", "failed"}
        What became of it.
    slides, done, failed : int
        Slides of the batch, of them done (in any way), of these failed.
    worked : int
        Slides that took work: all done ones less those that were done already.
    cells : int
        Cells of the slides that took work.
    elapsed_s : float
    """

    slide_id: str
    did: str
    slides: int
    done: int
    failed: int
    worked: int
    cells: int
    elapsed_s: float

    @property
    def slides_per_hour(self) -> float:
        """Rate of the slides that took work; 0 before the first."""
        return 3600.0 * self.worked / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def remaining_s(self) -> float | None:
        """Time until the last slide at this rate; None before the first."""
        rate = self.slides_per_hour
        return 3600.0 * (self.slides - self.done) / rate if rate > 0 else None

    def told(self) -> dict[str, Any]:
        """As a line of JSON."""
        return asdict(self) | {"slides_per_hour": round(self.slides_per_hour, 1), "remaining_s": self.remaining_s}

    def line(self) -> str:
        """For people: slides, cells, rate, time that remains."""
        failed = f", {self.failed} failed" if self.failed else ""
        left = "" if self.remaining_s is None else f", {_clock(self.remaining_s)} left"
        return (
            f"{self.done} of {self.slides} slides{failed}, {self.cells:,} cells, "
            f"{self.slides_per_hour:.0f} slides/h{left}"
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
