"""Attributes on PA-100K with ViT-B/16, after HAP: AdamW 1.7e-4, 55 epochs of 1,406 steps, warm-up and cosine, averaged weights are scored.

HAP keeps the epoch that is best on the test split; here the last one is scored.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.attribute import *

from clasp_bench.engine.averaging import AveragedWeights

model.update(pooling="mean")
model["backbone"].update(arch="base", img_size=(256, 192), drop_path_rate=0.1)
model["head"].update(in_channels=768)
model["data_preprocessor"].update(shift=10)

train_dataloader.update(batch_size=8, num_workers=8, persistent_workers=True)
train_dataloader["dataset"].update(root="data/pa100k", size=(256, 192), keep_decoded=False)
test_dataloader.update(num_workers=8)
test_dataloader["dataset"].update(root="data/pa100k", size=(256, 192))

custom_hooks = [dict(type=AveragedWeights, momentum=2e-4)]
optim_wrapper["optimizer"].update(lr=1.7e-4)
optim_wrapper["paramwise_cfg"]["custom_keys"].update(neck=dict(lr_mult=1.0), head=dict(lr_mult=1.0))
train_cfg.update(max_iters=77_330)
param_scheduler[0].update(end=7_030)
param_scheduler[1].update(begin=7_030, end=77_330)
default_hooks["checkpoint"].update(interval=1000)
