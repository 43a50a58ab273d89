"""Augmentations of a whole batch at once, on its device, drawn from torch's global generator.

Every image has its own draw. Data workers hold no randomness, so a run depends on the seed of each step alone.
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from clasp_bench.data.multicrop import IMAGENET_MEAN, IMAGENET_STD
from clasp_bench.distributed import global_size, own_rows
from clasp_bench.registry import MODELS


def random_flip(images: Tensor, probability: float = 0.5) -> Tensor:
    """Mirror each of `images` (B, C, H, W) left to right with `probability`."""
    flip = own_rows(torch.rand(global_size(len(images)), device=images.device)) < probability
    return torch.where(flip[:, None, None, None], images.flip(-1), images)


def random_shift(images: Tensor, pad: int) -> Tensor:
    """Pad `images` (B, C, H, W) with `pad` zero pixels on each side and cut the old size out at a random place."""
    count, _, height, width = images.shape
    device = images.device
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    top, left = own_rows(torch.randint(0, 2 * pad + 1, (2, global_size(count), 1), device=device), dim=1)  # each (B, 1)
    rows = (top + torch.arange(height, device=device))[:, None, :, None]  # (B, 1, H, 1)
    columns = (left + torch.arange(width, device=device))[:, None, None, :]  # (B, 1, 1, W)
    image = torch.arange(count, device=device)[:, None, None, None]
    channel = torch.arange(images.shape[1], device=device)[None, :, None, None]
    return padded[image, channel, rows, columns]


def random_erase(
    images: Tensor,
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    ratio: tuple[float, float] = (0.3, 3.3),
) -> Tensor:
    """Set one random box of each of `images` (B, C, H, W) to zero (the mean colour, if normalised) with `probability`.

    Source: Zhong et al., "Random Erasing Data Augmentation", AAAI 2020, algorithm 1. Changed: a box that is larger than the image
    in one direction is cut to it instead of being drawn again.

    Args:
        area: Least and greatest share of the image that a box covers.
        ratio: Least and greatest height over width of a box; drawn evenly on a log scale.
    """
    count, _, height, width = images.shape
    device = images.device
    draw = own_rows(torch.rand(5, global_size(count), 1, device=device), dim=1)
    box_area = (area[0] + (area[1] - area[0]) * draw[0]) * height * width
    box_ratio = ratio[0] * (ratio[1] / ratio[0]) ** draw[1]
    box_height = (box_area * box_ratio).sqrt().clamp(max=height)
    box_width = (box_area / box_ratio).sqrt().clamp(max=width)
    top, left = draw[2] * (height - box_height), draw[3] * (width - box_width)
    rows, columns = torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5
    in_rows = (rows >= top) & (rows < top + box_height)  # (B, H)
    in_columns = (columns >= left) & (columns < left + box_width)  # (B, W)
    erased = (in_rows[:, :, None] & in_columns[:, None, :] & (draw[4] < probability)[:, :, None])[:, None]
    return images.masked_fill(erased, 0)


@MODELS.register_module()
class CropPreprocessor(BaseDataPreprocessor):
    """Normalises a batch of person crops on the device and, in training, augments it. What is 0 or 0.0 is left out.

    Args:
        flip: Probability of mirroring.
        shift: Pixels of padding for a random shift.
        erase: Probability of erasing a box.
        mean, std: Of the three channels, on the scale 0 to 255.
    """

    def __init__(
        self,
        flip: float = 0.0,
        shift: int = 0,
        erase: float = 0.0,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ):
        super().__init__()
        self.flip, self.shift, self.erase = flip, shift, erase
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Turn ``inputs`` (B, 3, H, W) uint8 into normalised float; the labels pass through."""
        data = self.cast_data(data)
        images = data["inputs"]
        if training and self.shift:
            images = random_shift(images, self.shift)
        images = (images - self.mean) / self.std
        if training and self.flip:
            images = random_flip(images, self.flip)
        if training and self.erase:
            images = random_erase(images, self.erase)
        return {**data, "inputs": images}
