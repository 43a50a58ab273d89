"""Multi-crop views of a batch, cut and coloured on the device, with the teacher's label grids cut along.

Every crop is an affine map of the canvas, one for each image, so that one call cuts the pixels and the same map cuts the label grid. Random numbers
come from torch's global generator, which the runner seeds anew at every step: data workers hold no randomness and a resumed run sees the same crops.
They are drawn for the whole global batch, so that an image's crops do not depend on how many processes share the work.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor
from torch.nn import functional as F

from clasp_bench.data.photos import UNREADABLE
from clasp_bench.distributed import global_size, own_rows
from clasp_bench.registry import MODELS

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


@dataclass
class MultiCrop:
    """Views of B images.

    Attributes:
        global_: (G, B, 3, H, W) normalised.
        local: (L, B, 3, h, w) normalised; L may be 0.
        parts: (G, B, rows, columns) int64 part labels of the global crops' patches, or None without labels.
        part_confidence: (G, B, rows, columns) in [0, 1], or None.
        maps: (G, B, 2, 3), where each global crop lies in its photo; see `crop_maps`.
    """

    global_: Tensor
    local: Tensor
    parts: Tensor | None = None
    part_confidence: Tensor | None = None
    maps: Tensor | None = None


@dataclass
class CropPlan:
    """How one kind of crop is cut: `count` crops of `size` (height, width) that cover a share `scale` of the canvas."""

    count: int
    size: tuple[int, int]
    scale: tuple[float, float]


def crop_maps(count: int, scale: tuple[float, float], flip: float, device: torch.device | None = None) -> Tensor:
    """Random affine maps (count, 2, 3) from a crop's coordinates in [-1, 1] to the canvas's, for `F.affine_grid`.

    The crop lies within the canvas. The share of its area is drawn evenly from `scale`, and a log-uniform factor in [3/4, 4/3] by which its sides,
    relative to the canvas's, differ; a side that would be longer than the canvas's is as long, so that near a share of 1 crops cover less than was
    drawn (0.87 to 1 of the canvas at a `scale` of (1, 1)). With probability `flip` it is mirrored.
    """
    area, stretch, x, y, mirror = own_rows(torch.rand(5, global_size(count), device=device), dim=1)
    area = scale[0] + (scale[1] - scale[0]) * area
    stretch = torch.exp((2 * stretch - 1) * math.log(4 / 3)).sqrt()
    width, height = (area.sqrt() * stretch).clamp(max=1), (area.sqrt() / stretch).clamp(max=1)
    maps = torch.zeros(count, 2, 3, device=device)
    maps[:, 0, 0] = torch.where(mirror < flip, -width, width)
    maps[:, 1, 1] = height
    maps[:, 0, 2] = (2 * x - 1) * (1 - width)
    maps[:, 1, 2] = (2 * y - 1) * (1 - height)
    return maps


def cut(canvas: Tensor, maps: Tensor, size: tuple[int, int], mode: str = "bilinear") -> Tensor:
    """Cut one crop of `size` from each canvas (B, C, H, W) along its map (B, 2, 3): (B, C, *size)."""
    grid = F.affine_grid(maps, [len(canvas), canvas.shape[1], *size], align_corners=False)
    return F.grid_sample(canvas, grid, mode=mode, padding_mode="border", align_corners=False)


def _uniform(views: int, count: int, rows: int = 1, device: torch.device | None = None) -> Tensor:
    """Numbers in [0, 1) for each of `count` images, which are `views` views of each image of the batch one after another: (rows, count)."""
    draw = torch.rand(rows, views, global_size(count // views), device=device)
    return own_rows(draw, dim=2).flatten(1)


def jitter(images: Tensor, strength: Sequence[float], probability: float, gray: float, views: int = 1) -> Tensor:
    """Random brightness, contrast, saturation and hue for each image, with probability `probability`; then grey with probability `gray`.

    Args:
        images: (B, 3, H, W) in [0, 1].
        strength: Largest relative change of brightness, contrast and saturation, and largest turn of the hue as a share of the circle.
        views: `images` are so many views of a batch, one view of all after another.
    Returns:
        (B, 3, H, W) in [0, 1].
    """
    count, device = len(images), images.device
    brightness, contrast, saturation, hue = strength
    apply = _uniform(views, count, device=device)[0] < probability
    spread = (2 * _uniform(views, count, 4, device) - 1) * apply
    to_yiq = _TO_YIQ.to(device)

    colourfulness = torch.where(_uniform(views, count, device=device)[0] < gray, 0.0, 1 + saturation * spread[2])
    angle = 2 * math.pi * hue * spread[3]
    turn = torch.zeros(count, 3, 3, device=device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = colourfulness * angle.cos()
    turn[:, 1, 2], turn[:, 2, 1] = -colourfulness * angle.sin(), colourfulness * angle.sin()
    colours = torch.linalg.inv(to_yiq) @ turn @ to_yiq * (1 + brightness * spread[0])[:, None, None]

    images = torch.einsum("bij,bjhw->bihw", colours, images)
    mean = images.mean((1, 2, 3), keepdim=True)
    return (mean + (images - mean) * (1 + contrast * spread[1])[:, None, None, None]).clamp(0, 1)


def blur(
    images: Tensor, probability: float, sigma: tuple[float, float] = (0.1, 2.0), radius: int = 4, views: int = 1
) -> Tensor:
    """Gaussian blur with a random width (pixels) for each image that is drawn with `probability`; `views` as in `jitter`."""
    draw, width = _uniform(views, len(images), 2, images.device)
    chosen = (draw < probability).nonzero().flatten()
    if not len(chosen):
        return images
    width = sigma[0] + (sigma[1] - sigma[0]) * width[chosen]
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    kernel = torch.exp(-0.5 * (offsets / width[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(images.shape[1], 0)[:, None]
    stack = images[chosen].flatten(0, 1)[None]
    stack = F.conv2d(F.pad(stack, (radius, radius, 0, 0), mode="reflect"), kernel[:, :, None, :], groups=len(kernel))
    stack = F.conv2d(F.pad(stack, (0, 0, radius, radius), mode="reflect"), kernel[:, :, :, None], groups=len(kernel))
    return images.index_copy(0, chosen, stack.reshape(len(chosen), *images.shape[1:]))


@MODELS.register_module()
class MultiCropPreprocessor(BaseDataPreprocessor):
    """Turns a batch of canvases into `MultiCrop` views.

    Args:
        global_crops, local_crops: `CropPlan` arguments (count, size, scale); None for no local crops.
        patch_size: Side of a patch in pixels: the grid on which the global crops' part labels are read.
        flip: Probability of mirroring a crop.
        color_jitter: Strengths of brightness, contrast, saturation and hue; None for no colour change at all.
        jitter_probability, gray, blur: Probabilities.
        mean, std: Of the three channels, on the scale 0 to 255.
    """

    def __init__(
        self,
        global_crops: dict,
        local_crops: dict | None = None,
        patch_size: int = 16,
        flip: float = 0.5,
        color_jitter: Sequence[float] | None = (0.4, 0.4, 0.2, 0.1),
        jitter_probability: float = 0.8,
        gray: float = 0.2,
        blur: float = 0.0,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ):
        super().__init__()
        self.global_crops = CropPlan(**global_crops)
        self.local_crops = CropPlan(**local_crops) if local_crops else CropPlan(0, (0, 0), (0, 0))
        self.patch_size, self.flip = patch_size, flip
        self.color_jitter, self.jitter_probability, self.gray, self.blur = color_jitter, jitter_probability, gray, blur
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1) / 255, False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1) / 255, False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Args: data: a batch of `Photos`. Returns: ``crops`` (`MultiCrop`) and the image-level labels."""
        data = self.cast_data({key: value for key, value in data.items() if key != UNREADABLE})
        canvas = data.pop("inputs").float() / 255
        maps = [
            crop_maps(len(canvas), self.global_crops.scale, self.flip, device=canvas.device)
            for _ in range(self.global_crops.count)
        ]
        crops = MultiCrop(
            self._views(canvas, maps, self.global_crops.size),
            self._views(canvas, self._local_maps(canvas), self.local_crops.size),
            maps=torch.stack(maps),
        )
        if "parts" in data:
            crops.parts, crops.part_confidence = self._label_grids(data.pop("parts"), data.pop("part_confidence"), maps)
        return {"crops": crops, **data}

    def whole(self, data: dict) -> Tensor:
        """The whole photos of a batch at the global crops' size, normalised and not augmented: (B, 3, H, W)."""
        canvas = self.cast_data(data["inputs"]).float() / 255
        return (F.interpolate(canvas, self.global_crops.size, mode="bilinear", antialias=True) - self.mean) / self.std

    def _local_maps(self, canvas: Tensor) -> list[Tensor]:
        plan = self.local_crops
        return [crop_maps(len(canvas), plan.scale, self.flip, device=canvas.device) for _ in range(plan.count)]

    def _views(self, canvas: Tensor, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """(count, B, 3, *size), normalised."""
        if not maps:
            return canvas.new_empty(0, len(canvas), 3, *size)
        views = torch.cat([cut(canvas, each, size) for each in maps])
        if self.color_jitter is not None:
            views = jitter(views, self.color_jitter, self.jitter_probability, self.gray, len(maps))
        if self.blur:
            views = blur(views, self.blur, views=len(maps))
        return ((views - self.mean) / self.std).unflatten(0, (len(maps), -1))

    def _label_grids(self, parts: Tensor, confidence: Tensor, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Labels (B, h, w) read at the centre of each patch of each global crop: two tensors (G, B, rows, columns)."""
        grid = tuple(side // self.patch_size for side in self.global_crops.size)
        labels = torch.stack([parts.float(), confidence.float()], dim=1)
        crops = torch.stack([cut(labels, each, grid, mode="nearest") for each in maps])
        return crops[:, :, 0].long(), crops[:, :, 1]
