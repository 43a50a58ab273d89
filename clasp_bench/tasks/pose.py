"""Pose on COCO's layout: top-down heatmaps of 17 joints through mmpose, scored by COCO's object keypoint similarity."""

from collections.abc import Sequence

import numpy as np
from mmengine.config import Config

from clasp_bench.data.layouts.contents import Box, Subject
from clasp_bench.engine.contract.whole_model import WholeModel
from clasp_bench.tasks import Figure, Task
from clasp_bench.tasks.seeing import LIKELY, Seen, through_pipeline
from clasp_bench.tasks.showing import draw_people

MIRRORED = [
    0,
    *(joint + 1 if joint % 2 else joint - 1 for joint in range(1, 17)),
]  # COCO's joints: nose, then left and right in turn


def _see(model: WholeModel, pixels: np.ndarray, boxes: Sequence[Box]) -> list[Seen]:
    samples = [
        {
            "pixels": pixels,
            "bbox": np.array([[x, y, x + w, y + h]], np.float32),
            "bbox_score": np.ones(1, np.float32),
            "flip_indices": MIRRORED,
        }
        for x, y, w, h in boxes
    ]
    seen = []
    for box, sample in zip(boxes, through_pipeline(model, samples), strict=True):
        places, scores = sample.pred_instances.keypoints[0], sample.pred_instances.keypoint_scores[0]
        joints = np.column_stack([places, np.where(scores >= LIKELY, 2, 0)])
        caption = f"{(scores >= LIKELY).sum()} of {len(joints)} joints, mean score {scores.mean():.2f}"
        rows = np.column_stack([places, scores]).round(3).tolist()
        numbers = {"keypoints": [value for row in rows for value in row], "score": round(float(scores.mean()), 4)}
        seen.append(Seen(Subject(box=box, keypoints=joints, caption=caption), numbers))
    return seen


def _remarks(config: Config) -> list[str]:
    test = config.test_dataloader.dataset
    detected = ["boxes of a detector"] if test.get("detections") and test.split == "val" else []
    return ["flip test"] * bool(config.model.test_cfg.get("flip_test")) + detected


TASK = Task(
    version=1,
    splits=("train", "val"),
    held_out=("fit", "held_out"),
    scored_by="mmpose.CocoMetric",
    figures={
        name: Figure(f"coco/{key}", factor=100)
        for name, key in {"AP": "AP", "AP50": "AP .5", "AP75": "AP .75", "AR": "AR"}.items()
    },
    see=_see,
    draw=draw_people,
    remarks=_remarks,
)
