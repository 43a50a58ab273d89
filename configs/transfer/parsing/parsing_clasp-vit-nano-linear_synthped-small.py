"""Linear parsing on a small SynthPed universe: one layer on frozen patches, 600 steps."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_parsing_linear import *

train_dataloader["dataset"].update(root="work/synthped-small/universe")
test_dataloader["dataset"].update(root="work/synthped-small/universe")

train_cfg.update(max_iters=600)
param_scheduler[0].update(end=30)
param_scheduler[1].update(begin=30, end=600)
default_hooks["checkpoint"].update(interval=200)
