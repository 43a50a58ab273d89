"""Parsing on a small SynthPed universe: 1,200 steps, about 11 epochs."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_parsing import *

train_dataloader["dataset"].update(root="work/synthped-small/universe")
test_dataloader["dataset"].update(root="work/synthped-small/universe")

train_cfg.update(max_iters=1200)
param_scheduler[0].update(end=120)
param_scheduler[1].update(begin=120, end=1200)
default_hooks["checkpoint"].update(interval=200)
