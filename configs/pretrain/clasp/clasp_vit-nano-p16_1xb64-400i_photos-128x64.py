"""CLASP, nano, on a plain folder of photographs of people: about five minutes on 2 cores.

Label the photos first: `clasp-bench label PHOTOS --out LABELS`.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.clasp_vit_nano import *
    from ..._base_.pretrain import *

train_dataloader["dataset"].update(root="data/photos", labels="data/labels")
optim_wrapper["optimizer"].update(lr=2e-3)
train_cfg.update(max_iters=400)
param_scheduler[0].update(end=40)
param_scheduler[1].update(begin=40, end=400)
