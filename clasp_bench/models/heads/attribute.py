"""The attribute head: one logit an attribute, with a binary cross-entropy that weighs rare answers up."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.registry import MODELS

LEAST_SHARE = 1e-3  # an attribute that nobody in training has must not start at minus infinity


@MODELS.register_module()
class AttributeHead(BaseModule):
    """Normalised features and one linear layer, whose biases start at the attributes' log-odds in training.

    The loss is DeepMAR's (Li et al., "Multi-attribute Learning for Pedestrian Attribute Recognition in Surveillance Scenarios", ACPR
    2015, eq. 2-3): a positive answer weighs exp((1 - p) / sigma^2) and a negative one exp(p / sigma^2), where p is the attribute's
    share of positives in training.

    Args:
        in_channels: Width D of the features.
        positive_share: (A,) share of training samples that have each attribute, in [0, 1].
        sigma: The smaller, the more a rare answer weighs; near 0.6 both answers of an attribute weigh alike in all.
    """

    def __init__(self, in_channels: int, positive_share: Sequence[float], sigma: float = 1.0):
        super().__init__()
        self.sigma = sigma
        self.register_buffer("positive_share", torch.tensor(positive_share, dtype=torch.float32))
        self.norm = nn.BatchNorm1d(in_channels, affine=False)
        self.classifier = nn.Linear(in_channels, len(positive_share))
        nn.init.normal_(self.classifier.weight, std=0.01)
        self.classifier.bias.data.copy_(self.positive_share.clamp(LEAST_SHARE, 1 - LEAST_SHARE).logit())

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, A) of features (B, D)."""
        return self.classifier(self.norm(features))

    def loss(self, features: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        """Weighted cross-entropy against `attributes` (B, A), 0 or 1, summed over attributes, mean over samples."""
        share = torch.where(attributes > 0.5, 1 - self.positive_share, self.positive_share)
        weight = torch.exp(share / self.sigma**2)
        loss = F.binary_cross_entropy_with_logits(self(features), attributes, weight, reduction="none")
        return {"loss_attributes": loss.sum(1).mean()}

    def predict(self, features: Tensor, attributes: Tensor) -> list[dict]:
        """What `AttributeMetric` takes, one dict for each of `features` (B, D)."""
        return [
            {"logits": logits, "attributes": label} for logits, label in zip(self(features), attributes, strict=True)
        ]
