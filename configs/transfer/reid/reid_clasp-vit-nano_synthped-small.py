"""Re-identification on a small SynthPed universe: 600 steps, about 11 epochs."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_reid import *

train_dataloader["dataset"].update(root="work/synthped-small/universe")
test_dataloader["dataset"].update(root="work/synthped-small/universe")

train_cfg.update(max_iters=600)
param_scheduler[0].update(end=60)
param_scheduler[1].update(begin=60, end=600)
default_hooks["checkpoint"].update(interval=200)
