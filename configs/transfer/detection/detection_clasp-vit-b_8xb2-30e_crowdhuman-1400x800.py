"""Full boxes of CrowdHuman with ViT-B/16, a simple feature pyramid and Faster R-CNN.

Optimiser, layer decay and drop path after ViTDet (its window attention is left out: every block sees the whole picture).
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_detection_crowdhuman import *

from clasp_bench.engine.layer_decay import BackboneLayerDecay

model["backbone"].update(arch="base", img_size=(800, 1408), drop_path_rate=0.1, with_cp=True)
model["neck"].update(in_channels=768, out_channels=256, num_outs=5)

optim_wrapper = dict(
    type=OptimWrapper,
    constructor=BackboneLayerDecay,
    optimizer=dict(type=AdamW, lr=1e-4, weight_decay=0.1),
    clip_grad=dict(max_norm=1.0),
    paramwise_cfg=dict(
        layer_decay_rate=0.7,
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={key: dict(decay_mult=0.0) for key in ("pos_embed", "cls_token", "prompts")},
    ),
)
