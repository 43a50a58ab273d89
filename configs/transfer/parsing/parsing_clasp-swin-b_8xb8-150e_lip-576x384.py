"""Parsing on LIP with Swin-B and UPerNet, trained after SOLIDER: SGD 7e-3 without decay, 150 epochs of 476 steps, 30 of them warm-up.

SOLIDER has SCHP's head with an edge branch and self-correction, here it is UPerNet; its 572 x 384 pixels are 576 x 384, whole patches.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_parsing import *

from mmseg.datasets.transforms import RandomRotate
from mmseg.models import FCNHead, UPerHead
from torch.optim import SGD

from clasp_bench.models.backbones import CLASPSwin

model["backbone"] = dict(
    type=CLASPSwin,
    arch="base",
    img_size=(576, 384),
    out_indices=(0, 1, 2, 3),
    drop_path_rate=0.3,
    prompt_mixture=None,
    trained="all",
)
model["data_preprocessor"].update(size=(576, 384))
model["decode_head"] = dict(
    type=UPerHead,
    in_channels=[128, 256, 512, 1024],
    in_index=[0, 1, 2, 3],
    channels=512,
    num_classes=20,
    norm_cfg=dict(type="BN"),
    align_corners=False,
    loss_decode=dict(type=CrossEntropyLoss),
)
model.update(
    neck=None,
    auxiliary_head=dict(
        type=FCNHead,
        in_channels=512,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        num_classes=20,
        norm_cfg=dict(type="BN"),
        align_corners=False,
        loss_decode=dict(type=CrossEntropyLoss, loss_weight=0.4),
    ),
    test_scales=(0.5, 0.75, 1.0, 1.25, 1.5),
)

train_dataloader.update(batch_size=8, num_workers=8, persistent_workers=True)
train_dataloader["dataset"].update(root="data/lip")
train_dataloader["dataset"]["pipeline"][2].update(scale=(384, 576), ratio_range=(0.75, 1.25))
train_dataloader["dataset"]["pipeline"][3].update(crop_size=(576, 384))
train_dataloader["dataset"]["pipeline"].insert(4, dict(type=RandomRotate, prob=0.5, degree=30))
test_dataloader.update(batch_size=8, num_workers=8)
test_dataloader["dataset"].update(root="data/lip")
test_dataloader["dataset"]["pipeline"][1].update(scale=(384, 576))

optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=7e-3, momentum=0.9))
train_cfg.update(max_iters=71_400)
param_scheduler[0].update(end=14_280)
param_scheduler[1].update(begin=14_280, end=71_400)
default_hooks["checkpoint"].update(interval=1000)
