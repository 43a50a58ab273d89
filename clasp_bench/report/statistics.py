"""The statistics of the tables, on plain arrays; the tests are SciPy's.

Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 2006, is the source of ranks and critical difference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import stdtr

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


def paired_tests(series: Sequence[Sequence[float]]) -> list[float]:
    """Two-sided p of each series of paired differences: Wilcoxon's signed-rank test, exact up to 50 pairs (nearly so where differences tie).

    The smallest p that n pairs can give is 2 / 2^n: three pairs never give less than 0.25. Fewer than two pairs, or none that differs, give 1.
    """
    p = np.ones(len(series))
    tested = [i for i, differences in enumerate(series) if len(differences) > 1 and np.any(differences)]
    for n in {len(series[i]) for i in tested}:  # SciPy tests all series of one length at once
        rows = [i for i in tested if len(series[i]) == n]
        # SciPy's own choice enumerates in Python where differences tie, which takes seconds a test
        method = "exact" if n <= EXACT_PAIRS else "asymptotic"
        p[rows] = stats.wilcoxon(np.array([series[i] for i in rows]), axis=1, method=method).pvalue
    return p.tolist()


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
    p = 1.0 if (scores.nunique() == 1).all() else float(stats.friedmanchisquare(*scores.to_numpy()).pvalue)
    quantile = stats.studentized_range.ppf(1 - SIGNIFICANCE, methods, np.inf) / math.sqrt(2)
    return Ranking(
        mean_ranks(scores).sort_values(kind="stable"),
        tasks,
        p,
        float(quantile * math.sqrt(methods * (methods + 1) / (6 * tasks))),
    )


def mean_ranks(scores: pd.DataFrame) -> pd.Series:
    """Mean rank of each row over the columns it has (methods x tasks, higher is better); equal scores share a rank."""
    return scores.rank(ascending=False).mean(axis=1)


def normalised_mean(scores: pd.DataFrame) -> pd.Series:
    """Mean over tasks of 100 (x - w) / (b - w), where b and w are the best and the worst mean of the task's column
    of `scores`.

    100 is the best of these methods at everything, 0 the worst at everything; a task at which all are equal counts 50. Rows with a
    missing task have none.
    """
    shares = 100 * (scores - scores.min()) / (scores.max() - scores.min())
    return shares.fillna(50.0).where(scores.notna()).mean(axis=1, skipna=False)
