"""SOLIDER: DINO, part labels from clustered tokens, and a controller that sets how much semantics the features carry."""

import math
from copy import deepcopy
from functools import partial
from typing import ClassVar

import torch
from mmengine.logging import MessageHub
from mmpretrain.models.utils import CosineEMA
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.distributed import uniform
from clasp_bench.errors import ConfigError
from clasp_bench.models import clustering
from clasp_bench.models.methods.taught import SelfDistilled
from clasp_bench.registry import MODELS


class SemanticController(nn.Module):
    """Scales and shifts what a backbone's norms give, by the semantic weight w in [0, 1]: y = norm(x) * softplus(s(w)) + b(w).

    A controlled norm is a norm with other weights, so that a backbone under a fixed w is a plain backbone.

    Args:
        backbone: Its LayerNorms are controlled.
    """

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.norms = [name for name, module in backbone.named_modules() if isinstance(module, nn.LayerNorm)]
        widths = [backbone.get_submodule(name).weight.numel() for name in self.norms]
        self.scale = nn.ModuleList(nn.Linear(2, width) for width in widths)
        self.shift = nn.ModuleList(nn.Linear(2, width) for width in widths)
        for scale, shift in zip(self.scale, self.shift, strict=True):
            nn.init.normal_(scale.weight, std=0.02)
            nn.init.constant_(scale.bias, math.log(math.e - 1))  # softplus of it is 1
            nn.init.normal_(shift.weight, std=0.02)
            nn.init.zeros_(shift.bias)

    def forward(self, backbone: nn.Module, semantic_weight: float) -> dict[str, Tensor]:
        """Weights and biases of the backbone's norms under one w, by their names."""
        w = next(self.parameters()).new_tensor([semantic_weight, 1 - semantic_weight])
        controlled = {}
        for name, scale, shift in zip(self.norms, self.scale, self.shift, strict=True):
            norm, gain = backbone.get_submodule(name), F.softplus(scale(w))
            controlled |= {f"{name}.weight": norm.weight * gain, f"{name}.bias": norm.bias * gain + shift(w)}
        return controlled


class TwoPartEMA(CosineEMA):
    """mmpretrain's EMA, whose weight of the new falls to 0 along a cosine in each of two parts of a run.

    Args:
        first_share: Share of the run that is the first part.
    """

    def __init__(self, model: nn.Module, momentum: float, first_share: float):
        super().__init__(model, momentum)
        self.first_share = first_share

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
        """Move one parameter."""
        done, first = int(steps) / MessageHub.get_current_instance().get_info("max_iters"), self.first_share
        part = done / first if done < first else (done - first) / (1 - first)
        averaged_param.lerp_(source_param, self.momentum * (1 + math.cos(math.pi * part)) / 2)


