"""The statistics of the tables, on plain arrays.

Tests are written out: importing SciPy's package of them takes longer than the tables of a thousand records. Demšar, "Statistical
Comparisons of Classifiers over Multiple Data Sets", JMLR 2006, is the source of ranks and critical difference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import chdtrc, ndtr, stdtr

SIGNIFICANCE = 0.05
CONFIDENCE = 0.95
RESAMPLES = 1000
EXACT_PAIRS = 50


@dataclass(frozen=True)
class Noise:
    """Spread between seeds, pooled over the methods of a column: a variance and its degrees of freedom."""

    variance: float
    freedom: int

    @property
    def deviation(self) -> float:
        return math.sqrt(self.variance)


def pooled_noise(deviations: Sequence[float | None], counts: Sequence[int]) -> Noise | None:
    """The spread that methods share, from each one's sample deviation over its seeds; None where none has a second seed."""
    known = [(deviation, n) for deviation, n in zip(deviations, counts, strict=True) if deviation is not None]
    freedom = sum(n - 1 for _, n in known)
    if not freedom:
        return None
    return Noise(sum((n - 1) * deviation**2 for deviation, n in known) / freedom, freedom)


def noise_test(difference: float, n: int, other_n: int, noise: Noise) -> float:
    """Two-sided p of a difference of two means over ``n`` and ``other_n`` seeds: a t-test with the pooled spread."""
    error = math.sqrt(noise.variance * (1 / n + 1 / other_n))
    if error == 0:
        return float(difference == 0)
    return float(2 * stdtr(noise.freedom, -abs(difference) / error))


def paired_test(differences: Sequence[float]) -> float:
    """Two-sided p of paired differences: Wilcoxon's signed-rank test, exact up to 50 pairs, above them normal; zeros are left out.

    The smallest p that n pairs can give is 2 / 2^n: three pairs never give less than 0.25.
    """
    nonzero = np.array([it for it in differences if it != 0], float)
    if len(differences) < 2 or not len(nonzero):
        return 1.0
    _, place, ties = np.unique(np.abs(nonzero), return_inverse=True, return_counts=True)
    ranks = (ties.cumsum() - (ties - 1) / 2)[place]
    away = abs(ranks[nonzero > 0].sum() - ranks.sum() / 2)  # of the sum of ranks above 0 from its mean
    if len(ranks) > EXACT_PAIRS:
        return float(2 * ndtr(-2 * away / math.sqrt((ranks**2).sum())))
    twice = (2 * ranks).astype(int)  # whole where differences tie too
    ways = np.zeros(twice.sum() + 1)  # in which signs give each sum of these
    ways[0] = 1
    for step in twice:
        ways[step:] = ways[step:] + ways[:-step]
    sums = np.arange(len(ways)) / 2
    return float(ways[np.abs(sums - ranks.sum() / 2) >= away].sum() / ways.sum())


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p adjusted so that any false alarm among all is as rare as the level says."""
    order = np.argsort(p, kind="stable")
    steps = np.asarray(p, float)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted.tolist()


def mean_intervals(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap intervals of means; all rows are resampled alike.

    Args:
        values: (M, n), n >= 2 values for each of M means.
    Returns:
        lower and upper ends, (M,), at 95 % confidence. With few values they are narrow: never wider than the values' own range.
    """
    n = values.shape[1]
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES)  # how often each, (RESAMPLES, n)
    low, high = np.quantile(values @ drawn.T / n, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=1)
    return low, high


@dataclass(frozen=True)
class Ranking:
    """Mean ranks over tasks, 1 the best.

    Attributes:
        mean_ranks: by method, best first.
        tasks: how many tasks were ranked.
        p: of the Friedman test that all methods rank alike.
        critical_difference: two mean ranks further apart than this differ (Nemenyi, 5 %).
    """

    mean_ranks: pd.Series
    tasks: int
    p: float
    critical_difference: float


def ranking(scores: pd.DataFrame) -> Ranking | None:
    """Ranks methods over tasks.

    Args:
        scores: methods x tasks, higher is better, none missing.
    Returns:
        None with fewer than three methods or two tasks, of which the Friedman test says nothing.
    """
    methods, tasks = scores.shape
    if methods < 3 or tasks < 2:
        return None
    ranks, middle = scores.rank(ascending=False), (methods + 1) / 2
    p, spread = 1.0, ((ranks - middle) ** 2).to_numpy().sum()
    if spread:
        p = float(chdtrc(methods - 1, (methods - 1) * ((ranks.sum(axis=1) - tasks * middle) ** 2).sum() / spread))
    critical = _range_quantile(methods) / math.sqrt(2) * math.sqrt(methods * (methods + 1) / (6 * tasks))
    return Ranking(mean_ranks(scores).sort_values(kind="stable"), tasks, p, critical)


def _range_quantile(k: int) -> float:
    """What the range of ``k`` standard normal values exceeds at the level of significance (the studentized range of infinite freedom)."""
    z = np.linspace(-8, 8, 801)  # of the smallest value
    density = k * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    low, high = 0.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        exceeded = 1 - (density * (ndtr(z + middle) - ndtr(z)) ** (k - 1)).sum()
        low, high = (middle, high) if exceeded > SIGNIFICANCE else (low, middle)
    return high


def mean_ranks(scores: pd.DataFrame) -> pd.Series:
    """Mean rank of each row over the columns it has (methods x tasks, higher is better); equal scores share a rank."""
    return scores.rank(ascending=False).mean(axis=1)


def normalised_mean(scores: pd.DataFrame) -> pd.Series:
    """Mean over tasks of 100 (x - w) / (b - w), where b and w are the best and the worst mean of the task's column.

    100 is the best of this table at everything, 0 the worst at everything; a task at which all are equal counts 50. Rows with a
    missing task have none.
    """
    shares = 100 * (scores - scores.min()) / (scores.max() - scores.min())
    return shares.fillna(50.0).where(scores.notna()).mean(axis=1, skipna=False)
