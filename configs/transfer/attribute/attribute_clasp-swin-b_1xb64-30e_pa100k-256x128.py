"""Attributes on PA-100K with Swin-B, after SOLIDER: Adam 1e-5 without decay, 30 epochs of 1,406 steps, a tenth after 10 and 15.

SOLIDER keeps the epoch that is best on the test split; here the last one is scored.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.attribute import *

from mmengine.optim import MultiStepLR
from torch.optim import Adam

from clasp_bench.models.backbones import CLASPSwin

model.update(pooling="cls")  # Swin's first token is the mean of the others
model["backbone"] = dict(
    type=CLASPSwin,
    arch="base",
    img_size=(256, 128),
    out_type="raw",
    drop_path_rate=0.1,
    prompt_mixture=None,
    trained="all",
)
model["head"].update(in_channels=1024)
model["data_preprocessor"].update(shift=10)

train_dataloader.update(num_workers=8, persistent_workers=True)
train_dataloader["dataset"].update(root="data/pa100k", size=(256, 128), keep_decoded=False)
test_dataloader.update(num_workers=8)
test_dataloader["dataset"].update(root="data/pa100k", size=(256, 128))

optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=Adam, lr=1e-5))
train_cfg.update(max_iters=42_180)
param_scheduler = [dict(type=MultiStepLR, by_epoch=False, milestones=[14_060, 21_090], end=42_180)]
default_hooks["checkpoint"].update(interval=1000)
