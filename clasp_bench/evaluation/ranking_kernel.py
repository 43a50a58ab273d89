"""The inner loop of `ranking`, compiled by Numba and kept in its cache."""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def rank_block(similarity, begin, end, query_camera, camera, ap, inp, first):
    """Fill `ap`, `inp` and `first` (B,) from `similarity` (B, G); person of query q stands in begin[q]:end[q]."""
    for q in range(len(similarity)):
        row = similarity[q]
        own = row[begin[q] : end[q]]
        positives = np.sort(own[camera[begin[q] : end[q]] != query_camera[q]])  # (P,), least similar first
        count = len(positives)
        if count == 0:
            continue
        precision, above = 0.0, 0
        for k in range(1, count + 1):
            positive = positives[count - k]  # the k-th most similar
            above = _count_at_least(row[: begin[q]], positive) + _count_at_least(row[end[q] :], positive)
            if k == 1:
                first[q] = above
            precision += k / (k + above)
        ap[q] = precision / count
        inp[q] = count / (count + above)


@numba.njit(cache=True, nogil=True)
def _count_at_least(values, threshold):
    """How many of `values` reach `threshold`; a 32-bit count, so that the loop runs on whole vector registers."""
    count = np.int32(0)
    for value in values:
        count += np.int32(value >= threshold)
    return count
