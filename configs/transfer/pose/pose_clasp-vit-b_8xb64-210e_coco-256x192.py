"""Pose on COCO with ViT-B/16, after HAP: ViTPose's classic decoder, AdamW 2e-4 with layer decay 0.8.

210 epochs of 293 steps, a tenth after 170 and 200.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_pose_coco import *

from mmengine.optim import MultiStepLR

from clasp_bench.engine.layer_decay import BackboneLayerDecay

model["backbone"].update(arch="base", img_size=(256, 192), drop_path_rate=0.29)
model["head"].update(in_channels=768, deconv_out_channels=(256, 256))
model["head"]["decoder"].update(input_size=(192, 256), heatmap_size=(48, 64), sigma=2.0, blur_kernel_size=11)

train_dataloader.update(batch_size=64)
train_dataloader["dataset"]["pipeline"][5].update(input_size=(192, 256))
train_dataloader["dataset"]["pipeline"][6]["encoder"].update(
    input_size=(192, 256), heatmap_size=(48, 64), sigma=2.0, blur_kernel_size=11
)
test_dataloader["dataset"]["pipeline"][2].update(input_size=(192, 256))

optim_wrapper = dict(
    type=OptimWrapper,
    constructor=BackboneLayerDecay,
    optimizer=dict(type=AdamW, lr=2e-4, weight_decay=0.1),
    clip_grad=dict(max_norm=1.0),
    paramwise_cfg=dict(
        layer_decay_rate=0.8,
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={key: dict(decay_mult=0.0) for key in ("pos_embed", "cls_token", "prompts")},
    ),
)
train_cfg.update(max_iters=61_530)
param_scheduler[0].update(end=500)
param_scheduler[1] = dict(type=MultiStepLR, by_epoch=False, milestones=[49_810, 58_600], begin=500, end=61_530)
