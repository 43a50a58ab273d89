"""iBOT: DINO whose student also names the patches that are hidden from it, in the teacher's words. On people it is PersonViT."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.distributed import uniform
from clasp_bench.models.masking import block_priority, hide
from clasp_bench.models.methods.base import encode
from clasp_bench.models.methods.taught import SelfDistilled
from clasp_bench.registry import MODELS


@MODELS.register_module()
class IBOT(SelfDistilled):
    """Masked self-distillation: class tokens across views, patches within a view.

    Source: Zhou et al., "iBOT: Image BERT Pre-Training with Online Tokenizer", ICLR 2022, section 3; Hu et al., "PersonViT", arXiv 2408.05398, is
    this on photos of people.
    Left out: DINO's schedules (see `DINO`). Changed: person crops keep their aspect ratio; block masks are drawn for the batch at once.

    Args:
        backbone: Config of a dense `CLASPViT`.
        ema_momentum: Weight of the old teacher at the first step; it rises to 1 along a cosine.
        mask_share: Least and greatest share of the patches that is hidden in a global view.
        mask_probability: Share of the global views in which patches are hidden at all.
        weights: Factor of each loss: instance, patch.
        **kwargs: See `SelfDistilled`. Class token and patches share the projection head.
    """

    display_name = "iBOT (PersonViT)"
    factors: ClassVar = dict(instance=1.0, patch=1.0)

    def __init__(
        self,
        *args,
        ema_momentum: float = 0.996,
        mask_share: tuple[float, float] = (0.1, 0.5),
        mask_probability: float = 0.5,
        weights: dict[str, float] | None = None,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.mask_token = nn.Parameter(torch.zeros(self.backbone.feature_dim))
        self.patch_center = self.another_center()
        self.mask_share, self.mask_probability = mask_share, mask_probability
        self.weights = self.weighted(weights)
        self.add_teacher(ema_momentum)

    def loss(self, crops: MultiCrop, **labels: Tensor) -> dict[str, Tensor]:
        """Losses of class tokens and of hidden patches; labels are not used."""
        self.update_teacher()
        views, images = crops.global_.shape[:2]
        mask = self.draw_mask(views, images, crops.global_.device)
        hidden = self.backbone.embed(crops.global_.flatten(0, 1), mask, self.mask_token)
        tokens = self.backbone.tail(self.backbone.trunk_blocks(hidden), "instance").unflatten(0, (views, images))
        student = [tokens[:, :, 0]]
        if len(crops.local):
            student.append(encode(self.backbone, crops.local)[:, :, 0])
        with torch.no_grad():
            seen = encode(self.teacher.module[0], crops.global_)
            patch_target = self.patch_center(self.teacher.module[1](seen[:, :, 1:]))
        logits = self.projection(tokens[:, :, 1:].flatten(0, 1)[mask]).float() / self.student_temperature
        patch_loss = masked_entropy(patch_target.flatten(0, 1)[mask], logits, mask)
        return {
            "loss_instance": self.weights["instance"] * self.distil(torch.cat(student), seen[:, :, 0]),
            "loss_patch": self.weights["patch"] * patch_loss,
        }

    def draw_mask(self, views: int, images: int, device: torch.device) -> Tensor:
        """(views * images, N) bool, true where the student does not see a patch."""
        share, chosen = uniform(views, images, 2, device=device).flatten(0, 1).unbind(1)
        share = self.mask_share[0] + (self.mask_share[1] - self.mask_share[0]) * share
        priority = block_priority(views, images, self.backbone.grid, device=device)
        return hide(priority, (share * priority.shape[1]).round() * (chosen < self.mask_probability))


def masked_entropy(target: Tensor, logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of the hidden patches, the mean within each view and then over all views; a view without any counts as 0 (iBOT).

    Args:
        target, logits: (M, K) of the M patches where `mask` is true, in its order: probabilities, and logits divided by the temperature.
        mask: (V, N) bool.
    Returns:
        A scalar in nats.
    """
    entropy = F.cross_entropy(logits, target, reduction="none")
    weight = (1 / mask.sum(1).clamp(min=1))[:, None].expand(mask.shape)[mask]
    return (weight * entropy).sum() / len(mask)
