"""Pose on a quick SynthPed universe."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_pose import *

# root is where `make bench` renders to; --data replaces it
train_dataloader["dataset"].update(root="work/synthped-quick/universe")
test_dataloader["dataset"].update(root="work/synthped-quick/universe")

train_cfg.update(max_iters=90)
param_scheduler[0].update(end=9)
param_scheduler[1].update(begin=9, end=90)
