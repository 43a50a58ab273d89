"""The re-identification head: BNNeck with label-smoothed cross-entropy and a batch-hard triplet loss."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.registry import MODELS


@MODELS.register_module()
class BNNeckHead(BaseModule):
    """Triplet loss before a batch normalisation, classification of identities after it.

    Source: Luo et al., "A Strong Baseline and Batch Normalization Neck for Deep Person Re-identification", TMM 2019, with the
    soft-margin triplet of TransReID (He et al., ICCV 2021).

    Args:
        in_channels: Width D of the features.
        num_people: Identities to classify in training.
        label_smoothing: Share of the target spread over all identities.
        triplet_weight: Weight of the triplet loss; the cross-entropy has weight 1.
        ranked: Which feature is ranked in a test, the one "before" the normalisation or "after" it.
    """

    def __init__(
        self,
        in_channels: int,
        num_people: int,
        label_smoothing: float = 0.1,
        triplet_weight: float = 1.0,
        ranked: str = "after",
    ):
        super().__init__()
        self.label_smoothing, self.triplet_weight, self.ranked = label_smoothing, triplet_weight, ranked
        self.neck = nn.BatchNorm1d(in_channels)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(in_channels, num_people, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def loss(self, features: Tensor, label: Tensor, **_) -> dict[str, Tensor]:
        """Losses of a batch of P people with K photos each.

        Args:
            features: (B, D).
            label: (B,) int64, 0 to num_people - 1.
        """
        logits = self.classifier(self.neck(features))
        return {
            "loss_identity": F.cross_entropy(logits, label, label_smoothing=self.label_smoothing),
            "loss_triplet": self.triplet_weight * batch_hard_triplet(features, label),
        }

    def predict(self, features: Tensor, person_id: Tensor, camera_id: Tensor, is_query: Tensor, **_) -> list[dict]:
        """What `ReIDMetric` takes, one dict for each of `features` (B, D)."""
        ranked = self.neck(features) if self.ranked == "after" else features
        return [
            {"feature": feature, "person_id": person, "camera_id": camera, "is_query": query}
            for feature, person, camera, query in zip(ranked, person_id, camera_id, is_query, strict=True)
        ]


def batch_hard_triplet(features: Tensor, label: Tensor) -> Tensor:
    """Soft-margin triplet loss of each sample with its farthest positive and nearest negative in the batch.

    Source: Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification", 2017, eq. 5: mean of ln(1 + exp(d_p - d_n)).

    Args:
        features: (B, D); distances are Euclidean.
        label: (B,) int64.
    Returns:
        A scalar in nats.
    """
    squared = (features[:, None] - features[None]).pow(2).sum(-1)  # (B, B)
    distance = squared.clamp(min=1e-12).sqrt()  # the root's slope at 0 is infinite
    same = label[:, None] == label[None]
    farthest_positive = distance.masked_fill(~same, 0).amax(1)
    nearest_negative = distance.masked_fill(same, torch.inf).amin(1)
    return F.softplus(farthest_positive - nearest_negative).mean()
