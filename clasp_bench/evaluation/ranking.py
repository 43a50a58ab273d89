"""Re-identification ranking after Market-1501, without a full distance matrix and without sorting a row.

Of a query's ranking only the places of its few positives matter, and the place of a positive is the count of negatives above
it. The gallery is ordered by person once, so a query's own person is one range and everything outside it is a negative. For a
block of queries the similarities are computed, and the negatives that reach each positive are counted.
"""

from dataclasses import dataclass

import numpy as np

from clasp_bench.data.market1501 import JUNK
from clasp_bench.errors import DataError

QUERIES_AT_A_TIME = 256


@dataclass(frozen=True)
class Ranking:
    """Where the positives of each query stand. Queries without a valid positive have NaN (-1 in `first`) and are in no mean.

    Attributes:
        ap: (Q,) float64, average precision: the mean over a query's positives of k / (k + negatives above the k-th).
        inp: (Q,) float64, inverse negative penalty: positives / place of the last positive.
        first: (Q,) int64, negatives above the best positive.
    """

    ap: np.ndarray
    inp: np.ndarray
    first: np.ndarray

    @property
    def mean_ap(self) -> float:
        """mAP in [0, 1]."""
        return float(np.nanmean(self.ap))

    @property
    def mean_inp(self) -> float:
        """mINP in [0, 1] (Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook", TPAMI 2022, eq. 11)."""
        return float(np.nanmean(self.inp))

    def cmc(self, rank: int) -> float:
        """Share of queries, in [0, 1], that have a positive among the first `rank` of their ranking."""
        ranked = self.first[self.first >= 0]
        return float(np.mean(ranked < rank))

    @property
    def left_out(self) -> int:
        """Queries without a valid positive."""
        return int(np.sum(self.first < 0))


def rank(
    query: np.ndarray,
    gallery: np.ndarray,
    query_person: np.ndarray,
    gallery_person: np.ndarray,
    query_camera: np.ndarray,
    gallery_camera: np.ndarray,
) -> Ranking:
    """Rank the gallery by inner product with each query.

    Left out of a query's ranking, after Market-1501's rules: junk (person -1) and the query's own person seen by the
    query's own camera. A negative as similar as a positive counts as above it: features that have collapsed to one point
    score worst, not best.

    Args:
        query: (Q, D) float32 features; of unit length where cosine similarity is meant.
        gallery: (G, D) float32 features.
        query_person: (Q,) int64 person ids; the others likewise, (Q,) or (G,).
    Raises:
        DataError: no query has a positive seen by another camera, or a feature is not finite.
    """
    from clasp_bench.evaluation.ranking_kernel import rank_block  # numba takes a second to import

    for name, features in (("query", query), ("gallery", gallery)):
        if not np.isfinite(features).all():
            raise DataError(
                f"the {name} features hold NaN or infinity, so nothing can be ranked; check the training loss"
            )
    kept = np.flatnonzero(gallery_person != JUNK)
    kept = kept[np.argsort(gallery_person[kept], kind="stable")]
    person, camera = gallery_person[kept], gallery_camera[kept]
    gallery = np.ascontiguousarray(gallery[kept])
    begin = np.searchsorted(person, query_person, side="left")
    end = np.searchsorted(person, query_person, side="right")
    ap, inp, first = np.full(len(query), np.nan), np.full(len(query), np.nan), np.full(len(query), -1)
    for start in range(0, len(query), QUERIES_AT_A_TIME):
        block = slice(start, start + QUERIES_AT_A_TIME)
        similarity = query[block] @ gallery.T
        rank_block(
            similarity, begin[block], end[block], query_camera[block], camera, ap[block], inp[block], first[block]
        )
    if (first < 0).all():
        raise DataError(
            "no query has a photo of its person by another camera in the gallery; check person and camera ids"
        )
    return Ranking(ap, inp, first)