@MODELS.register_module()
class SOLIDER(SelfDistilled):
    """Semantic controllable self-supervised learning.

    Source: Chen et al., "Beyond Appearance: a Semantic Controllable Self-Supervised Learning Framework for Human-Centric Visual Tasks", CVPR 2023.
    Each photo draws a semantic weight of 0 or 1. Photos of weight 1 are also taught their parts: the teacher's tokens are clustered, one part
    is hidden, and the student must name the part of every patch, in that picture and in the whole one.

    Mended, against the released code: the part classifier is trained (there it is not given to the optimiser); what the controller sets
    reaches the output (there its last stage reaches none); k-means runs for the batch on its device (there image by image on the processor).
    Changed: the backbone is a Vision Transformer (theirs a Swin) and the controller acts behind its norms, so that what is handed on is a plain
    backbone under one `semantic_weight`; tables therefore have one weight for all tasks, where the paper picks one a task. Directions of tokens
    are clustered (there tokens), the part to hide is drawn for each view (there for the batch), the part loss is a mean over all photos
    (there over those with enough of a person), and the part classifier's logits have no bound (there they are cosines). The start from a
    finished DINO is the first part of the run, so that the row costs as many steps as any other; the teacher's momentum begins anew after it, and
    so does the learning rate by the config's schedule, at a tenth, as in their second run.
    Left out: DINO's schedules (see `DINO`), the second part's warm-up.

    Args:
        backbone: Config of a dense `CLASPViT`.
        ema_momentum: Weight of the old teacher at the first step of either part of the run; it rises to 1 along a cosine.
        body_parts: Parts of a person, background not counted.
        least_person: Photos are taught no parts whose person has no more than this share of the tokens.
        semantic_weight: w of the backbone that is handed on.
        dino_share: Share of the run, from its beginning, in which all photos have weight 0 and parts are not taught.
        weights: Factor of each loss: instance, part.
        **kwargs: See `SelfDistilled`.

    Raises:
        ConfigError: a backbone that computes activations again in the backward pass, where its norms are no longer controlled; a share out of range.
    """

    display_name = "SOLIDER"
    not_shared_out = "SOLIDER's controller sets the backbone's norms"
    followed = ("backbone", "projection", "controller")
    factors: ClassVar = dict(instance=1.0, part=1.0)

    def __init__(
        self,
        backbone: dict,
        *args,
        ema_momentum: float = 0.996,
        body_parts: int = 3,
        least_person: float = 0.5,
        semantic_weight: float = 0.5,
        dino_share: float = 0.0,
        weights: dict[str, float] | None = None,
        **kwargs,
    ):
        if not 0 <= dino_share < 1:
            raise ConfigError(
                f"model.dino_share: {dino_share} is no share of a run that leaves time for parts; give 0 to below 1"
            )
        super().__init__(dict(backbone, out_type="raw"), *args, **kwargs)
        if self.backbone.with_cp:
            raise ConfigError(
                "model.backbone.with_cp: SOLIDER's norms are controlled in the forward pass alone; leave with_cp out"
            )
        dim = self.backbone.feature_dim
        self.controller = SemanticController(self.backbone)
        self.part_classifier = nn.Sequential(
            nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 1 + body_parts)
        )
        self.body_parts, self.least_person, self.semantic_weight = body_parts, least_person, semantic_weight
        self.dino_share = dino_share
        self.weights = self.weighted(weights)
        self.add_teacher(ema_momentum, partial(TwoPartEMA, first_share=dino_share))

    def loss(self, crops: MultiCrop, **labels: Tensor) -> dict[str, Tensor]:
        """DINO's loss of all photos and the part loss of those whose semantic weight is 1; labels are not used."""
        self.update_teacher()
        views, images = crops.global_.shape[:2]
        chance = 0.5 if self.progress() > self.dino_share else 0.0
        semantic = uniform(1, images, device=crops.global_.device)[0] < chance
        hidden_part = uniform(views, images, device=crops.global_.device)
        student, teacher = [], []
        for w in (0, 1):
            chosen = semantic == bool(w)
            seen = [self._tokens(each[:, chosen], w) for each in (crops.global_, crops.local) if len(each)]
            student.append(torch.cat([tokens[:, :, 0] for tokens in seen]))
            with torch.no_grad():
                taught = self._tokens(crops.global_[:, chosen], w, taught=True)
            teacher.append(taught[:, :, 0])
        part_loss = self._part_loss(
            crops.global_[:, semantic], seen[0][:, :, 1:], taught[:, :, 1:], hidden_part[:, semantic]
        )
        return {
            "loss_instance": self.weights["instance"] * self.distil(torch.cat(student, 1), torch.cat(teacher, 1)),
            "loss_part": self.weights["part"] * part_loss / (views * images),
        }

    def _part_loss(self, images: Tensor, whole: Tensor, taught: Tensor, hidden_part: Tensor) -> Tensor:
        """Sum over views of their mean cross-entropy with and without the hidden part.

        Args:
            images: (V, B, 3, H, W).
            whole, taught: Their patches as student and teacher see them, (V, B, N, D).
            hidden_part: A number in [0, 1) for each, (V, B).
        """
        labels, person = clustering.body_parts(taught.flatten(0, 1), self.backbone.grid, self.body_parts)
        hidden = labels == 1 + (hidden_part.flatten() * self.body_parts).long()[:, None]
        masked = images.flatten(0, 1) * ~self._pixels(hidden)
        patches = torch.stack([self._tokens(masked[None], 1)[0, :, 1:], whole.flatten(0, 1)])
        logits = self.part_classifier(patches).float()  # (2, V * B, N, 1 + parts)
        entropy = F.cross_entropy(logits.flatten(0, 2), labels.repeat(2, 1).flatten(), reduction="none")
        return (entropy.view(logits.shape[:3]).mean((0, 2)) * (person > self.least_person)).sum()

    def _pixels(self, patches: Tensor) -> Tensor:
        """(B, N) of patches to (B, 1, H, W) of pixels."""
        side = self.backbone.patch_embed.projection.kernel_size[0]
        return patches.unflatten(1, self.backbone.grid).repeat_interleave(side, 1).repeat_interleave(side, 2)[:, None]

    def _tokens(self, views: Tensor, semantic_weight: float, taught: bool = False) -> Tensor:
        """All tokens of views (V, B, 3, H, W) under one semantic weight, the student's or the teacher's: (V, B, 1 + N, D)."""
        backbone, _, controller = self.teacher.module if taught else self._student()
        controlled = controller(backbone, semantic_weight)
        return functional_call(backbone, controlled, (views.flatten(0, 1),))[-1].unflatten(0, views.shape[:2])

    def exported(self) -> nn.Module:
        """The EMA backbone under `semantic_weight`."""
        backbone, _, controller = self.teacher.module
        plain = deepcopy(backbone)
        plain.load_state_dict(controller(backbone, self.semantic_weight), strict=False)
        return plain

    def features(self, images: Tensor) -> Tensor:
        """Class token of normalised images, (B, D)."""
        return self.exported()(images)[-1][:, 0]
