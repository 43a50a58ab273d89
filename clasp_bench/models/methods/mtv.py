"""MTV: language, self-distillation and dense pseudo-labels on one backbone."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.distributed import global_weight
from clasp_bench.models.captions import CaptionTower
from clasp_bench.models.contrast import sigmoid_contrast
from clasp_bench.models.methods.base import encode
from clasp_bench.models.methods.ibot import IBOT
from clasp_bench.registry import MODELS

SCALE, BIAS = 10.0, -10.0  # at which SigLIP begins


@MODELS.register_module()
class MTV(IBOT):
    """Multi-task visual pre-training (reconstruction).

    Source: Di et al., "Revisiting Multi-Task Visual Representation Learning", arXiv 2601.13886. Its abstract and figures give the three kinds of
    objectives: vision-language contrast, self-supervision, and dense pseudo-labels of expert models (grounding by OWLv2, depth by Depth Anything
    V2). Ours are: SigLIP's loss as the contrast, iBOT as self-supervision, the form of the grounding loss, and all weights.
    Left out: depth, of which the label store knows nothing. Changed: boxes are drawn around the parts that CLIP labelled, and a box must find its
    part among all parts; a small text tower over the words that captions can hold.

    Args:
        num_parts: Number of part classes; the first is the background, which has no box.
        attribute_groups: Number of classes in each attribute group, in the store's order.
        vocabulary: That of the labels.
        text: Arguments of `CaptionTower`: width, depth, heads.
        embedding: Width of the spaces where photos meet captions and boxes meet parts.
        **kwargs: See `IBOT`; its weights are of instance, patch, language, grounding.
    """

    display_name = "MTV (reconstruction)"
    outside_supervision = "CLIP"
    factors: ClassVar = dict(instance=1.0, patch=1.0, language=1.0, grounding=1.0)

    def __init__(
        self,
        *args,
        num_parts: int,
        attribute_groups: Sequence[int],
        vocabulary: str = "person",
        text: dict | None = None,
        embedding: int = 64,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        width = self.backbone.feature_dim
        self.caption_tower = CaptionTower(vocabulary, attribute_groups, **(text or {}))
        self.embed = nn.ModuleList(nn.Linear(each, embedding) for each in (width, self.caption_tower.width))
        self.box_embed = nn.Linear(width, embedding)
        self.part_names = nn.Embedding(num_parts - 1, embedding)  # a closed list of phrases needs no tower to read it
        # of photos with captions, and of boxes with parts
        self.log_scale = nn.Parameter(torch.full((2,), math.log(SCALE)))
        self.bias = nn.Parameter(torch.full((2,), BIAS))

    def exported(self) -> nn.Module:
        """The backbone that captions and boxes train: the EMA one, which self-distillation alone needs, lags by half of a short training."""
        return self.backbone

    def loss(self, crops: MultiCrop, attributes: Tensor, attribute_confidence: Tensor) -> dict[str, Tensor]:
        """Args: attributes (B, A) soft labels, attribute_confidence (B, groups): what the captions say. Returns: the four losses."""
        losses = super().loss(crops)
        tokens = encode(self.backbone, crops.global_[:1])[0]
        scale = self.log_scale.exp()
        photo, caption = (
            self.embed[0](tokens[:, 0]),
            self.embed[1](self.caption_tower(attributes, attribute_confidence)),
        )
        inside, weight = part_boxes(crops.parts[0], crops.part_confidence[0], 1 + self.part_names.num_embeddings)
        pooled = inside @ tokens[:, 1:] / inside.sum(2, keepdim=True).clamp(min=1)  # (B, P, D)
        found = F.normalize(self.box_embed(pooled), dim=-1) @ F.normalize(self.part_names.weight, dim=-1).T
        return losses | {
            "loss_language": self.weights["language"] * sigmoid_contrast(photo, caption, scale[0], self.bias[0]),
            "loss_grounding": self.weights["grounding"] * grounding_loss(scale[1] * found + self.bias[1], weight),
        }


def part_boxes(parts: Tensor, confidence: Tensor, num_parts: int) -> tuple[Tensor, Tensor]:
    """The box around the patches of each part but the first, the background.

    Args:
        parts, confidence: (B, rows, columns) labels and their confidence in [0, 1]; a patch of confidence 0 is of no part.
    Returns:
        Which patches lie in the boxes, (B, P, N) of 0 and 1, and the mean confidence of the part's patches, (B, P), 0 for one that is not there.
    """
    of_part = F.one_hot(parts, num_parts)[..., 1:].permute(0, 3, 1, 2).bool() & (confidence > 0)[:, None]
    inside = torch.ones_like(of_part)
    for across in (2, 3):
        there = of_part.any(5 - across, keepdim=True).int()  # in which rows, in which columns
        begun, to_come = there.cummax(across).values, there.flip(across).cummax(across).values.flip(across)
        inside = inside & (begun * to_come).bool()
    weight = (of_part * confidence[:, None]).sum((2, 3)) / of_part.sum((2, 3)).clamp(min=1)
    return inside.flatten(2).to(confidence.dtype), weight


def grounding_loss(logits: Tensor, weight: Tensor) -> Tensor:
    """Each box answers for each part whether it is its own: binary cross-entropy, summed over the answers, a weighted mean over the boxes.

    Args:
        logits: (B, P, P), box by part.
        weight: (B, P) of the boxes.
    Returns:
        A scalar in nats, a mean over the global batch.
    """
    own = torch.eye(logits.shape[1], device=logits.device).expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits.float(), own, reduction="none").sum(2)
    return (weight * entropy).sum() / global_weight(weight)
