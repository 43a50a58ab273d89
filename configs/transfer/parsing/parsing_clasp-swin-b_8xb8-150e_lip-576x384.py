"""Parsing on LIP with Swin-B and UPerNet, trained after SOLIDER: SGD 7e-3 without decay, 30 of the 150 epochs are warm-up.

SOLIDER has SCHP's head with an edge branch and self-correction, here it is UPerNet; its 572 x 384 pixels are 576 x 384, whole patches.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_parsing_lip import *

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
model["neck"] = None
model["decode_head"].update(in_channels=[128, 256, 512, 1024])
model["auxiliary_head"].update(in_channels=512)

optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=7e-3, momentum=0.9))
param_scheduler[0].update(end=14_280)
param_scheduler[1].update(begin=14_280)
