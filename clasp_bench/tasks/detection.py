"""Detection of people through mmdet: Faster R-CNN, scored by COCO's average precision of boxes.

CrowdHuman's annotations give its log-average miss rate and Jaccard index as well, CityPersons' the miss rates on its subsets by occlusion.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from clasp_bench.data.layouts.contents import Box, Subject
from clasp_bench.data.openmmlab.citypersons import CityPersonsBoxes
from clasp_bench.data.openmmlab.crowdhuman import CrowdHumanBoxes
from clasp_bench.engine.contract.whole_model import WholeModel
from clasp_bench.evaluation.crowd import CityPersonsMetric
from clasp_bench.evaluation.crowdhuman import CrowdHumanMetric
from clasp_bench.tasks import Figure, Task
from clasp_bench.tasks.seeing import Seen, through_pipeline
from clasp_bench.tasks.showing import draw_people


def _see(model: WholeModel, pixels: np.ndarray, boxes: Sequence[Box]) -> list[Seen]:
    (sample,) = through_pipeline(model, [{"pixels": pixels}])
    found = sample.pred_instances.cpu()
    seen = []
    for (left, top, right, bottom), score in zip(found.bboxes.tolist(), found.scores.tolist(), strict=True):
        box = left, top, right - left, bottom - top
        seen.append(Seen(Subject(box=box, caption=f"{score:.0%}"), {"score": round(score, 4)}))
    return seen


def _evaluators(test: Any) -> list[dict[str, Any]]:
    metric = {"crowdhuman": CrowdHumanMetric, "citypersons": CityPersonsMetric}.get(test.layout.name)
    return [dict(type=metric, ann_file=test.ann_file, prefix="crowd")] if metric else []


def _remarks(config: Any) -> list[str]:
    """Full boxes leave the picture, what a detector finds does not."""
    cut = (CrowdHumanBoxes, CityPersonsBoxes)
    return ["boxes cut at the picture"] if config.test_dataloader.dataset.type in cut else []


TASK = Task(
    version=1,
    splits=("train", "val"),
    held_out=("fit", "held_out"),
    scored_by="mmdet.CocoMetric",
    figures={
        name: Figure(f"coco/bbox_{key}", factor=100)
        for name, key in {"AP": "mAP", "AP50": "mAP_50", "AP75": "mAP_75"}.items()
    }
    | {
        name: Figure(f"crowd/{name}", higher_is_better=higher, always=False)
        for name, higher in (CityPersonsMetric.higher_is_better | {"JI": True}).items()
    }
    # CrowdHuman's own, at an overlap of one half; AP is COCO's on every data set
    | {"AP-crowd": Figure("crowd/AP", always=False)},
    remarks=_remarks,
    evaluators=_evaluators,
    see=_see,
    draw=draw_people,
    finds_people=True,
)
