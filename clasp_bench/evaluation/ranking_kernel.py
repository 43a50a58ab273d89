"""Counting in the rows of a NumPy matrix, compiled by Numba and kept in its cache. Without the interpreter's lock: threads share out the queries."""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def count_above(similarity, begin, end, query_camera, camera, above):
    """Fill `above` (B, P), of which -1 are left as they are, from `similarity` (B, G); arguments are those of `ranking.negatives_above`."""
    for q in range(len(similarity)):
        row = similarity[q]
        own = row[begin[q] : end[q]]
        positives = np.sort(own[camera[begin[q] : end[q]] != query_camera[q]])[::-1]  # most similar first
        for k in range(len(positives)):
            above[q, k] = _reaching(row[: begin[q]], positives[k]) + _reaching(row[end[q] :], positives[k])


@numba.njit(cache=True, nogil=True)
def _reaching(values, threshold):
    """How many of `values` reach `threshold`.

    The sum is cut back to 32 bits in every step and the array is indexed: only then does the loop run on whole vector registers
    (ten times as fast).
    """
    count = np.int32(0)
    for index in range(len(values)):
        count = np.int32(count + (values[index] >= threshold))
    return count
