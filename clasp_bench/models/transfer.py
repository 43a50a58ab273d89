"""The model of a downstream task: a backbone that may be frozen, and a head."""

from pathlib import Path

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel
from torch import Tensor

from clasp_bench.engine.contract import load_weights
from clasp_bench.registry import MODELS


@MODELS.register_module()
class TransferModel(BaseModel):
    """One feature vector a person, from the backbone to the head.

    Args:
        backbone: Config of a backbone whose last output is tokens (B, 1 + N, D), the class token first ("raw").
        head: Config of a head with ``loss(features, **targets)`` and ``predict(features, **targets)``.
        data_preprocessor: Config; see `CropPreprocessor`.
        pooling: "cls", the class token; "mean", of the patch tokens; or "cls+mean", both side by side (2 D wide).
        weights: Weights file for the backbone; None leaves it at its random initialisation.
        frozen: Train the head alone.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        data_preprocessor: dict,
        pooling: str = "cls",
        weights: str | Path | None = None,
        frozen: bool = False,
    ):
        super().__init__(data_preprocessor=data_preprocessor)
        self.backbone, self.head = MODELS.build(backbone), MODELS.build(head)
        self.pooling, self.weights, self.frozen = pooling, weights, frozen
        self.backbone.requires_grad_(not frozen)

    def init_weights(self) -> None:
        """Initialise at random, then load the backbone's weights if there are any.

        Raises:
            ContractError: the weights are not this backbone's.
        """
        super().init_weights()
        if self.weights is not None:
            print_log(f"backbone from {self.weights}: {load_weights(self.backbone, self.weights)}", logger="current")

    def train(self, mode: bool = True) -> "TransferModel":
        """Training mode, but a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def features(self, images: Tensor) -> Tensor:
        """(B, D), or (B, 2 D) with "cls+mean", of normalised images (B, 3, H, W)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            tokens = self.backbone(images)[-1]
        pooled = {"cls": tokens[:, 0], "mean": tokens[:, 1:].mean(1)}
        return torch.cat([pooled[part] for part in self.pooling.split("+")], dim=1)

    def forward(self, inputs: Tensor, mode: str = "tensor", **targets) -> Tensor | dict | list:
        """MMEngine's contract: features for "tensor", losses for "loss", a list of dicts for "predict"."""
        features = self.features(inputs)
        if mode == "tensor":
            return features
        return self.head.loss(features, **targets) if mode == "loss" else self.head.predict(features, **targets)
