"""The model of a task on one feature vector a person: a backbone and a head. Other tasks use OpenMMLab's models."""

import torch
from mmengine.model import BaseModel
from torch import Tensor

from clasp_bench.registry import MODELS


@MODELS.register_module()
class TransferModel(BaseModel):
    """One feature vector a person, from the backbone to the head.

    Args:
        backbone: Config of a backbone whose last output is tokens (B, 1 + N, D), the class token first ("raw").
        head: Config of a head with ``loss(features, **targets)`` and ``predict(features, **targets)``; None for a model that gives features alone.
        data_preprocessor: Config; see `CropPreprocessor`.
        pooling: "cls", the class token; "mean", of the patch tokens; or "cls+mean", both side by side (2 D wide).
    """

    def __init__(self, backbone: dict, head: dict | None, data_preprocessor: dict, pooling: str = "cls"):
        super().__init__(data_preprocessor=data_preprocessor)
        self.backbone, self.head = MODELS.build(backbone), head and MODELS.build(head)
        self.pooling = pooling

    def features(self, images: Tensor) -> Tensor:
        """(B, D), or (B, 2 D) with "cls+mean", of normalised images (B, 3, H, W)."""
        tokens = self.backbone(images)[-1]
        pooled = {"cls": tokens[:, 0], "mean": tokens[:, 1:].mean(1)}
        return torch.cat([pooled[part] for part in self.pooling.split("+")], dim=1)

    def forward(self, inputs: Tensor, mode: str = "tensor", **targets) -> Tensor | dict | list:
        """MMEngine's contract: features for "tensor", losses for "loss", a list of dicts for "predict"."""
        features = self.features(inputs)
        if mode == "tensor":
            return features
        return self.head.loss(features, **targets) if mode == "loss" else self.head.predict(features, **targets)
