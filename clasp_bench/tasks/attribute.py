"""Pedestrian attribute recognition on PA-100K's layout: 26 binary attributes with a weighted cross-entropy."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from clasp_bench.data.layouts.contents import Box, Subject
from clasp_bench.data.pa100k import PA100K
from clasp_bench.engine.contract.whole_model import WholeModel
from clasp_bench.evaluation.attribute import AttributeMetric
from clasp_bench.evaluation.neighbours import choose_count, neighbour_logits
from clasp_bench.tasks import Task, declared, flip_tested
from clasp_bench.tasks.frozen import Features, Frozen
from clasp_bench.tasks.seeing import Seen, on_crops
from clasp_bench.tasks.showing import draw_people


def _head_arguments(train: PA100K) -> dict:
    return {"positive_share": train.labels.mean(0).tolist()}


def _see(model: WholeModel, pixels: np.ndarray, boxes: Sequence[Box]) -> list[Seen]:
    names = model.header["names"]
    seen = []
    for box, row in zip(
        boxes, on_crops(model, pixels, boxes, attributes=torch.zeros(len(boxes), len(names))), strict=True
    ):
        shares = row["logits"].sigmoid().tolist()
        has = sorted(((share, name) for share, name in zip(shares, names, strict=True) if share > 0.5), reverse=True)
        caption = " · ".join(f"{name} {share:.0%}" for share, name in has) or "no attribute is likelier than not"
        numbers = {"attributes": {name: round(share, 4) for name, share in zip(names, shares, strict=True)}}
        seen.append(Seen(Subject(box=box, attributes=[name for _, name in has], caption=caption), numbers))
    return seen


def _score_frozen(
    metric: AttributeMetric, train: Callable[[], Features], test: Callable[[], Features]
) -> tuple[dict[str, float], str]:
    known, asked = train(), test()
    labels = known.targets["attributes"] > 0.5
    count = choose_count(known.features, labels)
    (logits,) = neighbour_logits(known.features, labels, asked.features, [count])
    rows = zip(torch.from_numpy(logits), torch.from_numpy(asked.targets["attributes"]), strict=True)
    figures = metric.compute_metrics([{"logits": row, "attributes": label} for row, label in rows])
    return figures, f"{count} neighbours, chosen on the last fifth of the training photos"


TASK = Task(
    version=1,
    splits=("trainval", "test"),
    held_out=("train", "val"),
    scored_by="clasp_bench.AttributeMetric",
    figures=declared(AttributeMetric),
    see=_see,
    draw=draw_people,
    remarks=flip_tested,
    frozen=Frozen("k nearest neighbours in {known}", _score_frozen),
    head_arguments=_head_arguments,
)
