"""Person re-identification on Market-1501's layout: a BNNeck head on P people x K photos, ranked by cosine similarity."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmengine.config import Config

from clasp_bench.data.layouts.contents import Box, Subject
from clasp_bench.data.market1501 import Market1501
from clasp_bench.engine.contract.whole_model import WholeModel
from clasp_bench.evaluation.reid import ReIDMetric
from clasp_bench.evaluation.rerank import KReciprocal
from clasp_bench.tasks import Task, declared, flip_tested
from clasp_bench.tasks.frozen import Features, Frozen
from clasp_bench.tasks.seeing import Seen, on_crops

IDENTITY = ("person_id", "camera_id", "is_query")


def _head_arguments(train: Market1501) -> dict:
    return {"num_people": len(train.people)}


def _see(model: WholeModel, pixels: np.ndarray, boxes: Sequence[Box]) -> list[Seen]:
    nobody = torch.zeros(len(boxes), dtype=torch.int64)
    rows = on_crops(model, pixels, boxes, person_id=nobody, camera_id=nobody, is_query=nobody)
    return [Seen(Subject(box=box), feature=row["feature"].cpu().numpy()) for box, row in zip(boxes, rows, strict=True)]


def _remarks(config: Config) -> list[str]:
    rerank = config.test_evaluator.get("rerank")
    embedded = ["camera embedding"] * ("cameras" in config.model)
    return flip_tested(config) + embedded + ([] if rerank is None else [str(KReciprocal(**rerank))])


def _score_frozen(
    metric: ReIDMetric, _: Callable[[], Features], test: Callable[[], Features]
) -> tuple[dict[str, float], str]:
    found = test()
    columns = [found.targets[key].tolist() for key in IDENTITY]
    rows = [dict(zip(IDENTITY, row, strict=True)) for row in zip(*columns, strict=True)]
    features = map(torch.from_numpy, found.features)
    return metric.compute_metrics([{"feature": one, **row} for one, row in zip(features, rows, strict=True)]), ""


TASK = Task(
    version=1,
    config="reid/reid_clasp-vit-nano_synthped-quick.py",
    splits=("train", "test"),
    held_out=("fit", "held_out"),
    figures=declared(ReIDMetric),
    see=_see,
    remarks=_remarks,
    frozen=Frozen("cosine", _score_frozen),
    head_arguments=_head_arguments,
    ranks_gallery=True,
)
