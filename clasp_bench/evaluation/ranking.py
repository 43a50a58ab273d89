"""Re-identification ranking after Market-1501, without a full distance matrix and without sorting a row.

Of a query's ranking only the places of its few positives matter, and the place of a positive is the count of negatives above
it. The gallery is ordered by person once, so a query's own person is one range and everything outside it is a negative. For a
block of queries the similarities are computed, and the negatives that reach each positive are counted: on CUDA where there is
one, elsewhere by threads.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clasp_bench.data.layouts.reid import JUNK
from clasp_bench.errors import DataError

QUERIES_AT_A_TIME = 512  # fewer slow the matrix product down, more need more memory

# similarities (B, G) of a block of the queries with the whole gallery
Similarity = Callable[[slice], np.ndarray | Tensor]


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


def inner_product(query: np.ndarray, gallery: np.ndarray, device: str | None = None) -> Similarity:
    """Inner products of `query` (Q, D) with `gallery` (G, D), block by block.

    Args:
        device: Where torch multiplies and the ranking counts, for instance "cuda"; None is CUDA if there is one, else NumPy.
    """
    device = device or ("cuda" if torch.cuda.is_available() else None)
    if device:
        query, gallery = torch.from_numpy(query).to(device), torch.from_numpy(gallery).to(device)
    return lambda block: query[block] @ gallery.T


def rank(
    query: np.ndarray,
    gallery: np.ndarray,
    query_person: np.ndarray,
    gallery_person: np.ndarray,
    query_camera: np.ndarray,
    gallery_camera: np.ndarray,
    similarity: Callable[[np.ndarray, np.ndarray], Similarity] = inner_product,
) -> Ranking:
    """Rank the gallery for each query, most similar first.

    Left out of a query's ranking, after Market-1501's rules: junk (person -1) and the query's own person seen by the
    query's own camera. A negative as similar as a positive counts as above it: features that have collapsed to one point
    score worst, not best.

    Args:
        query: (Q, D) float32 features; of unit length where cosine similarity is meant.
        gallery: (G, D) float32 features.
        query_person: (Q,) int64 person ids; the others likewise, (Q,) or (G,).
        similarity: Makes the similarity of queries and gallery without junk; `inner_product` or a `KReciprocal`.
    Raises:
        DataError: no query has a positive seen by another camera, or a feature is not finite.
    """
    for name, features in (("query", query), ("gallery", gallery)):
        if not np.isfinite(features).all():
            raise DataError(
                f"the {name} features hold NaN or infinity, so nothing can be ranked; check the training loss"
            )
    kept = np.flatnonzero(gallery_person != JUNK)
    kept = kept[np.argsort(gallery_person[kept], kind="stable")]
    person, camera = gallery_person[kept], gallery_camera[kept]
    begin = np.searchsorted(person, query_person, side="left")
    end = np.searchsorted(person, query_person, side="right")
    similar = similarity(query, np.ascontiguousarray(gallery[kept]))
    blocks = [slice(start, start + QUERIES_AT_A_TIME) for start in range(0, len(query), QUERIES_AT_A_TIME)]
    scores = [
        _scores(negatives_above(similar(block), begin[block], end[block], query_camera[block], camera))
        for block in blocks
    ]
    ranking = Ranking(*map(np.concatenate, zip(*scores, strict=True)))
    if ranking.left_out == len(query):
        raise DataError(
            "no query has a photo of its person by another camera in the gallery; check person and camera ids"
        )
    return ranking


def negatives_above(
    similarity: np.ndarray | Tensor, begin: np.ndarray, end: np.ndarray, query_camera: np.ndarray, camera: np.ndarray
) -> np.ndarray:
    """Negatives that are at least as similar as the k-th most similar positive, for each query and k.

    Args:
        similarity: (B, G) of B queries with a gallery that is ordered by person. A NumPy matrix is counted by threads, a tensor
            where it lies.
        begin: (B,), with `end` the range of the query's person in the gallery, which may be empty.
        query_camera: (B,), and `camera` (G,).
    Returns:
        (B, P) int64, P the size of the largest range and at least 1; -1 beyond a query's last positive.
    """
    width = int((end - begin).max())
    if width == 0:  # nobody of theirs in the gallery, which may be empty
        return np.full((len(similarity), 1), -1)
    if isinstance(similarity, Tensor):
        on_device = (torch.as_tensor(array, device=similarity.device) for array in (begin, end, query_camera, camera))
        return _count_on_device(similarity, *on_device, width).cpu().numpy()
    from clasp_bench.evaluation.ranking_kernel import count_above  # numba takes a second to import

    above = np.full((len(similarity), width), -1)
    threads = torch.get_num_threads()
    bounds = np.linspace(0, len(similarity), threads + 1).astype(int)

    def count(start: int, stop: int) -> None:
        rows = slice(start, stop)
        count_above(similarity[rows], begin[rows], end[rows], query_camera[rows], camera, above[rows])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(count, bounds[:-1], bounds[1:]))  # a list, so that a thread's fault is not lost
    return above


def _count_on_device(
    similarity: Tensor, begin: Tensor, end: Tensor, query_camera: Tensor, camera: Tensor, width: int
) -> Tensor:
    """`negatives_above` by a search of every negative among the query's few positives."""
    queries, entries = similarity.shape
    distance = -similarity
    place = begin[:, None] + torch.arange(width, device=begin.device)  # (B, P)
    within = place < end[:, None]
    place = place.clamp(max=entries - 1)
    positive = within & (camera[place] != query_camera[:, None])
    positives = distance.gather(1, place).masked_fill(~positive, torch.inf).sort(1).values
    column = torch.arange(entries, device=begin.device)
    own = (column >= begin[:, None]) & (column < end[:, None])
    reached = torch.searchsorted(positives, distance.masked_fill(own, torch.inf))  # first positive that is not nearer
    bins = reached + torch.arange(queries, device=begin.device)[:, None] * (width + 1)
    counts = bins.flatten().bincount(minlength=queries * (width + 1)).view(queries, width + 1)
    return counts.cumsum(1)[:, :width].masked_fill(positives.isinf(), -1)


def _scores(above: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`ap`, `inp` and `first` of a `Ranking` from negatives above (B, P)."""
    valid = above >= 0
    positives, last = valid.sum(1), above.max(1)
    k = np.arange(1, above.shape[1] + 1)
    precision = np.where(valid, k / np.maximum(k + above, 1), 0)
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN for a query without a positive
        ap = precision.cumsum(1)[:, -1] / positives
        inp = positives / np.where(positives, positives + last, 0)
    return ap, inp, above[:, 0]
