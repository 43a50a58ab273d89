"""CLASP: part- and attribute-level pseudo-labels from CLIP and self-distillation train one backbone with prompt-controlled experts."""

from collections.abc import Sequence

import torch
from mmpretrain.models.utils import CosineEMA
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.models.heads.projection import Center, ProjectionHead, cross_view_entropy
from clasp_bench.models.methods.base import SelfSupervised
from clasp_bench.registry import MODELS


@MODELS.register_module()
class CLASP(SelfSupervised):
    """CLIP-guided adaptable self-supervised learning (reconstruction).

    Source: Luo et al., "CLIP-Guided Adaptable Self-Supervised Learning for Human-Centric Visual Tasks", arXiv 2601.13133. Its abstract gives
    the three ideas (labels of parts and attributes from CLIP, a prompt-controlled mixture of experts, both label levels at once);
    architecture, losses and schedule are our reconstruction. The blocks before the experts run once for a view, the tail once a prompt:

    * instance prompt: self-distillation over all views (DINO, eq. 1-2 and section 3.1);
    * part prompt: cross-entropy of each patch of the global views to its part label, weighted by the label's confidence;
    * attribute prompt: cross-entropy of the class token of the global views to the soft labels, sharpened, with a softmax in each attribute group,
      weighted by how far the label's confidence lies above chance.

    Args:
        backbone: Config of a `CLASPViT` with `moe`.
        data_preprocessor: Config of `MultiCropPreprocessor`.
        num_parts: Number of part classes, background included.
        attribute_groups: Number of classes in each attribute group, in the store's order.
        projection: Arguments of `ProjectionHead`: prototypes, hidden, bottleneck.
        student_temperature, teacher_temperature, center_momentum: As in DINO.
        ema_momentum: Weight of the old teacher at the first step; it rises to 1 along a cosine.
        label_temperature: Soft labels are raised to the power 1 / this and normalised (sharpening; MixMatch, eq. 7); 1 leaves them as they are.
        weights: Factor of each loss: instance, part, attribute, balance, z. A loss of weight 0 is not computed.
    """

    display_name = "CLASP (reconstruction)"
    outside_supervision = "CLIP"

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
        ema_momentum: float = 0.996,
        label_temperature: float = 0.5,
        weights: dict[str, float] | None = None,
    ):
        super().__init__(backbone, data_preprocessor)
        dim = self.backbone.embed_dims
        self.projection = ProjectionHead(dim, **projection)
        self.part_classifier = nn.Linear(dim, num_parts)
        self.attribute_classifier = nn.Linear(dim, sum(attribute_groups))
        # mmpretrain's momentum is the weight of the new
        self.teacher = CosineEMA(self._student(), momentum=1 - ema_momentum)
        self.center = Center(projection["prototypes"], teacher_temperature, center_momentum)
        self.attribute_groups = list(attribute_groups)
        self.student_temperature, self.label_temperature = student_temperature, label_temperature
        self.weights = dict(instance=1.0, part=1.0, attribute=1.0, balance=0.01, z=0.001) | dict(weights or {})

    def loss(
        self, crops: MultiCrop, attributes: Tensor | None = None, attribute_confidence: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Args: the views with their part grids; attributes (B, A) soft labels; attribute_confidence (B, groups). Returns: see the class."""
        self.teacher.update_parameters(self._student())  # its first call copies the student
        views = len(crops.global_)
        global_tokens = self.backbone.trunk(crops.global_.flatten(0, 1))
        losses, routing = {}, []
        if self.weights["instance"]:
            losses |= self._instance_loss(crops, global_tokens, routing)
        if self.weights["part"]:
            tokens = self._tail(global_tokens, "part", routing)
            losses |= self._part_loss(tokens[:, 1:], crops.parts.flatten(0, 1), crops.part_confidence.flatten(0, 1))
        if self.weights["attribute"]:
            tokens = self._tail(global_tokens, "attribute", routing)
            losses |= self._attribute_loss(
                tokens[:, 0], attributes.repeat(views, 1), attribute_confidence.repeat(views, 1)
            )
        for name in ("balance", "z"):
            if routing and self.weights[name]:
                losses[f"loss_{name}"] = (
                    self.weights[name] * torch.stack([getattr(one, name) for one in routing]).mean()
                )
        if routing:
            losses["expert_load_max"] = torch.stack([one.load.max() for one in routing]).mean()
        return losses

    def _tail(self, tokens: Tensor, prompt: str, routing: list) -> Tensor:
        out = self.backbone.tail(tokens, prompt)
        routing.extend(self.backbone.routing())
        return out

    def _instance_loss(self, crops: MultiCrop, global_tokens: Tensor, routing: list) -> dict[str, Tensor]:
        views = len(crops.global_)
        features = [self._tail(global_tokens, "instance", routing)[:, 0].unflatten(0, (views, -1))]
        if len(crops.local):
            local_tokens = self.backbone.trunk(crops.local.flatten(0, 1))
            features.append(self._tail(local_tokens, "instance", routing)[:, 0].unflatten(0, (len(crops.local), -1)))
        student = self.projection(torch.cat(features)).float()
        with torch.no_grad():
            backbone, projection = self.teacher.module
            seen = backbone.tail(backbone.trunk(crops.global_.flatten(0, 1)), "instance")[:, 0]
            target = self.center(projection(seen).unflatten(0, (views, -1)))
        return {
            "loss_instance": self.weights["instance"] * cross_view_entropy(target, student / self.student_temperature),
            "feature_std": F.normalize(seen.float(), dim=-1).std(0).mean() * seen.shape[-1] ** 0.5,
        }

    def _part_loss(self, patches: Tensor, parts: Tensor, confidence: Tensor) -> dict[str, Tensor]:
        """Patches (V, N, D), parts and confidence (V, rows, columns) with rows * columns = N."""
        logits = self.part_classifier(patches).float().flatten(0, 1)
        labels, weight = parts.flatten(), confidence.flatten()
        entropy = F.cross_entropy(logits, labels, reduction="none")
        agreement = ((logits.argmax(-1) == labels) * weight).sum() / weight.sum().clamp(min=1e-6)
        return {
            "loss_part": self.weights["part"] * (weight * entropy).sum() / weight.sum().clamp(min=1e-6),
            "part_agreement": agreement,
        }

    def _attribute_loss(self, features: Tensor, soft_labels: Tensor, confidence: Tensor) -> dict[str, Tensor]:
        """Features (V, D), soft labels (V, A), confidence (V, groups) in [1 / classes, 1]."""
        logits = self.attribute_classifier(features).float().split(self.attribute_groups, dim=1)
        labels = soft_labels.split(self.attribute_groups, dim=1)
        chance = 1 / confidence.new_tensor(self.attribute_groups)
        weight = ((confidence - chance) / (1 - chance)).clamp(min=0)
        entropy = torch.stack(
            [F.cross_entropy(*pair, reduction="none") for pair in zip(logits, map(self._sharpen, labels), strict=True)],
            1,
        )
        mean = (weight * entropy).sum() / weight.sum().clamp(min=1e-6)
        right = torch.stack([one.argmax(1) == wanted.argmax(1) for one, wanted in zip(logits, labels, strict=True)], 1)
        agreement = (weight * right).sum() / weight.sum().clamp(min=1e-6)
        return {"loss_attribute": self.weights["attribute"] * mean, "attribute_agreement": agreement}

    def _sharpen(self, soft_labels: Tensor) -> Tensor:
        sharper = soft_labels ** (1 / self.label_temperature)
        return sharper / sharper.sum(1, keepdim=True)

    def _student(self) -> nn.ModuleList:
        return nn.ModuleList([self.backbone, self.projection])

    def exported(self) -> nn.Module:
        """The EMA backbone, which is the better one (DINO, section 5.1)."""
        return self.teacher.module[0]
