"""Parsing on LIP with ViT-B/16 and UPerNet: AdamW 7e-4 with layer decay 0.75, 150 epochs of 476 steps.

Input, optimiser and length after the harness of SAIP and DPAL, augmentation and test scales after SCHP; warm-up and layer decay are ours.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_parsing import *

from mmseg.datasets.transforms import RandomRotate
from mmseg.models import FCNHead, Feature2Pyramid, UPerHead

from clasp_bench.engine.layer_decay import BackboneLayerDecay

model["backbone"].update(arch="base", img_size=(576, 384), drop_path_rate=0.1, out_indices=[3, 5, 7, 11])
model["data_preprocessor"].update(size=(576, 384))
model["neck"] = dict(type=Feature2Pyramid, embed_dim=768, norm_cfg=dict(type="BN"))
model["decode_head"] = dict(
    type=UPerHead,
    in_channels=[768, 768, 768, 768],
    in_index=[0, 1, 2, 3],
    channels=512,
    num_classes=20,
    norm_cfg=dict(type="BN"),
    align_corners=False,
    loss_decode=dict(type=CrossEntropyLoss),
)
model.update(
    auxiliary_head=dict(
        type=FCNHead,
        in_channels=768,
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

optim_wrapper = dict(
    type=OptimWrapper,
    constructor=BackboneLayerDecay,
    optimizer=dict(type=AdamW, lr=7e-4, weight_decay=0.05),
    paramwise_cfg=dict(
        layer_decay_rate=0.75,
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={key: dict(decay_mult=0.0) for key in ("pos_embed", "cls_token", "prompts")},
    ),
)
train_cfg.update(max_iters=71_400)
param_scheduler[0].update(end=1_500)
param_scheduler[1].update(begin=1_500, end=71_400)
default_hooks["checkpoint"].update(interval=1000)
