"""SynthCLIP's convolutional image tower, a model of timm's registry, so that open_clip builds and loads it as any other.

Photos of people are upright, so what is seen in a row tells what it is. A ViT learns that slowly; here each row of the coarsest map has its
own weights in the image feature.
"""

import copy

import torch
import torch.nn.functional as F
from timm.models import register_model
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

GRID = (16, 8)  # rows and columns of patches at the size it is trained at
WIDTHS = (24, 48, 96, 192)  # at a half, a quarter, an eighth and a sixteenth of the photo's size


class ConvTower(nn.Module):
    """A small residual network whose patches are 8 x 8 pixels.

    Args:
        dim: D, the joint width of images and texts.

    Shapes: images (B, 3, height, width), normalised, sides multiples of 8, to image features (B, D).
    """

    patch_size = (8, 8)

    def __init__(self, dim: int):
        super().__init__()
        half, quarter, eighth, sixteenth = WIDTHS
        rows = GRID[0] // 2
        self.stem = nn.Sequential(_convolution(3, half, 2), _convolution(half, quarter, 2), Residual(quarter))
        self.reduce = _convolution(quarter, eighth, 2)
        self.position = nn.Parameter(torch.zeros(1, eighth, *GRID))
        self.fine = Residual(eighth)
        self.coarse = nn.Sequential(_convolution(eighth, sixteenth, 2), Residual(sixteenth))
        self.rows = nn.AdaptiveAvgPool2d((rows, 1))
        self.image_head = nn.Linear(rows * sixteenth, dim)
        self.patch_head = nn.Conv2d(eighth, dim, 1)
        self.context_head = nn.Conv2d(sixteenth, dim, 1, bias=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return self.dense(images)[0]

    def dense(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Image features (B, D) and patch features (B, height / 8, width / 8, D)."""
        x = self.reduce(self.stem(images.contiguous(memory_format=torch.channels_last)))
        fine = self.fine(x + self._position(x.shape[2:]))
        coarse = self.coarse(fine)
        context = F.interpolate(self.context_head(coarse), size=x.shape[2:], mode="bilinear", align_corners=False)
        patches = self.patch_head(fine) + context
        return self.image_head(self.rows(coarse).flatten(1)), patches.permute(0, 2, 3, 1)

    def folded(self) -> "ConvTower":
        """A copy for evaluation, in which batch normalisation is part of the convolutions: the same features in less time."""
        tower = copy.deepcopy(self).eval()
        for layer in tower.modules():
            if isinstance(layer, nn.Sequential) and len(layer) > 1 and isinstance(layer[1], nn.BatchNorm2d):
                layer[0], layer[1] = fuse_conv_bn_eval(layer[0], layer[1]), nn.Identity()
        return tower

    def _position(self, grid: tuple[int, int]) -> Tensor:
        if grid == GRID:
            return self.position
        return F.interpolate(self.position, size=grid, mode="bicubic", antialias=True, align_corners=False)


class Residual(nn.Module):
    """Two convolutions beside the identity, which they begin as. He et al., CVPR 2016; Goyal et al., 2017, section 5.1."""

    def __init__(self, width: int):
        super().__init__()
        self.first = _convolution(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        nn.init.zeros_(self.second[1].weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


def _convolution(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outside), nn.ReLU())


@register_model
def synthclip_convnet(pretrained: bool = False, num_classes: int = 128, **timm_ignores: object) -> ConvTower:
    """What timm calls with ``num_classes`` for the joint width; weights come with the folder, never from a hub."""
    return ConvTower(num_classes)
