"""The inner loops of `rerank`, compiled by Numba and kept in its cache."""

import numba
import numpy as np


@numba.njit(cache=True)
def encode(features, neighbours, half, farthest):
    """Weights of everyone's k-reciprocal neighbours: row starts (N + 1,), columns and values of a sparse (N, N) matrix.

    Takes `features` (N, D); `neighbours` (N, K), nearest first; `half`, how many of these a neighbour's own neighbourhood has;
    `farthest` (N,), by which squared distances are divided.
    """
    everyone, width = neighbours.shape
    starts = np.zeros(everyone + 1, np.int64)
    columns, values = np.empty(2 * everyone * width, np.int32), np.empty(2 * everyone * width, np.float32)
    for one in range(everyone):
        own = _reciprocal(neighbours, one, width)
        members = own
        for neighbour in own:
            theirs = _reciprocal(neighbours, neighbour, half)
            if 3 * len(np.intersect1d(theirs, own)) > 2 * len(theirs):
                members = np.concatenate((members, theirs))
        members = np.unique(members)
        start, stop = starts[one], starts[one] + len(members)
        while stop > len(columns):
            columns = np.concatenate((columns, np.empty_like(columns)))
            values = np.concatenate((values, np.empty_like(values)))
        for place, member in enumerate(members):
            columns[start + place] = member
            values[start + place] = np.exp(-np.square(features[one] - features[member]).sum() / farthest[one])
        values[start:stop] /= values[start:stop].sum()
        starts[one + 1] = stop
    return starts, columns[: starts[-1]], values[: starts[-1]]


@numba.njit(cache=True)
def _reciprocal(neighbours, one, count):
    """Those of the first `count` neighbours that have `one` among their own first `count`."""
    mutual = np.empty(count, neighbours.dtype)
    found = 0
    for neighbour in neighbours[one, :count]:
        if (neighbours[neighbour, :count] == one).any():
            mutual[found] = neighbour
            found += 1
    return mutual[:found]


@numba.njit(cache=True)
def overlap(row_starts, columns, values, column_starts, rows, row_values, shared):
    """Add to `shared` (B, G) the sum over columns of the smaller of two entries: of a sparse (B, N) by rows and a (G, N) by columns."""
    for q in range(len(shared)):
        for entry in range(row_starts[q], row_starts[q + 1]):
            column = columns[entry]
            for other in range(column_starts[column], column_starts[column + 1]):
                shared[q, rows[other]] += min(values[entry], row_values[other])
