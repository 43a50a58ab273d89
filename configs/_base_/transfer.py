"""What every transfer shares: a nano Vision Transformer, AdamW with warm-up and cosine, the last checkpoint scored once.

A task's own base config gives the model its type, preprocessor and head, and the loaders their data sets.
"""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from mmengine.dataset import DefaultSampler, pseudo_collate
from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop, TestLoop
from torch.optim import AdamW

from clasp_bench.data.openmmlab.layout import SeededSampler
from clasp_bench.models.backbones import CLASPViT

model = dict(
    # experts, where the weights have them, come from the weights' header; `trained` is the mode: "all", "nothing" (head only),
    # "prompts" (and head), or the number of last blocks that train
    backbone=dict(
        type=CLASPViT,
        arch="nano",
        patch_size=16,
        img_size=(128, 64),
        out_type="featmap",
        prompt_mixture=None,
        trained="all",
    ),
)

# a data set's `subset` learns from a share of the training data, or from so many shots of each class, drawn by its seed
train_cfg = dict(type=IterBasedTrainLoop, max_iters=150)
train_dataloader = dict(
    batch_size=64, num_workers=0, collate_fn=dict(type=pseudo_collate), sampler=dict(type=SeededSampler)
)
test_cfg = dict(type=TestLoop)
test_dataloader = dict(
    batch_size=64, num_workers=0, collate_fn=dict(type=pseudo_collate), sampler=dict(type=DefaultSampler, shuffle=False)
)

optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=AdamW, lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={
            **{key: dict(decay_mult=0.0) for key in ("pos_embed", "cls_token", "prompts")},
            # what begins at random: at the backbone's rate it would hold a short transfer back (docs/transfer.md); a key is the whole rule of its
            # parameters, so that biases and norms of heads decay, as the experts' do, which no rule knows
            "neck": dict(lr_mult=5.0),
            "head": dict(lr_mult=5.0),
        },
    ),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, by_epoch=False, end=15),
    dict(type=CosineAnnealingLR, eta_min=1e-6, by_epoch=False, begin=15, end=150),
]
