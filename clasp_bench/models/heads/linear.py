"""The linear head of dense tasks: what a single layer reads off frozen patches."""

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from clasp_bench.registry import MODELS


@MODELS.register_module()
class LinearHead(BaseDecodeHead):
    """Normalisation without parameters and one 1x1 convolution on the last map: DINOv2's linear segmentation.

    Source: Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024, section 7.4.

    Args:
        in_channels: Width D of the backbone's map.
        **kwargs: As in mmseg: ``num_classes``, ``loss_decode``.

    Shapes: the last of the given maps, (B, D, h, w), to logits (B, num_classes, h, w).
    """

    def __init__(self, in_channels: int, **kwargs):
        super().__init__(in_channels=in_channels, channels=in_channels, in_index=-1, dropout_ratio=0.0, **kwargs)
        self.norm = nn.BatchNorm2d(in_channels, affine=False)

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        return self.cls_seg(self.norm(self._transform_inputs(inputs)))
