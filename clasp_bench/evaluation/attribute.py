"""Pedestrian attribute scores: mean accuracy over attributes, and accuracy, precision, recall and F1 over people."""

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from clasp_bench.errors import DataError
from clasp_bench.registry import METRICS


def attribute_scores(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Label-based mA and instance-based accuracy, precision, recall and F1, all in [0, 1].

    Source: Li et al., "A Richly Annotated Pedestrian Dataset for Person Retrieval in Real Surveillance Scenarios", TIP 2019, eq. 4-8;
    the same figures as Rethinking_of_PAR. An attribute without positives or without negatives has no balanced accuracy and is in
    no mean; a ratio over nobody (no attribute predicted, for instance) is 0, as there.

    Args:
        labels: (N, A) bool.
        predicted: (N, A) bool.
    Raises:
        DataError: no attribute has both positives and negatives.
    """
    both = two_sided(labels)
    if not both.any():
        raise DataError("no attribute has both positives and negatives in the test split, so there is no mean accuracy")
    correct = labels & predicted
    sensitivity = correct.sum(0)[both] / labels.sum(0)[both]
    specificity = (~labels & ~predicted).sum(0)[both] / (~labels).sum(0)[both]
    precision = _share(correct.sum(1), predicted.sum(1)).mean()
    recall = _share(correct.sum(1), labels.sum(1)).mean()
    return {
        "mA": float((sensitivity + specificity).mean() / 2),
        "accuracy": float(_share(correct.sum(1), (labels | predicted).sum(1)).mean()),
        "precision": float(precision),
        "recall": float(recall),
        "F1": float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0,
    }


def two_sided(labels: np.ndarray) -> np.ndarray:
    """(A,) bool: attributes of `labels` (N, A) that someone has and someone has not."""
    return labels.any(0) & ~labels.all(0)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)


@METRICS.register_module()
class AttributeMetric(BaseMetric):
    """`attribute_scores` in percent. An attribute is predicted where its logit is positive (probability over 0.5)."""

    default_prefix = "attribute"
    higher_is_better = dict.fromkeys(("mA", "accuracy", "precision", "recall", "F1"), True)
    unit = "%"

    def process(self, data_batch, data_samples: list[dict]) -> None:
        """Keep `logits` (A,) and `attributes` (A,) of each sample."""
        self.results.extend(data_samples)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        labels = np.stack([result["attributes"].numpy() for result in results]) > 0.5
        logits = np.stack([result["logits"].numpy() for result in results])
        if not np.isfinite(logits).all():
            raise DataError(
                "the predicted logits hold NaN or infinity, so nothing can be scored; check the training loss"
            )
        self._say_left_out(labels)
        return {name: 100 * value for name, value in attribute_scores(labels, logits > 0).items()}

    def _say_left_out(self, labels: np.ndarray) -> None:
        left_out = np.flatnonzero(~two_sided(labels))
        if len(left_out):
            names = (self.dataset_meta or {}).get("attributes") or [
                f"attribute {index}" for index in range(labels.shape[1])
            ]
            print_log(
                f"left out of mA, nobody or everybody in the test split has it: {', '.join(names[index] for index in left_out)}",
                logger="current",
            )
