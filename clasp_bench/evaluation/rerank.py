"""Re-ranking by k-reciprocal neighbours, with sparse neighbourhoods in place of matrices of everything with everything."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix

from clasp_bench.evaluation.ranking import Similarity

ROWS_AT_A_TIME = 512


@dataclass(frozen=True)
class KReciprocal:
    """Similarity of queries and gallery by their neighbours; give it to `ranking.rank`.

    Source: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017: neighbours that are mutual and
    those of neighbours that largely agree (eq. 3 and 4), their encoding (eq. 7), the Jaccard distance (eq. 10), local query
    expansion (eq. 11) and the mix with the original distance (eq. 12). Published figures follow the authors' code where it departs
    from the text, and so does this: distances are squared and Euclidean, divided by the row's largest; encodings sum to 1; a photo
    is the first of its own neighbours; more than two thirds must agree, not at least.

    Memory beyond the features grows with the number N of photos, not with its square: (N, k1 + 1) neighbours, a sparse matrix of
    some hundred entries a row, and blocks of 512 rows.

    Attributes:
        k1: Neighbours that are checked for being mutual.
        k2: Neighbours whose encodings are averaged; 1 averages nothing.
        weight: Share of the original distance in the final one, lambda of the paper, in [0, 1].
    """

    k1: int = 20
    k2: int = 6
    weight: float = 0.3

    def __str__(self) -> str:
        return f"k-reciprocal re-ranking (k1={self.k1}, k2={self.k2}, weight={self.weight:g})"

    def __call__(self, query: np.ndarray, gallery: np.ndarray) -> Similarity:
        """Negative final distances of `query` (Q, D) and `gallery` (G, D), block by block as (B, G) float32."""
        from clasp_bench.evaluation.rerank_kernel import encode, overlap

        everyone = np.concatenate([query, gallery])
        neighbours, farthest = _nearest(everyone, min(self.k1 + 1, len(everyone)))
        half = min(round(self.k1 / 2) + 1, neighbours.shape[1])
        encoded = csr_matrix(encode(everyone, neighbours, half, farthest)[::-1], shape=(len(everyone),) * 2)
        encoded = _mean_of_neighbours(encoded, neighbours[:, : self.k2])
        of_gallery = encoded[len(query) :].tocsc()

        def similarity(block: slice) -> np.ndarray:
            part = encoded[: len(query)][block]
            shared = np.zeros((part.shape[0], len(gallery)), np.float32)
            overlap(
                part.indptr, part.indices, part.data, of_gallery.indptr, of_gallery.indices, of_gallery.data, shared
            )
            jaccard = 1 - shared / (2 - shared)  # both rows sum to 1, so their union is 2 - shared
            original = _squared_distances(query[block], gallery) / farthest[: len(query)][block, None]
            return -((1 - self.weight) * jaccard + self.weight * original)

        return similarity


def _squared_distances(some: np.ndarray, all_: np.ndarray) -> np.ndarray:
    return np.square(some).sum(1)[:, None] + np.square(all_).sum(1) - 2 * some @ all_.T


def _nearest(features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest of everyone (N, count), nearest first, and the largest squared distance of everyone (N,)."""
    neighbours, farthest = [], []
    for start in range(0, len(features), ROWS_AT_A_TIME):
        distance = torch.from_numpy(_squared_distances(features[start : start + ROWS_AT_A_TIME], features))
        rows = torch.arange(len(distance))
        distance[rows, start + rows] = -1  # rounding must not put anyone behind a twin
        neighbours.append(distance.topk(count, largest=False).indices.numpy().astype(np.int32))
        farthest.append(distance.amax(1).clamp(min=torch.finfo(distance.dtype).tiny).numpy())  # all may be the same
    return np.concatenate(neighbours), np.concatenate(farthest)


def _mean_of_neighbours(encoded: csr_matrix, neighbours: np.ndarray) -> csr_matrix:
    everyone, count = neighbours.shape
    mean = csr_matrix(
        (
            np.full(neighbours.size, 1 / count, np.float32),
            neighbours.ravel(),
            np.arange(0, neighbours.size + 1, count),
        ),
        shape=(everyone, everyone),
    )
    return mean @ encoded
