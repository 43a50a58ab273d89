"""Harmony: iBOT, MAE and CLIP with softened targets, on one backbone."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.distributed import uniform
from clasp_bench.models.captions import CaptionTower
from clasp_bench.models.contrast import info_nce, learnt_temperature, similarities
from clasp_bench.models.masking import encode_visible
from clasp_bench.models.methods.base import encode
from clasp_bench.models.methods.ibot import IBOT
from clasp_bench.models.methods.mae import pixel_reconstruction
from clasp_bench.registry import MODELS

SOFT_TEMPERATURE = 0.1


@MODELS.register_module()
class Harmony(IBOT):
    """Joint self-supervised and weakly-supervised learning.

    Source: Baharoon et al., "Harmony: A Joint Self-Supervised and Weakly-Supervised Framework for Learning General Purpose Visual Representations",
    arXiv 2405.14239. Captions are pseudo-captions of the label store.
    Left out: masked language modelling and text self-distillation. Changed: a small text tower over the words that captions can hold.

    Args:
        attribute_groups: Number of classes in each attribute group, in the store's order.
        decoder: Arguments of mmpretrain's MAEPretrainDecoder: decoder_embed_dim, decoder_depth, decoder_num_heads.
        vocabulary: That of the labels.
        text: Arguments of `CaptionTower`: width, depth, heads.
        embedding: Width of the space where photos and captions are contrasted.
        temperature: Of the contrast, at first; it is learnt.
        mae_share: Share of the patches that is hidden from the reconstruction of each global view; its loss is a sum over these.
        hardness: The part of the own caption in the target at the end of softening; the rest is the teacher's similarity of photos and captions.
        softening: Share of the run over which that part falls from 1.
        **kwargs: See `IBOT`; its weights are one half each.
    """

    display_name = "Harmony"
    outside_supervision = "CLIP"
    factors: ClassVar = dict(instance=0.5, patch=0.5)

    def __init__(
        self,
        *args,
        attribute_groups: Sequence[int],
        decoder: dict,
        vocabulary: str = "person",
        text: dict | None = None,
        embedding: int = 64,
        temperature: float = 0.07,
        mae_share: float = 0.75,
        hardness: float = 0.2,
        softening: float = 0.4,
        ema_momentum: float = 0.996,
        **kwargs,
    ):
        super().__init__(*args, ema_momentum=ema_momentum, **kwargs)
        self.decoder, self.head = pixel_reconstruction(self.backbone, decoder)
        self.caption_tower = CaptionTower(vocabulary, attribute_groups, **(text or {}))
        widths = self.backbone.feature_dim, self.caption_tower.width
        self.embed = nn.ModuleList(nn.Linear(width, embedding) for width in widths)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.mae_share, self.hardness, self.softening = mae_share, hardness, softening
        self.followed = (*IBOT.followed, "caption_tower", "embed")  # the teacher reads captions too
        self.add_teacher(ema_momentum)

    def loss(self, crops: MultiCrop, attributes: Tensor, attribute_confidence: Tensor) -> dict[str, Tensor]:
        """Args: attributes (B, A) soft labels, attribute_confidence (B, groups): what the captions say. Returns: the four losses."""
        losses = super().loss(crops)
        views, images = crops.global_.shape[:2]
        priority = uniform(views, images, math.prod(self.backbone.grid), device=crops.global_.device).flatten(0, 1)
        pictures, hidden = crops.global_.flatten(0, 1), round(self.mae_share * priority.shape[1])
        latent, mask, place = encode_visible(self.backbone, pictures, priority, hidden)
        losses["loss_reconstruction"] = views * self.head.loss(self.decoder(latent, place), pictures, mask)

        images = crops.global_[0]
        image = encode(self.backbone, images[None])[0, :, 0]
        image, text = self.embed[0](image), self.embed[1](self.caption_tower(attributes, attribute_confidence))
        with torch.no_grad():
            backbone, _, caption_tower, embed = self.teacher.module
            taught = embed[0](encode(backbone, images[None])[0, :, 0])
            said = embed[1](caption_tower(attributes, attribute_confidence))
        temperature, hardness = learnt_temperature(self.log_temperature), self.current_hardness()
        losses["loss_clip"] = (
            sum(
                info_nce(*pair, temperature, similarities(*target, SOFT_TEMPERATURE).softmax(1), hardness)
                for pair, target in (((image, text), (taught, said)), ((text, image), (said, taught)))
            )
            / 2
        )
        return losses

    def current_hardness(self) -> float:
        """The own caption's part of the target at this step: from 1 down to `hardness` over the first `softening` of the run."""
        return 1 - (1 - self.hardness) * min(1.0, self.progress() / self.softening)
