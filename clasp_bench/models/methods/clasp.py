"""CLASP: part- and attribute-level pseudo-labels from CLIP and self-distillation train one backbone with prompt-controlled experts."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.distributed import global_weight
from clasp_bench.models.methods.taught import SelfDistilled
from clasp_bench.models.moe import Routing
from clasp_bench.registry import MODELS


@MODELS.register_module()
class CLASP(SelfDistilled):
    """CLIP-guided adaptable self-supervised learning (reconstruction).

    Source: Luo et al., "CLIP-Guided Adaptable Self-Supervised Learning for Human-Centric Visual Tasks", arXiv 2601.13133. Its abstract gives
    the three ideas (labels of parts and attributes from CLIP, a prompt-controlled mixture of experts, both label levels at once);
    architecture, losses and schedule are our reconstruction. The blocks before the experts run once for a view, the tail once a prompt:

    * instance prompt: self-distillation over all views (DINO, eq. 1-2 and section 3.1);
    * part prompt: cross-entropy of each patch of the global views to its part label, weighted by the label's confidence;
    * attribute prompt: cross-entropy of the class token of the global views to the soft labels, sharpened, with a softmax in each attribute group,
      weighted by how far the label's confidence lies above chance.

    Args:
        backbone: Config of a `CLASPViT` or `CLASPSwin` with `moe`.
        data_preprocessor: Config of `MultiCropPreprocessor`.
        num_parts: Number of part classes, background included.
        attribute_groups: Number of classes in each attribute group, in the store's order.
        projection: Arguments of `ProjectionHead`: prototypes, hidden, bottleneck.
        student_temperature, teacher_temperature, center_momentum, teacher_warmup: As in `SelfDistilled`.
        ema_momentum: Weight of the old teacher at the first step; it rises to 1 along a cosine.
        label_temperature: Soft labels are raised to the power 1 / this and normalised (sharpening; MixMatch, eq. 7); 1 leaves them as they are.
        refinement: None learns from the store's labels throughout. ``dict(start=STEP, share=S)``: from that step on, a share S in [0, 1] of each
            label is what the EMA model says of the same view, which has seen more photos than the CLIP that labelled this one.
        weights: Factor of each loss: instance, part, attribute, balance, z. A loss of weight 0 is not computed,
            its head is not trained and its prompt is zero.
        prompts: False: all prompts are zero and stay so, experts are chosen by the token alone.

    What is left out (a loss, the prompts, the experts where `backbone` has none) is said in `display_name`.
    """

    followed = ("backbone", "projection", "part_classifier", "attribute_classifier")
    display_name = "CLASP (reconstruction)"
    outside_supervision = "CLIP"
    factors: ClassVar = dict(instance=1.0, part=1.0, attribute=1.0, balance=0.01, z=0.001)

    def __init__(
        self,
        backbone: dict,
        data_preprocessor: dict,
        num_parts: int,
        attribute_groups: Sequence[int],
        projection: dict,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        center_momentum: float = 0.9,
        teacher_warmup: tuple[float, int] | None = None,
        ema_momentum: float = 0.996,
        label_temperature: float = 0.5,
        refinement: dict[str, float] | None = None,
        weights: dict[str, float] | None = None,
        prompts: bool = True,
    ):
        distillation = (projection, student_temperature, teacher_temperature, center_momentum, teacher_warmup)
        super().__init__(backbone, data_preprocessor, *distillation)
        dim = self.backbone.feature_dim
        self.part_classifier = nn.Linear(dim, num_parts)
        self.attribute_classifier = nn.Linear(dim, sum(attribute_groups))
        self.attribute_groups, self.label_temperature = list(attribute_groups), label_temperature
        if refinement is not None and not (refinement.keys() == {"start", "share"} and 0 <= refinement["share"] <= 1):
            raise ValueError(f"refinement={dict(refinement)}: give dict(start=STEP, share=S), S from 0 to 1, or None")
        self.refinement = refinement
        self.weights = self.weighted(weights)
        self._leave_out(prompts)
        self.add_teacher(ema_momentum)

    def _leave_out(self, prompts: bool) -> None:
        """Freeze what no loss reaches (a head without a loss, a prompt without one), and say in the name what is left out."""
        heads = dict(instance=self.projection, part=self.part_classifier, attribute=self.attribute_classifier)
        for loss, head in heads.items():
            head.requires_grad_(bool(self.weights[loss]))
            if self.backbone.moe_ffns() and not (prompts and self.weights[loss]):
                self.backbone.prompts[loss].requires_grad_(False).zero_()
        told = dict(instance="self-distillation", part="parts", attribute="attributes")
        missing = [name for loss, name in told.items() if not self.weights[loss]]
        missing += [] if self.backbone.moe_ffns() else ["experts"]
        missing += [] if prompts else ["prompts"]
        if missing:
            self.display_name = f"CLASP without {' and '.join(missing)} (reconstruction)"

    def exported(self) -> nn.Module:
        """The backbone that CLIP's labels train: the EMA one, which self-distillation alone needs, lags by half of a short training."""
        return self.backbone

    def loss(
        self, crops: MultiCrop, attributes: Tensor | None = None, attribute_confidence: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Args: the views with their part grids; attributes (B, A) soft labels; attribute_confidence (B, groups). Returns: see the class."""
        self.update_teacher()
        views = len(crops.global_)
        images = crops.global_.flatten(0, 1)
        tokens = self.backbone.trunk(images)
        refines = self.refinement is not None and self.teacher.steps > self.refinement["start"]
        with torch.no_grad():
            taught = self.teacher.module[0].trunk(images) if self.weights["instance"] or refines else None
        losses: dict[str, Tensor] = {}
        routing: list[tuple[str, Routing]] = []  # prompt, and what one router did under it
        if self.weights["instance"]:
            losses |= self._instance_loss(crops, tokens, taught, routing)
        if self.weights["part"]:
            labels = F.one_hot(crops.parts.flatten(), self.part_classifier.out_features).float()
            if refines:
                labels = labels.lerp(
                    self._taught(taught, "part")[:, 1:].flatten(0, 1).softmax(-1), self.refinement["share"]
                )
            patches = self._tail(tokens, "part", routing)[:, 1:]
            losses |= self._part_loss(patches.flatten(0, 1), labels, crops.part_confidence.flatten())
        if self.weights["attribute"]:
            labels = [self._sharpen(group) for group in attributes.repeat(views, 1).split(self.attribute_groups, 1)]
            if refines:
                own = self._taught(taught, "attribute")[:, 0].split(self.attribute_groups, 1)
                labels = [
                    one.lerp(said.softmax(1), self.refinement["share"]) for one, said in zip(labels, own, strict=True)
                ]
            features = self._tail(tokens, "attribute", routing)[:, 0]
            losses |= self._attribute_loss(features, labels, attribute_confidence.repeat(views, 1))
        for name in ("balance", "z"):
            if routing and self.weights[name]:
                losses[f"loss_{name}"] = (
                    self.weights[name] * torch.stack([getattr(one, name) for _, one in routing]).mean()
                )
        return losses | _expert_figures(routing)

    def _tail(self, tokens: Tensor, prompt: str, routing: list) -> Tensor:
        out = self.backbone.tail(tokens, prompt)
        routing.extend((prompt, one) for one in self.backbone.routing())
        return out

    @torch.no_grad()
    def _taught(self, tokens: Tensor, prompt: str) -> Tensor:
        """Logits of the EMA model under `prompt`, "part" or "attribute": (V, 1 + N, classes) float32."""
        backbone, _, part_classifier, attribute_classifier = self.teacher.module
        classifier = part_classifier if prompt == "part" else attribute_classifier
        return classifier(backbone.tail(tokens, prompt)).float()

    def _instance_loss(self, crops: MultiCrop, tokens: Tensor, taught: Tensor, routing: list) -> dict[str, Tensor]:
        """Tokens of the global views after the student's trunk and the teacher's, (V, 1 + N, D) each."""
        views = len(crops.global_)
        features = [self._tail(tokens, "instance", routing)[:, 0].unflatten(0, (views, -1))]
        if len(crops.local):
            local_tokens = self.backbone.trunk(crops.local.flatten(0, 1))
            features.append(self._tail(local_tokens, "instance", routing)[:, 0].unflatten(0, (len(crops.local), -1)))
        with torch.no_grad():
            seen = self.teacher.module[0].tail(taught, "instance")[:, 0]
        loss = self.distil(torch.cat(features), seen.unflatten(0, (views, -1)))
        return {"loss_instance": self.weights["instance"] * loss}

    def _part_loss(self, patches: Tensor, labels: Tensor, confidence: Tensor) -> dict[str, Tensor]:
        """Patches (P, D), their label distributions (P, parts) and confidence (P,)."""
        logits = self.part_classifier(patches).float()
        entropy = F.cross_entropy(logits, labels, reduction="none")
        total = global_weight(confidence)
        right = logits.argmax(-1) == labels.argmax(-1)
        return {
            "loss_part": self.weights["part"] * (confidence * entropy).sum() / total,
            "part_agreement": (right * confidence).sum() / total,
        }

    def _attribute_loss(self, features: Tensor, labels: list[Tensor], confidence: Tensor) -> dict[str, Tensor]:
        """Features (V, D), label distributions (V, classes) of each group, confidence (V, groups) in [1 / classes, 1]."""
        logits = self.attribute_classifier(features).float().split(self.attribute_groups, dim=1)
        chance = 1 / confidence.new_tensor(self.attribute_groups)
        weight = ((confidence - chance) / (1 - chance)).clamp(min=0)
        pairs = list(zip(logits, labels, strict=True))
        entropy = torch.stack([F.cross_entropy(*pair, reduction="none") for pair in pairs], 1)
        right = torch.stack([one.argmax(1) == wanted.argmax(1) for one, wanted in pairs], 1)
        total = global_weight(weight)
        return {
            "loss_attribute": self.weights["attribute"] * (weight * entropy).sum() / total,
            "attribute_agreement": (weight * right).sum() / total,
        }

    def _sharpen(self, soft_labels: Tensor) -> Tensor:
        """Distributions from soft labels; all zeros, which stand for a photo that could not be labelled, stay zeros."""
        sharper = soft_labels ** (1 / self.label_temperature)
        return sharper / sharper.sum(1, keepdim=True).clamp(min=torch.finfo(sharper.dtype).tiny)


def _expert_figures(routing: list[tuple[str, Routing]]) -> dict[str, Tensor]:
    """For each prompt the share of assignments that each expert got, a mean over layers and views, and the entropy of these shares from 0 to 1."""
    figures = {}
    for prompt in dict.fromkeys(prompt for prompt, _ in routing):
        load = torch.stack([one.load for name, one in routing if name == prompt]).mean(0)
        figures[f"expert_entropy/{prompt}"] = (
            torch.special.entr(load).sum() / math.log(len(load)) if len(load) > 1 else load[0]
        )
        figures |= {f"expert_load/{prompt}_{expert}": share for expert, share in enumerate(load)}
    return figures
