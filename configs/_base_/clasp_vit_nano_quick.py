"""CLASP, nano, on SynthPed quick: about two minutes on 2 cores."""

from mmengine.config import read_base

with read_base():
    from .clasp_vit_nano import *
    from .pretrain import *

train_dataloader["dataset"].update(labels="work/synthped-quick/labels")
optim_wrapper["optimizer"].update(lr=2e-3)
train_cfg.update(max_iters=150)
param_scheduler[0].update(end=15)
param_scheduler[1].update(begin=15, end=150)
