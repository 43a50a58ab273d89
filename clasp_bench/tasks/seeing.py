"""What tasks share in looking at photos with a transferred model: crops, OpenMMLab's pipelines, and what comes out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor

from clasp_bench.data.images import resize
from clasp_bench.data.layouts.contents import Box, Subject
from clasp_bench.engine.contract.whole_model import WholeModel

LIKELY = 0.3  # joints and boxes of a lower score are not drawn, as in mmpose and mmdet


@dataclass
class Seen:
    """What a model sees of one person.

    Attributes:
        subject: To be drawn.
        numbers: To be written, beside the box: plain values.
        parts: (H, W) uint8, LIP's classes over the whole photo.
        feature: (D,) to rank by.
        nearest: Photos of a gallery and their cosine similarity to `feature`, the most like first.
    """

    subject: Subject
    numbers: dict[str, Any] = field(default_factory=dict)
    parts: np.ndarray | None = None
    feature: np.ndarray | None = None
    nearest: Sequence[tuple[Path, float]] = ()


def cut(pixels: np.ndarray, box: Box) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The part of a photo (H, W, 3) in a box, at least one pixel of it, and where it is."""
    (height, width), (x, y, w, h) = pixels.shape[:2], box
    left, top = min(max(int(x), 0), width - 1), min(max(int(y), 0), height - 1)
    right, bottom = min(max(round(x + w), left + 1), width), min(max(round(y + h), top + 1), height)
    where = slice(top, bottom), slice(left, right)
    return pixels[where], where


def all_parts(seen: Sequence[Seen]) -> np.ndarray | None:
    """Everybody's parts in one mask, (H, W) uint8; None where no parts were seen."""
    masks = [one.parts for one in seen if one.parts is not None]
    return np.max(masks, axis=0) if masks else None


def on_crops(model: WholeModel, pixels: np.ndarray, boxes: Sequence[Box], **targets: Tensor) -> list[dict[str, Tensor]]:
    """What a `TransferModel` predicts for the people in `boxes`; `targets` are what its head asks for beside."""
    crops = np.stack([resize(cut(pixels, box)[0], model.settings["size"]) for box in boxes])
    inputs = torch.from_numpy(crops).permute(0, 3, 1, 2)
    with torch.no_grad():
        return model.module.test_step({"inputs": inputs, **targets})


def through_pipeline(model: WholeModel, samples: Sequence[dict[str, Any]]) -> list[Any]:
    """What an OpenMMLab model predicts for samples whose picture, ``pixels`` (H, W, 3) RGB, is decoded: one data sample each.

    Loading a picture and its annotation is left out of the pipeline.
    """
    loading = ("LoadImage", "LoadImageFromFile", "LoadAnnotations")
    steps = [dict(step) for step in model.settings["pipeline"]]
    steps = [step.pop("type")(**step) for step in steps if step["type"].__name__ not in loading]
    packed = []
    for sample in samples:
        image = np.ascontiguousarray(sample["pixels"][..., ::-1])  # OpenMMLab reads blue first
        results = {key: value for key, value in sample.items() if key != "pixels"}
        results |= dict(
            img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2], img_path="", img_id=0, instances=[]
        )
        for step in steps:
            results = step(results)
        packed.append(results)
    with torch.no_grad():
        return model.module.test_step(pseudo_collate(packed))
