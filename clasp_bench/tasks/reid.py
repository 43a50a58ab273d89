"""Person re-identification on Market-1501's layout: a BNNeck head on P people x K photos, ranked by cosine similarity."""

from clasp_bench.data.market1501 import Market1501
from clasp_bench.evaluation.reid import ReIDMetric
from clasp_bench.tasks import Task


def _head_arguments(train: Market1501) -> dict:
    return {"num_people": len(train.people)}


TASK = Task(
    version=1,
    config="reid/reid_clasp-vit-nano_synthped-quick.py",
    folder="market1501",
    splits=("train", "test"),
    held_out=("fit", "held_out"),
    metric=ReIDMetric,
    head_arguments=_head_arguments,
)
