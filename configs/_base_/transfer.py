"""What every transfer shares: a nano Vision Transformer on 128x64 crops, AdamW with warm-up and cosine, the last checkpoint scored once."""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from mmengine.dataset import DefaultSampler
from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop, TestLoop
from torch.optim import AdamW
from torch.utils.data import default_collate

from clasp_bench.data.augment import CropPreprocessor
from clasp_bench.models.backbones import CLASPViT
from clasp_bench.models.transfer import TransferModel

model = dict(
    type=TransferModel,
    # experts, where the weights have them, come from the weights' header
    backbone=dict(type=CLASPViT, arch="nano", patch_size=16, img_size=(128, 64), out_type="raw", prompt_mixture=None),
    pooling="cls+mean",
    frozen=False,
    data_preprocessor=dict(type=CropPreprocessor, flip=0.5, shift=5),
)

train_cfg = dict(type=IterBasedTrainLoop, max_iters=150)
train_dataloader = dict(batch_size=64, num_workers=0, collate_fn=dict(type=default_collate))
test_cfg = dict(type=TestLoop)
test_dataloader = dict(
    batch_size=256,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    collate_fn=dict(type=default_collate),
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
            "head": dict(lr_mult=1.0),
        },
    ),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, by_epoch=False, end=15),
    dict(type=CosineAnnealingLR, eta_min=1e-6, by_epoch=False, begin=15, end=150),
]
