"""Ratio of mean counts of two visits, clustered by patient, with an interval that holds when few patients have most."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.bootstrap import BootstrapPlan
from ctcfish.stats.checks import FloatArray
from ctcfish.stats.estimate import Estimate

METHOD = "negative-binomial GEE (ratio of mean counts); symmetric bootstrap-t of patients, jackknife, widened by t/z"
_CELLS_AT_ONCE = 500_000


def ratio_of_counts(before: ArrayLike, during: ArrayLike, plan: BootstrapPlan | None = None) -> Estimate:
    """Return the mean count during over the mean count before, with its bootstrap-t interval by patient.

    With one parameter a visit, generalised estimating equations of counts (Zeger and Liang 1986; log link, negative
    binomial or any other variance of the mean, independent working correlation; with complete pairs also exchangeable)
    are solved by the mean counts. Their sandwich is too narrow where counts are skewed, so the limits are
    ``exp(log ratio -+ q s t / z)`` with the jackknife's spread ``s`` of the log ratio and ``q`` the quantile of
    ``|log ratio* - log ratio| / s*`` over resamples of whole patients (Hall 1988, the symmetric percentile t). The
    quantile of Student's ``t``, of a degree of freedom fewer than patients, over the normal ``z`` widens them: a few
    patients show too little of the tail of skewed counts.

    Coverage of 95 % intervals in simulation (3,000 cohorts of 30 patients in each of 16 settings, on seeds other than
    those the factor was chosen on: counts of dispersion 1/2 around log-normal means of log spread 0.5 to 2, changes
    alike or different by patient, with and without missing visits): 93.4 to 96.1 %, 92.6 to 95.4 % without the factor;
    of the sandwich corrected after Mancl and DeRouen (2001) with Student's t 74 to 95 %.

    Parameters
    ----------
    before, during : array_like, shape (patients,)
        Counts; NaN where the patient was not counted at that visit.
    plan : BootstrapPlan, optional

    Returns
    -------
    Estimate
        The limits are NaN where the jackknife sees no spread or one patient holds a whole visit, and 0 and infinity
        where too few patients are left in the resamples to say.

    Raises
    ------
    StatisticsError
        Different lengths, negative counts, fewer than three patients, or no count above 0 at one of the visits.
    """
    setting = plan or BootstrapPlan()
    first, second = (np.asarray(counts, dtype=np.float64) for counts in (before, during))
    if first.shape != second.shape or first.ndim != 1 or first.size < 3:
        raise StatisticsError(f"a ratio of counts needs both visits of three patients or more, found {first.size}")
    if min(np.nanmin(first, initial=0.0), np.nanmin(second, initial=0.0)) < 0:
        raise StatisticsError("counts are 0 or more, found a negative one")
    if not (np.nansum(first) and np.nansum(second)):
        raise StatisticsError("a ratio of counts needs a count above 0 at both visits")
    centre, spread = (float(value[0]) for value in _jackknife(first[None, :], second[None, :]))
    if not (math.isfinite(spread) and spread > 1e-12):
        return Estimate(math.exp(centre), math.nan, math.nan, METHOD, setting.confidence)
    n, rng = first.size, np.random.default_rng(setting.seed)
    rows = max(1, _CELLS_AT_ONCE // n)
    distances = []
    for start in range(0, setting.resamples, rows):
        drawn = rng.integers(0, n, (min(rows, setting.resamples - start), n))
        values, own = _jackknife(first[drawn], second[drawn])
        with np.errstate(divide="ignore", invalid="ignore"):
            distances.append(np.abs(values - centre) / own)
    whole = np.concatenate(distances)
    # a resample without spread is as far off as can be: leaving it out would narrow the interval
    far = np.quantile(np.where(np.isnan(whole), np.inf, whole), setting.confidence, method="inverted_cdf")
    tail = (1 - setting.confidence) / 2
    reach = float(far) * spread * float(stats.t.isf(tail, n - 1) / stats.norm.isf(tail))
    return Estimate(math.exp(centre), math.exp(centre - reach), math.exp(centre + reach), METHOD, setting.confidence)


def _jackknife(before: FloatArray, during: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log ratio of the means and its jackknife spread; patients along the last axis."""
    n = before.shape[-1]
    whole: FloatArray = np.zeros(before.shape[:-1])
    parts: FloatArray = np.zeros(before.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        for counts, sign in ((during, 1.0), (before, -1.0)):
            seen = ~np.isnan(counts)
            known = np.where(seen, counts, 0.0)
            total, size = known.sum(axis=-1, keepdims=True), seen.sum(axis=-1, keepdims=True)
            whole = whole + sign * np.log(total / size)[..., 0]
            parts = parts + sign * np.log((total - known) / (size - seen))
        spread = np.sqrt((n - 1) * parts.var(axis=-1))
    return whole, spread
