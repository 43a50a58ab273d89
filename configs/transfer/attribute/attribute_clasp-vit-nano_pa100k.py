"""Attributes on PA-100K or a part of it: 400 steps, about two minutes on 2 cores."""

from mmengine.config import read_base

with read_base():
    from ..._base_.attribute import *

# for all 100,000 photos set keep_decoded to False and num_workers to the number of processors
train_dataloader["dataset"].update(root="data/pa100k")
test_dataloader["dataset"].update(root="data/pa100k")

train_cfg.update(max_iters=400)
param_scheduler[0].update(end=40)
param_scheduler[1].update(begin=40, end=400)
