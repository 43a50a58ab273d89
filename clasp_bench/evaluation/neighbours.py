"""Attributes from the k nearest labelled photos: what frozen features know without any training."""

from collections.abc import Sequence

import numpy as np

from clasp_bench.evaluation.attribute import attribute_scores, two_sided

NEIGHBOURS = (1, 5, 10, 20, 50, 100, 200)
TEMPERATURE = 0.07
ROWS_AT_A_TIME = 512
HELD_OUT_ONE_IN = 5
LEAST_SHARE = 1e-6


def neighbour_logits(
    known: np.ndarray, labels: np.ndarray, asked: np.ndarray, counts: Sequence[int]
) -> list[np.ndarray]:
    """For each k of `counts`, (Q, A) logits that are positive where an attribute is commoner among the k nearest photos than among all.

    Neighbours weigh exp(cosine / 0.07), as in Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018,
    section 3.4. The log-odds of the attribute's share among all is taken off, so that a rare one, which is never the majority, can be predicted:
    mA asks as much of its positives as of its negatives.

    Args:
        known: (N, D) features of length 1.
        labels: (N, A) bool.
        asked: (Q, D) features of length 1.
    """
    most = min(max(counts), len(known))
    shares = [np.empty((len(asked), labels.shape[1])) for _ in counts]
    for start in range(0, len(asked), ROWS_AT_A_TIME):
        similarity = asked[start : start + ROWS_AT_A_TIME] @ known.T
        nearest = np.argpartition(-similarity, most - 1, axis=1)[:, :most]
        value = np.take_along_axis(similarity, nearest, axis=1)
        order = np.argsort(-value, axis=1, kind="stable")
        nearest, value = np.take_along_axis(nearest, order, axis=1), np.take_along_axis(value, order, axis=1)
        weight = np.exp((value - value[:, :1]) / TEMPERATURE)
        voted = np.cumsum(weight[..., None] * labels[nearest], axis=1)  # (B, most, A)
        for share, count in zip(shares, counts, strict=True):
            last = min(count, most) - 1
            share[start : start + ROWS_AT_A_TIME] = voted[:, last] / weight[:, : last + 1].sum(1, keepdims=True)
    return [_log_odds(share) - _log_odds(labels.mean(0)) for share in shares]


def choose_count(known: np.ndarray, labels: np.ndarray) -> int:
    """The k of `NEIGHBOURS` of the best mA on the last fifth of the labelled photos, predicted from the others; the least of equals."""
    cut = len(known) - max(1, len(known) // HELD_OUT_ONE_IN)
    counts = [count for count in NEIGHBOURS if count <= cut] or [1]
    if not two_sided(labels[cut:]).any():
        return counts[0]
    logits = neighbour_logits(known[:cut], labels[:cut], known[cut:], counts)
    return max(zip(counts, logits, strict=True), key=lambda pair: attribute_scores(labels[cut:], pair[1] > 0)["mA"])[0]


def _log_odds(share: np.ndarray) -> np.ndarray:
    share = np.clip(share, LEAST_SHARE, 1 - LEAST_SHARE)
    return np.log(share / (1 - share))
