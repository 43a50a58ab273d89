"""Pose on a small SynthPed universe: 2,000 steps."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_pose import *

train_dataloader["dataset"].update(root="work/synthped-small/universe")
test_dataloader["dataset"].update(root="work/synthped-small/universe")

train_cfg.update(max_iters=2000)
param_scheduler[0].update(end=100)
param_scheduler[1].update(begin=100, end=2000)
default_hooks["checkpoint"].update(interval=200)
