"""Re-identification scores after Market-1501: mAP, CMC at 1, 5 and 10, and mINP."""

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from clasp_bench.evaluation.ranking import Ranking, inner_product, rank
from clasp_bench.evaluation.rerank import KReciprocal
from clasp_bench.registry import METRICS

CMC_RANKS = (1, 5, 10)


@METRICS.register_module()
class ReIDMetric(BaseMetric):
    """Cosine ranking, single query; camera and junk rules are `ranking.rank`'s. Scores are in percent.

    Source: Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015. AP is the mean of the precision at each
    positive, as torchreid and fast-reid compute it, and not the area under a trapezoid as in the first MATLAB code.

    Args:
        rerank: Settings of a `KReciprocal`, ``dict()`` for the published ones; None, the default, does not re-rank.

    Attributes:
        ranking: Of the last `compute_metrics`; its per-query AP is what a paired bootstrap needs.
    """

    default_prefix = "reid"
    higher_is_better = dict.fromkeys(("mAP", *(f"rank{k}" for k in CMC_RANKS), "mINP"), True)
    unit = "%"
    ranking: Ranking | None = None

    def __init__(self, rerank: dict | None = None, **kwargs):
        super().__init__(**kwargs)
        self.similarity = inner_product if rerank is None else KReciprocal(**rerank)

    def process(self, data_batch, data_samples: list[dict]) -> None:
        """Keep `feature` (D,), `person_id`, `camera_id` and `is_query` of each sample."""
        self.results.extend(data_samples)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        features = np.stack([result["feature"].numpy() for result in results]).astype(np.float32)
        features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        person, camera = (np.array([int(result[key]) for result in results]) for key in ("person_id", "camera_id"))
        query = np.array([bool(result["is_query"]) for result in results])
        self.ranking = rank(
            *(values[chosen] for values in (features, person, camera) for chosen in (query, ~query)),
            similarity=self.similarity,
        )
        if self.ranking.left_out:
            print_log(
                f"{self.ranking.left_out} of {query.sum()} queries have nobody of theirs in the gallery seen by another camera "
                "and are left out of the means",
                logger="current",
            )
        return {
            "mAP": 100 * self.ranking.mean_ap,
            **{f"rank{k}": 100 * self.ranking.cmc(k) for k in CMC_RANKS},
            "mINP": 100 * self.ranking.mean_inp,
        }
