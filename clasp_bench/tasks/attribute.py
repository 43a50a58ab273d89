"""Pedestrian attribute recognition on PA-100K's layout: 26 binary attributes with a weighted cross-entropy."""

from clasp_bench.data.pa100k import PA100K
from clasp_bench.evaluation.attribute import AttributeMetric
from clasp_bench.tasks import Task


def _head_arguments(train: PA100K) -> dict:
    return {"positive_share": train.labels.mean(0).tolist()}


TASK = Task(
    version=1,
    config="attribute/attribute_clasp-vit-nano_synthped-quick.py",
    folder="pa100k",
    splits=("trainval", "test"),
    held_out=("train", "val"),
    metric=AttributeMetric,
    head_arguments=_head_arguments,
)
