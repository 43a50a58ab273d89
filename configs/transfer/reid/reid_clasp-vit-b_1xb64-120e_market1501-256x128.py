"""Re-identification on Market-1501 with ViT-B/16, after PASS and TransReID-SSL.

SGD 4e-4, 120 epochs of 202 steps (16 people x 4 photos), 20 of them warm-up, then cosine; the feature before BNNeck is ranked.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_reid import *

from torch.optim import SGD

model["backbone"].update(arch="base", img_size=(256, 128), drop_path_rate=0.1)
model["head"].update(in_channels=768, ranked="before", label_smoothing=0.0)
model["data_preprocessor"].update(shift=10, mean=[127.5] * 3, std=[127.5] * 3)

train_dataloader.update(num_workers=8, persistent_workers=True)
train_dataloader["dataset"].update(root="data/market1501", size=(256, 128), keep_decoded=False)
test_dataloader.update(num_workers=8)
test_dataloader["dataset"].update(root="data/market1501", size=(256, 128))

optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=4e-4, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(bias_lr_mult=2.0),
)
train_cfg.update(max_iters=24_240)
param_scheduler[0].update(end=4_040)
param_scheduler[1].update(begin=4_040, end=24_240)
default_hooks["checkpoint"].update(interval=1000)
