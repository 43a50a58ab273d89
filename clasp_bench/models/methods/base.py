"""What every pre-training method is: a backbone and a loss over the views of a batch."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.distributed import mean_over_processes
from clasp_bench.errors import ConfigError
from clasp_bench.registry import MODELS


class SelfSupervised(BaseModel):
    """Base of the pre-training methods. A method is one file: subclass, write `loss`, register in MODELS.

    Args:
        backbone: Config of the backbone that is trained and handed on.
        data_preprocessor: Config of the views, usually `MultiCropPreprocessor`.

    Attributes:
        display_name: How the method is called in tables.
        outside_supervision: What knowledge from outside the photos it uses ("none", "CLIP"), said in the record and in tables.
        factors: Factor of each loss, for methods that take ``weights`` in place of some.
        not_shared_out: What of it `fully_shard` cannot share out, and so refuses ``fsdp=True``; "" for nothing.
    """

    display_name: str
    outside_supervision = "none"
    factors: ClassVar[dict[str, float]] = {}
    not_shared_out = ""

    def __init__(self, backbone: dict, data_preprocessor: dict):
        super().__init__(data_preprocessor=data_preprocessor)
        self.backbone = MODELS.build(backbone)

    def forward(self, crops: MultiCrop | Tensor, mode: str = "loss", **labels: Tensor) -> dict[str, Tensor] | Tensor:
        """MMEngine's entry: with mode "loss" `loss` of views, with "tensor" `features` of images."""
        return self.features(crops) if mode == "tensor" else self.loss(crops, **labels)

    @abstractmethod
    def loss(self, crops: MultiCrop, **labels: Tensor) -> dict[str, Tensor]:
        """Losses (keys beginning with ``loss``; their sum is minimised) and figures to log, all scalars."""

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """MMEngine's sum of losses; what is logged is the mean over processes."""
        loss, figures = super().parse_losses(losses)
        means = mean_over_processes(torch.stack([value.detach().float() for value in figures.values()]))
        return loss, dict(zip(figures, means, strict=True))

    def weighted(self, weights: Mapping[str, float] | None) -> dict[str, float]:
        """The method's factors with those of a config in their place.

        Raises:
            ConfigError: a name that is none of the method's losses.
        """
        if unknown := sorted(set(weights or {}) - set(self.factors)):
            raise ConfigError(
                f"model.weights: {type(self).__name__} has no loss {', '.join(unknown)}; its losses are {', '.join(self.factors)}"
            )
        return self.factors | dict(weights or {})

    def exported(self) -> nn.Module:
        """The backbone that is handed on to downstream tasks."""
        return self.backbone

    def features(self, images: Tensor) -> Tensor:
        """Features (B, D) of normalised images (B, 3, H, W), by which a run's health is judged."""
        return self.exported()(images)[-1]


def encode(backbone: nn.Module, views: Tensor) -> Tensor:
    """All tokens of views (V, B, 3, H, W), class token first: (V, B, 1 + N, D). Experts, where there are some, see the instance prompt."""
    return backbone.tail(backbone.trunk(views.flatten(0, 1)), "instance").unflatten(0, views.shape[:2])
