"""Parsing on LIP's layout: 20 classes of body parts and clothes through mmseg."""

from collections.abc import Sequence

import numpy as np
from mmengine.config import Config
from PIL import Image

from clasp_bench.data.inspection.drawing import parts as parts_drawn
from clasp_bench.data.label_sets import LIP_CLASSES
from clasp_bench.data.layouts.contents import Box, Subject
from clasp_bench.engine.contract.whole_model import WholeModel
from clasp_bench.tasks import Figure, Task
from clasp_bench.tasks.seeing import Seen, all_parts, cut, through_pipeline
from clasp_bench.tasks.showing import captioned, panels


def _see(model: WholeModel, pixels: np.ndarray, boxes: Sequence[Box]) -> list[Seen]:
    crops, places = zip(*(cut(pixels, box) for box in boxes), strict=True)
    samples = through_pipeline(model, [{"pixels": crop} for crop in crops])
    seen = []
    for box, where, sample in zip(boxes, places, samples, strict=True):
        classes = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
        parts = np.zeros(pixels.shape[:2], np.uint8)
        parts[where] = classes
        count = np.bincount(classes.ravel(), minlength=len(LIP_CLASSES))
        shares = {
            LIP_CLASSES[index]: count[index] / classes.size
            for index in np.argsort(-count, kind="stable")
            if count[index]
        }
        caption = " · ".join(f"{name} {share:.0%}" for name, share in shares.items() if name != LIP_CLASSES[0])
        numbers = {"part_shares": {name: round(float(share), 4) for name, share in shares.items()}}
        seen.append(Seen(Subject(box=box, caption=caption or "nobody"), numbers, parts))
    return seen


def _draw(pixels: np.ndarray, seen: Sequence[Seen], boxes: bool) -> Image.Image:
    """The photo, its people where boxes are drawn, and everybody's parts."""
    shown = panels(pixels, seen, boxes)
    if (masks := all_parts(seen)) is not None:
        shown.append(parts_drawn(pixels, masks, shown[0].size))
    return captioned(shown, seen)


def _remarks(config: Config) -> list[str]:
    head, scales = config.model.decode_head.type, tuple(config.model.test_scales)
    linear = ["linear head"] * (getattr(head, "__name__", head) == "LinearHead")
    scaled = [] if scales == (1,) else [f"at scales {', '.join(f'{scale:g}' for scale in scales)}"]
    return [*linear, *["flip test"] * bool(config.model.test_flip), *scaled]


TASK = Task(
    version=1,
    splits=("train", "val"),
    held_out=("fit", "held_out"),
    scored_by="mmseg.IoUMetric",
    figures={name: Figure(f"parsing/{name}") for name in ("mIoU", "aAcc", "mAcc")},
    see=_see,
    draw=_draw,
    remarks=_remarks,
)
