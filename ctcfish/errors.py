"""What can go wrong on purpose; each class carries the exit code of the command line.

A message says what was found, what was wanted, and what to do.
"""


class CtcfishError(Exception):
    """Base of every deliberate failure; ``exit_code`` is what the command line returns."""

    exit_code = 1


class UsageError(CtcfishError):
    """The command was asked for something it cannot do."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration key or value is wrong."""


class DeviceError(UsageError):
    """The device asked for is not there."""


class WeightsError(UsageError):
    """A weights file is missing or its SHA-256 is not the one on its card."""


class StatisticsError(UsageError, ValueError):
    """A statistic was asked of numbers it is not defined for."""


class InputError(CtcfishError):
    """An image, sheet or table is refused.

    Parameters
    ----------
    where : str
        File (or table and row) that is refused.
    found, wanted, remedy : str
        What was found there, what is needed, and how the user gives it.
    """

    exit_code = 3

    def __init__(self, where: str, found: str, wanted: str, remedy: str) -> None:
        self.where, self.found, self.wanted, self.remedy = where, found, wanted, remedy
        super().__init__(where, found, wanted, remedy)

    def __str__(self) -> str:
        return f"{self.where}: found {self.found}; needed {self.wanted}. {self.remedy}"


class RelocationError(InputError):
    """The transform from IF to FISH cannot be trusted (slide failure ``RELOCATION``)."""


class BatchIncompleteError(CtcfishError):
    """The batch finished, and some slides failed; they are listed in ``failures.csv``."""

    exit_code = 4


class QcGateError(CtcfishError):
    """A QC gate was not passed."""

    exit_code = 5


class MismatchError(CtcfishError):
    """Two runs, or a run and its manifest, differ."""

    exit_code = 6
