"""Parsing on LIP with ViT-B/16 and UPerNet: AdamW 7e-4 with layer decay 0.75.

Input, optimiser and length after the harness of SAIP and DPAL; warm-up and layer decay are ours.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_parsing_lip import *

from mmseg.models import Feature2Pyramid

from clasp_bench.engine.layer_decay import BackboneLayerDecay

model["backbone"].update(arch="base", img_size=(576, 384), drop_path_rate=0.1, out_indices=[3, 5, 7, 11])
model["neck"] = dict(type=Feature2Pyramid, embed_dim=768, norm_cfg=dict(type="BN"))

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
param_scheduler[0].update(end=1_500)
param_scheduler[1].update(begin=1_500)
