"""nCLIP and xCLIP: photos and captions assigned to the same clusters, alone or beside CLIP's contrast."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from mmpretrain.models.necks import NonLinearNeck
from torch import Tensor, nn

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.distributed import all_rows
from clasp_bench.models.captions import CaptionTower
from clasp_bench.models.contrast import NORMALISED_NECK, learnt_temperature, symmetric_info_nce
from clasp_bench.models.methods.base import SelfSupervised, encode
from clasp_bench.registry import MODELS


@MODELS.register_module()
class XCLIP(SelfSupervised):
    """Non-contrastive and contrastive language-image pre-training.

    Source: Zhou et al., "Non-Contrastive Learning Meets Language-Image Pre-Training", CVPR 2023. The abstract gives the two objectives and their
    union; the authors' repository is empty, so that heads and factors are ours. Captions are pseudo-captions of the label store.
    Left out: nothing that is known to us. Changed: a small text tower over the words that captions can hold.

    Args:
        backbone, data_preprocessor: As in `SelfSupervised`; the first global crop is read.
        attribute_groups: Number of classes in each attribute group, in the store's order.
        vocabulary: That of the labels.
        text: Arguments of `CaptionTower`: width, depth, heads.
        embedding: Width of the space where photos and captions are contrasted.
        clusters: K, of the non-contrastive objective.
        hidden: Hidden width of its heads, which are mmpretrain's; batch normalisation at their end lets no cluster have all photos from the start.
        assignment_temperature: Divides their normalised outputs before the softmax over clusters.
        sharpness, evenness: Factors of its entropies, of each assignment (to be low) and of their mean (to be high). The cross-entropy, too, is
            low where an assignment is sure: with evenness below 1 + sharpness all photos fall into one cluster. With sharpness below 1 the
            assignments at the start, which are even and have little to do with each other, stay so.
        temperature: Of the contrast, at first; it is learnt.
        weights: Factor of each objective: clip, nclip. One of weight 0 has no heads; nCLIP is that without clip.
    """

    outside_supervision = "CLIP"
    factors: ClassVar = dict(clip=1.0, nclip=1.0)

    def __init__(
        self,
        backbone: dict,
        data_preprocessor: dict,
        attribute_groups: Sequence[int],
        vocabulary: str = "person",
        text: dict | None = None,
        embedding: int = 64,
        clusters: int = 1024,
        hidden: int = 256,
        assignment_temperature: float = 0.3,
        sharpness: float = 1.0,
        evenness: float = 2.5,
        temperature: float = 0.07,
        weights: dict[str, float] | None = None,
    ):
        super().__init__(backbone, data_preprocessor)
        self.caption_tower = CaptionTower(vocabulary, attribute_groups, **(text or {}))
        self.weights = self.weighted(weights)
        self.sharpness, self.evenness = sharpness, evenness
        self.assignment_temperature = assignment_temperature
        widths = (self.backbone.feature_dim, self.caption_tower.width)
        if self.weights["clip"]:
            self.embed = nn.ModuleList(nn.Linear(width, embedding) for width in widths)
            self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        if self.weights["nclip"]:
            self.assign = nn.ModuleList(NonLinearNeck(width, hidden, clusters, **NORMALISED_NECK) for width in widths)
        both = all(self.weights.values())
        self.display_name = "CLIP" if not self.weights["nclip"] else f"{'xCLIP' if both else 'nCLIP'} (reconstruction)"

    def loss(self, crops: MultiCrop, attributes: Tensor, attribute_confidence: Tensor) -> dict[str, Tensor]:
        """Args: attributes (B, A) soft labels, attribute_confidence (B, groups): what the captions say. Returns: the objectives."""
        features = (
            encode(self.backbone, crops.global_[:1])[0, :, 0],
            self.caption_tower(attributes, attribute_confidence),
        )
        losses = {}
        if self.weights["clip"]:
            image, text = (head(feature) for head, feature in zip(self.embed, features, strict=True))
            temperature = learnt_temperature(self.log_temperature)
            losses["loss_clip"] = self.weights["clip"] * symmetric_info_nce(image, text, temperature)
        if self.weights["nclip"]:
            image, text = (
                head((feature,))[0].float() / self.assignment_temperature
                for head, feature in zip(self.assign, features, strict=True)
            )
            losses["loss_nclip"] = self.weights["nclip"] * assignment_loss(image, text, self.sharpness, self.evenness)
        return losses


def assignment_loss(one: Tensor, other: Tensor, sharpness: float, evenness: float) -> Tensor:
    """Photos and captions fall into the same clusters, surely, and into all clusters alike.

    Symmetric cross-entropy (H(p, q) + H(q, p)) / 2, plus `sharpness` times the mean entropy of assignments, minus `evenness` times the entropy of
    their mean over the global batch.

    Args:
        one, other: Logits (B, K); row i of one belongs to row i of the other.
    Returns:
        A scalar in nats.
    """
    logs = one.log_softmax(1), other.log_softmax(1)
    p, q = (log.exp() for log in logs)
    agreement = -(p * logs[1] + q * logs[0]).sum(1).mean() / 2
    sure = sum(torch.special.entr(share).sum(1).mean() for share in (p, q)) / 2
    even = sum(torch.special.entr(all_rows(share).mean(0)).sum() for share in (p, q)) / 2
    return agreement + sharpness * sure - evenness * even
