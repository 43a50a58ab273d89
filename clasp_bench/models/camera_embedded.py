"""A transfer model that is told which camera took a photo."""

import torch
from torch import Tensor, nn

from clasp_bench.models.transfer import TransferModel
from clasp_bench.registry import MODELS


@MODELS.register_module()
class CameraEmbedded(TransferModel):
    """A learnt vector of its camera is added to every token of a photo, with the position embedding.

    Source: He et al., "TransReID: Transformer-based Object Re-Identification", ICCV 2021, section 3.3 (SIE), for cameras. Where the camera is not
    known the mean of the vectors stands in.

    Asked for by the config, ``model.update(type=CameraEmbedded, cameras=6)``, and named in the protocol: a rival without it knows less of the photos.

    Args:
        cameras: Their number; they count from 1.
        weight: Of the vector, lambda of the paper.
        **kwargs: See `TransferModel`.
    """

    def __init__(self, cameras: int, weight: float = 3.0, **kwargs):
        super().__init__(**kwargs)
        self.weight = weight
        self.cameras = nn.Parameter(torch.empty(cameras, self.backbone.embed_dims))
        nn.init.trunc_normal_(self.cameras, std=0.02)
        self.backbone.drop_after_pos.register_forward_pre_hook(self._add_camera)

    def forward(self, inputs: Tensor, mode: str = "tensor", **targets) -> Tensor | dict | list:
        """As its base; ``camera_id`` (B,) int64 among the targets says which camera, 0 one that is not known."""
        self._camera_id = targets.get("camera_id", inputs.new_zeros(len(inputs), dtype=torch.int64))
        return super().forward(inputs, mode, **targets)

    def _add_camera(self, _: nn.Module, tokens: tuple[Tensor]) -> tuple[Tensor]:
        known = torch.cat([self.cameras.mean(0, keepdim=True), self.cameras])
        return (tokens[0] + self.weight * known[self._camera_id][:, None],)
