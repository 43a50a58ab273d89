"""A feature pyramid from the one map of a plain Vision Transformer."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmpretrain.models.utils import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.registry import MODELS

SCALES = (4.0, 2.0, 1.0, 0.5)


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Maps at 4, 2, 1 and 1/2 times the last map's size and, by subsampling, at halves of that.

    Source: Li et al., "Exploring Plain Vision Transformer Backbones for Object Detection" (ViTDet), ECCV 2022, section 3: strided
    (de)convolutions of the last map, then a 1x1 and a 3x3 convolution with layer norm at each scale.

    Args:
        in_channels: Width D of the backbone's map.
        out_channels: Width of the pyramid's maps.
        num_outs: Number of maps, 4 or more.

    Shapes: the last of the given maps, (B, D, h, w), to ``num_outs`` maps (B, out_channels, ., .), the largest first.
    """

    def __init__(self, in_channels: int, out_channels: int, num_outs: int = 5):
        super().__init__()
        self.subsampled = num_outs - len(SCALES)
        norm = dict(type=LayerNorm2d)
        half, quarter = in_channels // 2, in_channels // 4
        resized = (
            (
                nn.Sequential(
                    nn.ConvTranspose2d(in_channels, half, 2, stride=2),
                    LayerNorm2d(half),
                    nn.GELU(),
                    nn.ConvTranspose2d(half, quarter, 2, stride=2),
                ),
                quarter,
            ),
            (nn.ConvTranspose2d(in_channels, half, 2, stride=2), half),
            (nn.Identity(), in_channels),
            (nn.MaxPool2d(2), in_channels),
        )
        self.levels = nn.ModuleList(
            nn.Sequential(
                resize,
                ConvModule(width, out_channels, 1, norm_cfg=norm, act_cfg=None),
                ConvModule(out_channels, out_channels, 3, padding=1, norm_cfg=norm, act_cfg=None),
            )
            for resize, width in resized
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        pyramid = [level(maps[-1]) for level in self.levels]
        for _ in range(self.subsampled):
            pyramid.append(F.max_pool2d(pyramid[-1], 1, stride=2))
        return tuple(pyramid)
