"""Attributes on PA-100K or a part of it, 128x64 crops: 400 steps, about two minutes on 2 cores."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer import *

from mmengine.dataset import InfiniteSampler

from clasp_bench.data.pa100k import PA100K
from clasp_bench.evaluation.attribute import AttributeMetric
from clasp_bench.models.heads import AttributeHead

model.update(head=dict(type=AttributeHead, in_channels=256))
optim_wrapper["paramwise_cfg"]["custom_keys"]["head"].update(lr_mult=3.0)

# for all 100,000 photos set keep_decoded to False and num_workers to the number of processors
train_dataloader.update(
    dataset=dict(type=PA100K, root="data/pa100k", split="trainval", size=(128, 64), keep_decoded=True),
    sampler=dict(type=InfiniteSampler, shuffle=True),
)
test_dataloader.update(dataset=dict(type=PA100K, root="data/pa100k", split="test", size=(128, 64)))
test_evaluator = dict(type=AttributeMetric)

train_cfg.update(max_iters=400)
param_scheduler[0].update(end=40)
param_scheduler[1].update(begin=40, end=400)
