"""What every method's quick config on SynthPed shares with CLASP's: nano Vision Transformer (dense), photos, crops, colours, batches, steps."""

from mmengine.config import read_base

with read_base():
    from .pretrain import *

from clasp_bench.data.multicrop import MultiCropPreprocessor
from clasp_bench.models import CLASPViT

model = dict(
    backbone=dict(type=CLASPViT, arch="nano", img_size=(128, 64), patch_size=16),
    data_preprocessor=dict(
        type=MultiCropPreprocessor,
        global_crops=dict(count=2, size=(128, 64), scale=(0.5, 1.0)),
        # a small crop of a SynthPed photo is mostly background, and then the camera is all that views agree on: docs/methods.md has figures
        local_crops=None,
        patch_size=16,
        color_jitter=(0.3, 0.3, 0.1, 0.0),
        gray=0.0,
    ),
)
optim_wrapper["optimizer"].update(lr=2e-3)
train_cfg.update(max_iters=150)
param_scheduler[0].update(end=15)
param_scheduler[1].update(begin=15, end=150)
