"""Multi-level CLIP distillation: CLIP's scores of the photo and of its regions are soft targets, each at its own level."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.distributed import global_weight
from clasp_bench.models.methods.base import SelfSupervised, encode
from clasp_bench.registry import MODELS


@MODELS.register_module()
class MultiLevelDistillation(SelfSupervised):
    """CLIP's scores distilled at the level of the photo, of the person in it, and of the person's parts (reconstruction).

    Source: Wan and Tuytelaars, "Exploiting CLIP for Zero-Shot HOI Detection Requires Knowledge Distillation at Multiple Levels", WACV 2024. Its
    abstract gives the idea: branches for the global image, for the union region of a human and an object, and for single instances; CLIP's scores
    of image and regions are the only supervision. Branches, pooling and the divergence are ours.
    Left out: classifiers that begin as CLIP's text features, which the label store does not keep, and the fusion with a detector.
    Changed: attributes stand for interactions, the person for the union region, its parts for instances.

    Args:
        backbone: Config of a `CLASPViT`.
        data_preprocessor: As in `SelfSupervised`; global crops are read.
        num_parts: Number of part classes; the first is the background.
        attribute_groups: Number of classes in each attribute group, in the store's order.
        weights: Factor of each loss: photo, person, part.
    """

    display_name = "Multi-level CLIP distillation (reconstruction)"
    outside_supervision = "CLIP"
    factors: ClassVar = dict(photo=1.0, person=1.0, part=1.0)

    def __init__(
        self,
        backbone: dict,
        data_preprocessor: dict,
        num_parts: int,
        attribute_groups: Sequence[int],
        weights: dict[str, float] | None = None,
    ):
        super().__init__(backbone, data_preprocessor)
        width, self.attribute_groups = self.backbone.feature_dim, list(attribute_groups)
        self.photo_classifier, self.person_classifier = (nn.Linear(width, sum(attribute_groups)) for _ in range(2))
        self.part_classifier = nn.Linear(width, num_parts)
        self.weights = self.weighted(weights)

    def loss(self, crops: MultiCrop, attributes: Tensor, attribute_confidence: Tensor) -> dict[str, Tensor]:
        """Divergence of each level from CLIP's scores.

        Args:
            attributes: (B, A) soft labels, CLIP's scores of the photo; all zero for one that it never saw.
            attribute_confidence: (B, groups); scores are taken as they are, sure or not.
        """
        views = len(crops.global_)
        tokens = encode(self.backbone, crops.global_).flatten(0, 1)
        scores = attributes.repeat(views, 1)
        parts, confidence = (grid.flatten(2).flatten(0, 1) for grid in (crops.parts, crops.part_confidence))
        pooled, soft, size = regions(tokens[:, 1:], parts, confidence, self.part_classifier.out_features)
        person, seen = pool(tokens[:, 1:], (confidence * (parts > 0))[:, None])
        everywhere = torch.ones_like(seen[:, 0])
        losses = {
            "photo": self._attribute_loss(self.photo_classifier(tokens[:, 0]), scores, everywhere),
            "person": self._attribute_loss(self.person_classifier(person[:, 0]), scores, (seen[:, 0] > 0).float()),
            "part": divergence(self.part_classifier(pooled).flatten(0, 1), soft.flatten(0, 1), (size > 0).flatten()),
        }
        return {f"loss_{level}": self.weights[level] * loss for level, loss in losses.items()}

    def _attribute_loss(self, logits: Tensor, scores: Tensor, weight: Tensor) -> Tensor:
        """Mean divergence over attribute groups of logits (V, A) from scores (V, A), of the views that `weight` (V,) counts."""
        pairs = zip(logits.split(self.attribute_groups, 1), scores.split(self.attribute_groups, 1), strict=True)
        return torch.stack([divergence(*pair, weight) for pair in pairs]).mean()


def divergence(logits: Tensor, soft: Tensor, weight: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the softmax of `logits` from `soft`, a weighted mean over rows.

    Args:
        logits, soft: (R, K); a row of `soft` that is all zero costs nothing.
        weight: (R,).
    Returns:
        A scalar in nats, a mean over the rows of all processes.
    """
    each = F.kl_div(logits.float().log_softmax(1), soft.float(), reduction="none").sum(1)
    return (weight * each).sum() / global_weight(weight)


def pool(tokens: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted means of patches.

    Args:
        tokens: (V, N, D).
        weight: (V, R, N), of the patches in each of R regions, not negative.
    Returns:
        (V, R, D), zero for a region without weight, and its weight (V, R).
    """
    total = weight.sum(2)
    return weight @ tokens / total.clamp(min=1e-6)[..., None], total


def regions(tokens: Tensor, parts: Tensor, confidence: Tensor, num_parts: int) -> tuple[Tensor, Tensor, Tensor]:
    """The region of each part, and CLIP's score of it.

    The store keeps the winner of each patch and its probability, not how the others share the rest: they share it evenly.

    Args:
        tokens: (V, N, D) patches.
        parts, confidence: (V, N) labels and their probability; patches of probability 0 belong to no region.
    Returns:
        Mean token of each region (V, P, D), its score over the parts (V, P, P), the mean probability of its own part on the diagonal, and its
        number of patches (V, P), 0 for a part that is not there.
    """
    member = (F.one_hot(parts, num_parts) * (confidence > 0)[..., None]).mT.to(tokens.dtype)  # (V, P, N)
    pooled, size = pool(tokens, member)
    sure = pool(confidence[..., None].to(tokens.dtype), member)[0]  # (V, P, 1)
    own = torch.eye(num_parts, device=tokens.device)
    return pooled, sure * own + (1 - sure) / (num_parts - 1) * (1 - own), size
