"""Attributes on a quick SynthPed universe."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer import *

from mmengine.dataset import InfiniteSampler

from clasp_bench.data.pa100k import PA100K
from clasp_bench.evaluation.attribute import AttributeMetric
from clasp_bench.models.heads import AttributeHead

# root is where `make bench` renders to; --data replaces it. `clasp-bench transfer` puts the share of positives into the head
model.update(head=dict(type=AttributeHead, in_channels=256, sigma=0.7))
optim_wrapper["paramwise_cfg"]["custom_keys"]["head"].update(lr_mult=3.0)

train_dataloader.update(
    dataset=dict(type=PA100K, root="work/synthped-quick/universe", split="trainval", size=(128, 64), keep_decoded=True),
    sampler=dict(type=InfiniteSampler, shuffle=True),
)
test_dataloader.update(dataset=dict(type=PA100K, root="work/synthped-quick/universe", split="test", size=(128, 64)))
test_evaluator = dict(type=AttributeMetric)
